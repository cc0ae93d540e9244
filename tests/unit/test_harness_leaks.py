"""Each kind of leak fails the test that leaves it behind: runs pytest on small test files, under this conftest."""

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PASSES = 0
FAILS = 1


def run_pytest(directory: Path, body: str) -> tuple[int, str]:
    """Runs a test file below a copy of the tests' layout, with the real conftest, harness and settings."""
    layout = directory / "tests"
    (layout / "unit").mkdir(parents=True)
    for name in ("conftest.py", "harness", "peers"):
        (layout / name).symlink_to(TESTS / name)
    (directory / "pyproject.toml").symlink_to(TESTS.parent / "pyproject.toml")
    (layout / "unit" / "test_it.py").write_text(body)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(directory), "tests"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


LEAKS = {
    "a task": (
        """
import asyncio
tasks = []
async def test_it():
    tasks.append(asyncio.create_task(asyncio.sleep(3600), name="left over"))
""",
        ["tasks outlive the test", "left over"],
    ),
    "a child process": (
        """
import atexit, subprocess
def stop(process):
    process.kill()
    process.wait()
def test_it():
    atexit.register(stop, subprocess.Popen(["sleep", "20"]))
""",
        ["outlives the test: child process", "sleep 20"],
    ),
    "a listening socket": (
        """
import socket
sockets = []
def test_it():
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()
    sockets.append(sock)
""",
        ["outlives the test: listening socket 127.0.0.1"],
    ),
    "an unclosed socket in a reference cycle": (
        """
import socket
def test_it():
    cycle = [socket.socket()]
    cycle.append(cycle)
""",
        ["ResourceWarning", "unclosed"],
    ),
    "a coroutine that nobody awaits": (
        """
import asyncio
async def test_it():
    asyncio.sleep(1)
""",
        ["coroutine 'sleep' was never awaited"],
    ),
    "traffic beyond loopback, even where the error is handled": (
        """
import contextlib, socket
def test_it():
    with contextlib.suppress(OSError), socket.socket() as sock:
        sock.connect(("192.0.2.1", 9))
""",
        ["the test left loopback: connect to 192.0.2.1:9"],
    ),
    "a deadlock": (
        """
import asyncio
async def test_it():
    await asyncio.Event().wait()
""",
        ["deadlock at loop time 0", "test_it"],
    ),
}


@pytest.mark.parametrize(("body", "expected"), LEAKS.values(), ids=LEAKS)
def test_a_test_fails_by_leaving_behind(body, expected, tmp_path):
    code, output = run_pytest(tmp_path, body)
    assert code == FAILS, output
    for text in expected:
        assert text in output


def test_a_test_passes_that_cleans_up(tmp_path):
    body = """
import asyncio, socket, subprocess
async def test_it():
    task = asyncio.create_task(asyncio.sleep(3600))
    task.cancel()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    server.close()
    await server.wait_closed()
    subprocess.run(["true"], check=True)
"""
    code, output = run_pytest(tmp_path, body)
    assert code == PASSES, output


def test_a_longer_lived_fixture_may_keep_what_it_owns(tmp_path):
    body = """
import socket, subprocess, pytest
@pytest.fixture(scope="module")
def server():
    with socket.socket() as sock, subprocess.Popen(["sleep", "20"]) as process:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock
        process.kill()
def test_one(server): pass
def test_two(server): pass
"""
    code, output = run_pytest(tmp_path, body)
    assert code == PASSES, output


def test_a_longer_lived_fixture_may_not_leave_loopback(tmp_path):
    body = """
import socket, pytest
@pytest.fixture(scope="session")
def connection():
    with socket.socket() as sock:
        sock.connect(("192.0.2.1", 9))
        yield sock
def test_it(connection): pass
"""
    code, output = run_pytest(tmp_path, body)
    assert code == FAILS
    assert "NonLoopbackError: connect to 192.0.2.1:9" in output


def test_missing_peers_fail_a_test_and_say_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PROMSCOUT_PEERS_DIR", str(tmp_path / "nowhere"))
    code, output = run_pytest(tmp_path, "def test_it(peers_dir): pass\n")
    assert code == FAILS
    assert "run `make peers`" in output
    assert "1 error" in output
