"""Fixtures and rules for every test.

* tests/unit and tests/property run in virtual time (``harness.virtual_time``), everything else in real time; the marks
  ``virtual_time`` and ``real_time`` choose otherwise.
* No test leaves loopback (``harness.network``).
* No task, child process, listening socket or unclosed resource outlives a test (``harness.leaks``).
* Peers are real programs (``peers``); where they are missing a test fails, it does not skip.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import uvloop

from harness.artifacts import screenshots_dir
from harness.leaks import Held
from harness.network import NetworkGuard
from harness.virtual_time import VirtualClock, VirtualTimeLoop
from peers import Kubectl, NodeExporter, Prometheus, VictoriaMetrics, VMAgent, find_peers, free_loopback_port, running

_HERE = Path(__file__).parent
_VIRTUAL = {"unit", "property"}
_BEFORE = pytest.StashKey[Held]()
_GUARD = pytest.StashKey[NetworkGuard]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "virtual_time: run on a loop whose time is virtual")
    config.addinivalue_line("markers", "real_time: run on asyncio's own loop")
    config.addinivalue_line("markers", "every_loop: run on asyncio's own loop, and on the one that promscout run uses")
    guard = config.stash[_GUARD] = NetworkGuard()
    patch = pytest.MonkeyPatch()
    guard.install(patch)
    config.add_cleanup(patch.undo)


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    if item.get_closest_marker("every_loop"):
        return {"asyncio": asyncio.SelectorEventLoop, "uvloop": uvloop.new_event_loop}
    return {"virtual": VirtualTimeLoop} if _is_virtual(item) else {"real": asyncio.SelectorEventLoop}


def _is_virtual(item: pytest.Item) -> bool:
    if item.get_closest_marker("virtual_time"):
        return True
    if item.get_closest_marker("real_time") or item.get_closest_marker("every_loop"):
        return False
    return item.path.relative_to(_HERE).parts[0] in _VIRTUAL if item.path.is_relative_to(_HERE) else False


def pytest_collection_finish() -> None:
    _collect_garbage()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    pictures = list(screenshots_dir().glob("*.png"))
    if any(report.nodeid.startswith("tests/browser/") for report in terminalreporter.getreports("passed")) and pictures:
        terminalreporter.write_line(f"{len(pictures)} screenshots in {screenshots_dir()}")


def _collect_garbage() -> None:
    """Finds what is unreachable and unclosed while it can be blamed on this test; ResourceWarnings are errors."""
    gc.collect()
    gc.freeze()  # what is alive now need not be looked at again, which makes the next collection cheap


@pytest.fixture(autouse=True)
def _nothing_outlives_a_test(request: pytest.FixtureRequest) -> None:
    """Notes what is held after the setup of longer-lived fixtures; pytest_runtest_teardown compares."""
    request.node.stash[_BEFORE] = Held.now()
    if request.node.get_closest_marker("asyncio"):
        request.getfixturevalue("_no_task_outlives_a_test")


@pytest.fixture
async def _no_task_outlives_a_test() -> AsyncIterator[None]:
    yield
    for _ in range(3):  # what was cancelled at the very end may take a step to end
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    if left:
        listing = "\n".join(f"  {task!r}" for task in sorted(left, key=lambda task: task.get_name()))
        for task in left:
            task.cancel()
        pytest.fail(f"tasks outlive the test:\n{listing}", pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    result = yield
    _collect_garbage()
    if before := item.stash.get(_BEFORE, None):
        leaked = Held.now().leaked(before)
        if leaked:
            pytest.fail("outlives the test: " + "; ".join(leaked), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if report.failed:
        report.sections.extend((f"log of {peer}", peer.log_tail()) for peer in running())
    return report


@pytest.fixture(autouse=True)
def network_guard(pytestconfig: pytest.Config) -> Iterator[NetworkGuard]:
    """In force from start to end; a test that provokes a refusal on purpose clears ``violations``."""
    guard = pytestconfig.stash[_GUARD]
    guard.violations.clear()
    yield guard
    if guard.violations:
        pytest.fail("the test left loopback: " + "; ".join(guard.violations), pytrace=False)


@pytest.fixture
def clock() -> VirtualClock:
    """The wall clock of virtual time."""
    return VirtualClock()


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return free_loopback_port()


@pytest.fixture(scope="session")
def peers_dir() -> Path:
    """The directory of the peers' programs; fails where one is missing."""
    return find_peers()


@pytest.fixture
async def victoria_metrics(peers_dir: Path, tmp_path: Path) -> AsyncIterator[VictoriaMetrics]:
    """An empty VictoriaMetrics that shows samples at once."""
    async with VictoriaMetrics(peers_dir, tmp_path) as peer:
        yield peer


@pytest.fixture
async def node_exporter(peers_dir: Path, tmp_path: Path) -> AsyncIterator[NodeExporter]:
    async with NodeExporter(peers_dir, tmp_path) as peer:
        yield peer


@pytest.fixture
async def prometheus(peers_dir: Path, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """``await prometheus(config, agent=False)`` starts one; all stop after the test."""
    async with AsyncExitStack() as stack:

        async def start(config: str | Mapping[str, Any], **options: Any) -> Prometheus:
            return await stack.enter_async_context(Prometheus(peers_dir, tmp_path, config, **options))

        yield start


@pytest.fixture
async def vmagent(peers_dir: Path, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """``await vmagent(config, remote_write=[url])`` starts one; all stop after the test."""
    async with AsyncExitStack() as stack:

        async def start(config: str | Mapping[str, Any], **options: Any) -> VMAgent:
            return await stack.enter_async_context(VMAgent(peers_dir, tmp_path, config, **options))

        yield start


@pytest.fixture
def kubectl(peers_dir: Path, tmp_path: Path) -> Kubectl:
    """``str(kubectl)`` is the program's path, ``await kubectl.run(args, kubeconfig)`` runs it."""
    return Kubectl(peers_dir, tmp_path)
