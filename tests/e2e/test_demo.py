"""The first thing that a new user runs."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from peers.program import run_program

PROMSCOUT = str(Path(sys.executable).with_name("promscout"))


@pytest.fixture
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


async def test_the_demo_scrapes_every_target_twice_and_says_so(tmp_path):
    done = await run_program([PROMSCOUT, "demo", "--once", "--listen", "127.0.0.1:0"], tmp_path, env={"COLUMNS": "120"})
    assert done.code == 0, done.err
    assert "Every target has been scraped twice." in done.out
    assert "Web page: http://127.0.0.1:" in done.out
    for job in ("pods", "nodes", "promscout"):
        assert job in done.out
    assert not list(tmp_path.iterdir()), "nothing is left behind"


async def test_a_port_that_was_asked_for_and_is_taken_ends_the_demo_with_a_message(tmp_path, taken_port):
    done = await run_program([PROMSCOUT, "demo", "--once", "--listen", f"127.0.0.1:{taken_port}"], tmp_path)
    assert done.code == 2
    assert f"cannot listen on 127.0.0.1:{taken_port}" in done.err
    assert "Traceback" not in done.err


async def test_a_demo_that_does_not_get_there_ends_with_the_reason(tmp_path):
    """A target that is never scraped is a reason: here the time for all of them is too short."""
    hurry = "import promscout.demo.session as session; session.ONCE_SECONDS = 1; from promscout.cli import main; main()"
    arguments = [sys.executable, "-c", hurry, "demo", "--once", "--listen", "127.0.0.1:0"]
    done = await run_program(arguments, tmp_path)
    assert done.code == 1
    assert "not every target was scraped twice within 1 s" in done.err
    assert "Traceback" not in done.err
