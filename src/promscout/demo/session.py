"""One run of the demo: the simulated cluster, the agent that watches it, and what is shown of them."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import tempfile
from collections import deque
from contextlib import AsyncExitStack
from importlib.resources import files
from pathlib import Path
from typing import Final, TextIO

from rich.console import Console
from rich.live import Live

from promscout.agent import Agent
from promscout.config import load_config
from promscout.demo.lag import EventLag
from promscout.demo.view import JobSummary, Rate, Snapshot, render, render_summary
from promscout.errors import PromscoutError
from promscout.logs import LogFormat, LogLevel, configure_logs
from promscout.model.clock import SystemClock
from promscout.sim import SimCluster
from promscout.sim.churn import Churn
from promscout.sim.demo_population import populate_demo
from promscout.sim.resources import PODS
from promscout.web import WebOptions

SCRAPES_WANTED: Final = 2
ONCE_SECONDS: Final = 45.0
"""Longest that ``--once`` waits: a healthy demo needs about 8 s."""

ONCE_CHANGES: Final = 10
REFRESH_SECONDS: Final = 0.5
PLAIN_SECONDS: Final = 5.0
"""Seconds between two lines of progress where there is no terminal."""


class DemoFailed(PromscoutError):  # noqa: N818 - reads as what happened
    """The demo did not reach what ``--once`` promises, and why."""


class Demo:
    """The running demo as its views see it."""

    def __init__(self, cluster: SimCluster, agent: Agent, directory: Path) -> None:
        self.cluster = cluster
        self.agent = agent
        self.directory = directory
        self.events: deque[str] = deque(maxlen=5)
        self.lag = EventLag(SystemClock())
        self._rate = Rate(asyncio.get_running_loop().time())

    async def churn(self, per_second: float, changes: int | None = None) -> None:
        """Let pods come and go."""
        churn = Churn(self.cluster.store, rate=per_second)
        while changes is None or changes > 0:
            if event := churn.step():
                self.events.append(event)
            changes = None if changes is None else changes - 1
            await asyncio.sleep(1 / per_second)

    def snapshot(self) -> Snapshot:
        """What there is to show at this moment."""
        pools = self.agent.scrape.pools
        self.lag.match(pools)
        samples = self.agent.registry.get_sample_value("promscout_scraped_samples_total") or 0.0
        return Snapshot(
            url=self.agent.web.url,
            api_server=self.cluster.url,
            config=str(self.directory / "prometheus.yml"),
            pods=len(self.cluster.store.list(PODS)),
            jobs=tuple(JobSummary.of(job, pool) for job, pool in pools.items()),
            samples=int(samples),
            samples_per_second=self._rate.update(samples, asyncio.get_running_loop().time()),
            lag=self.lag.summary,
            events=tuple(self.events),
        )

    def unfinished(self) -> tuple[str, ...]:
        """URLs of targets that have not been scraped often enough."""
        return tuple(
            target.url
            for pool in self.agent.scrape.pools.values()
            for target, active in pool.active.items()
            if active.loop.scrapes < SCRAPES_WANTED
        )


async def run_demo(*, once: bool, listen: WebOptions, strict_port: bool, console: Console) -> None:
    """Run the demo until interrupted or, with ``once``, until every target has been scraped twice.

    A taken port gives way to a free one unless ``strict_port``.

    Raises:
        DemoFailed: with ``once``, not every target was scraped twice in time.
        ListenError: the address cannot be listened on.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="promscout-demo-")))
        log = stack.enter_context((directory / "promscout.log").open("w"))
        configure_logs(LogLevel.INFO, LogFormat.TEXT, log)
        if not strict_port and not _is_free(listen):
            console.print(f"{listen.host}:{listen.port} is in use; the web page is on another port.")
            listen = WebOptions(host=listen.host, port=0)
        console.print("Starting a cluster of about 50 pods, each with an exporter on its own 127.x.y.z address …")
        cluster = SimCluster(live=True)
        populate_demo(cluster.store)
        await stack.enter_async_context(cluster)
        listen = WebOptions(host=listen.host, port=listen.port or _free_port(listen.host))
        config = _write_config(directory, cluster.url, listen)
        demo = Demo(cluster, Agent(lambda: load_config(config), web=listen), directory)
        stack.callback(cluster.store.subscribe(demo.lag.observe))
        try:
            await _run(demo, stop, once=once, console=console, log=log)
        except BaseExceptionGroup as group:
            # Of the parts that run side by side the first that failed is the reason; the others were cancelled.
            raise group.exceptions[0] from None


async def _run(demo: Demo, stop: asyncio.Event, *, once: bool, console: Console, log: TextIO) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(demo.agent.run(), name="agent")
        churning = group.create_task(demo.churn(2, ONCE_CHANGES if once else None), name="churn")
        try:
            await demo.agent.wait_ready()
            console.print(f"Web page: [bold cyan]{demo.agent.web.url}/[/]   (ends with Ctrl-C)")
            if once:
                await _until_scraped(demo, stop, churning, console)
                console.print(render_summary(demo.snapshot()))
            else:
                await _show(demo, stop, console)
        finally:
            churning.cancel()
            demo.agent.stop()
            log.flush()


async def _until_scraped(demo: Demo, stop: asyncio.Event, churning: asyncio.Task[None], console: Console) -> None:
    """Wait until churn is over and every target was scraped twice."""
    try:
        async with asyncio.timeout(ONCE_SECONDS):
            with console.status("Waiting until every target has been scraped twice …"):
                while not stop.is_set():
                    snapshot = demo.snapshot()
                    found = all(job.targets for job in snapshot.jobs)
                    if churning.done() and found and not demo.unfinished():
                        return
                    await asyncio.sleep(REFRESH_SECONDS / 5)
    except TimeoutError:
        empty = [job.name for job in demo.snapshot().jobs if not job.targets]
        left = demo.unfinished()
        reason = f"no targets for {', '.join(empty)}" if empty else f"{len(left)} targets left, for example {left[:3]}"
        raise DemoFailed(f"not every target was scraped twice within {ONCE_SECONDS:g} s: {reason}") from None
    raise DemoFailed("interrupted before every target was scraped twice")


async def _show(demo: Demo, stop: asyncio.Event, console: Console) -> None:
    """Show what happens until stopped: live on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        while not stop.is_set():
            await _wait(stop, PLAIN_SECONDS)
            print(demo.snapshot().line(), file=sys.stdout, flush=True)  # noqa: T201 - progress for people and pipes
        return
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while not stop.is_set():
            live.update(render(demo.snapshot()), refresh=True)
            await _wait(stop, REFRESH_SECONDS)


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


def _write_config(directory: Path, api_server: str, listen: WebOptions) -> Path:
    text = files("promscout.demo").joinpath("prometheus.yml").read_text()
    path = directory / "prometheus.yml"
    path.write_text(text.replace("API_SERVER\n", f"{api_server}\n").replace('"WEB"', f'"{listen.host}:{listen.port}"'))
    return path


def _is_free(listen: WebOptions) -> bool:
    try:
        with socket.create_server((listen.host, listen.port)):
            return True
    except OSError:
        return False


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return int(server.getsockname()[1])
