"""A Prometheus that stores what it scrapes, and a promscout that sends what it scrapes, with the same targets.

Targets expose the same for as long as a phase lasts: until both programs have scraped each of them three times.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from signal import SIGTERM
from typing import Any

from aiohttp import web

from e2e.promscout_process import Promscout, until
from peers import Prometheus, VictoriaMetrics

from .pipeline_pages import PAGES, PHASES

INTERVAL = 1  # second
SCRAPES = 3  # of each target in each phase; markers of a removed target take Prometheus two intervals
EARLIER = 0.5  # seconds; what the next phase shows must not have the time of a moment of this one
CLOSED = frozenset({2, 3})  # phases in which nobody listens where the job "closed" looks
RELOADED = 4  # the phase that begins with another scrape_timeout for the job "kinds"
FLAGS = ("--enable-feature=native-histograms,exemplar-storage,extra-scrape-metrics",)
LISTED = (
    {"a": "1", "b": "1"},
    {"a": "1", "b": "1"},
    {"b": "1"},
    {},
    {"a": "1", "b": "1"},
    {"a": "2", "b": "2"},
    {"a": "1", "b": "2"},
)
"""The targets in the file of the job "listed", by phase: instance → the label ``version``."""


class Exporter:
    """Serves the pages as they are in the current phase."""

    def __init__(self) -> None:
        self.phase = -1
        self.began_ms = 0
        self._over = asyncio.Event()

    def turn(self) -> None:
        """Begins the next phase."""
        self._over.set()
        self._over = asyncio.Event()
        self.phase += 1
        self.began_ms = round(time.time() * 1000) + 10  # later than every sample before

    @asynccontextmanager
    async def running(self, port: int = 0):
        """The address of a server."""
        application = web.Application()
        application.router.add_get("/{page}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            yield f"127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _answer(self, request):
        answer = PAGES[request.match_info["page"]].answer(self.phase, self.began_ms)
        if answer.hangs:
            await self._over.wait()
            return web.Response(status=504)
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        headers = {"Content-Type": answer.content_type, **answer.headers}
        return web.Response(body=body, status=answer.status, headers=headers)


@dataclass
class Scene:
    """The two programs and their targets. ``moments`` has a moment at the end of each phase that was played."""

    exporter: Exporter
    address: str
    file: Path
    theirs: Prometheus
    ours: Promscout
    moments: list[float] = field(default_factory=list)

    async def play(self) -> None:
        """One phase, from its begin to a moment at its end."""
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(listed(self.exporter.phase, self.address)))
        new.rename(self.file)
        for program in (self.theirs, self.ours):
            await until(lambda program=program: self._has_the_targets(program), 30, f"{program} has the targets")
        began = time.time()
        seen: dict[tuple[str, ...], set[str]] = defaultdict(set)
        await until(lambda: self._scraped(seen, began), 40, f"scrapes of all in phase {self.exporter.phase}")
        self.moments.append(time.time() - EARLIER)

    async def turn(self) -> None:
        """Begins the next phase as far as can be from scrapes of pages with time stamps.

        One that begins before such a time and is answered after it would mean something else than all others.
        """
        targets = [one for program in (self.theirs, self.ours) for one in (await program.targets())["activeTargets"]]
        slots = sorted(
            datetime.fromisoformat(one["lastScrape"]).timestamp() % INTERVAL
            for one in targets
            if one["scrapePool"].startswith("stamped")
        )
        width, start = max(
            (after - slot, slot) for slot, after in zip(slots, [*slots[1:], slots[0] + INTERVAL], strict=True)
        )
        await asyncio.sleep((start + width / 2 - time.time()) % INTERVAL)
        self.exporter.turn()

    async def _has_the_targets(self, program: Prometheus | Promscout) -> bool:
        active = [one["labels"] for one in (await program.targets())["activeTargets"]]
        wanted = LISTED[self.exporter.phase]
        found = [(one["instance"], one["version"]) for one in active if one["job"] == "listed"]
        return sorted(found) == sorted(wanted.items()) and len(active) == 2 * len(PAGES) + 2 + len(wanted)

    async def _scraped(self, seen: dict[tuple[str, ...], set[str]], began: float) -> bool:
        """Whether all targets were scraped often enough since then, and their last scrapes went as they must."""
        good = True
        for program in (self.theirs, self.ours):
            for one in (await program.targets())["activeTargets"]:
                scrapes = seen[program.program, *map(str, sorted(one["labels"].items()))]
                if datetime.fromisoformat(one["lastScrape"]).timestamp() > began:
                    scrapes.add(one["lastScrape"])
                good = good and len(scrapes) >= SCRAPES and (one["health"] == "up") is self._works(one["scrapePool"])
        return good

    def _works(self, job: str) -> bool:
        """Whether a job's targets must be up in the current phase."""
        phase = self.exporter.phase
        if job == "closed":
            return phase not in CLOSED
        return job not in PAGES or PAGES[job].answer(phase, 0).works


def listed(phase: int, address: str) -> list[dict[str, Any]]:
    """What the file of the job "listed" has."""
    return [
        {
            "targets": [address],
            "labels": {"instance": instance, "version": version, "__metrics_path__": "/kinds"},
        }
        for instance, version in LISTED[phase].items()
    ]


def configuration(address: str, node: str, closed: str, file: Path) -> dict[str, Any]:
    targets = [
        {"targets": [address], "labels": {"team": "x"}},
        {"targets": [address], "labels": {"instance": "second", "replica": "2"}},
    ]
    jobs = [
        {"job_name": name, "metrics_path": f"/{name}", "static_configs": targets, **page.options}
        for name, page in PAGES.items()
    ]
    jobs += [
        {"job_name": "node", "static_configs": [{"targets": [node]}]},
        {"job_name": "closed", "metrics_path": "/kinds", "static_configs": [{"targets": [closed]}]},
        {"job_name": "listed", "file_sd_configs": [{"files": [str(file)]}]},
    ]
    return {"global": {"scrape_interval": f"{INTERVAL}s", "scrape_timeout": f"{INTERVAL}s"}, "scrape_configs": jobs}


def reconfigured(config: dict[str, Any]) -> dict[str, Any]:
    """The same with another timeout for one job."""
    jobs = [
        {**job, "scrape_timeout": "900ms"} if job["job_name"] == "kinds" else job for job in config["scrape_configs"]
    ]
    return {**config, "scrape_configs": jobs}


def as_prometheus_has_it(config: dict[str, Any]) -> dict[str, Any]:
    """Without options that the peer's version has as flags for all jobs."""
    jobs = [
        {key: value for key, value in job.items() if key != "scrape_native_histograms"}
        for job in config["scrape_configs"]
    ]
    return {**config, "scrape_configs": jobs}


def as_promscout_has_it(config: dict[str, Any], *receivers: Prometheus | VictoriaMetrics) -> dict[str, Any]:
    sections = [
        {
            "url": one.remote_write_url,
            "send_native_histograms": isinstance(one, Prometheus),
            "send_exemplars": isinstance(one, Prometheus),
            "queue_config": {"batch_send_deadline": "100ms"},
        }
        for one in receivers
    ]
    return {**config, "global": {**config["global"], "extra_scrape_metrics": True}, "remote_write": sections}


@dataclass(frozen=True)
class Played:
    """What is there when all phases are over: what Prometheus scraped, and what two receivers got from promscout.

    ``moments`` are the ends of the phases.
    """

    moments: list[float]
    theirs: Prometheus
    receiver: Prometheus
    database: VictoriaMetrics


@asynccontextmanager
async def all_phases(peers_dir: Path, directory: Path, node: str, database: VictoriaMetrics, port: int):
    """Plays all phases. The target that is closed at times listens on ``port``."""
    exporter, file = Exporter(), directory / "targets.json"
    async with AsyncExitStack() as stack:
        address = await stack.enter_async_context(exporter.running())
        config = configuration(address, node, f"127.0.0.1:{port}", file)
        receiver = await stack.enter_async_context(Prometheus(peers_dir, directory, {}, *FLAGS))
        exporter.turn()
        theirs = Prometheus(peers_dir, directory, as_prometheus_has_it(config), *FLAGS)
        await stack.enter_async_context(theirs)
        async with Promscout(directory, as_promscout_has_it(config, receiver, database)) as ours:
            scene = Scene(exporter, address, file, theirs, ours)
            for phase in range(PHASES):
                if phase:
                    await scene.turn()
                if phase == RELOADED:
                    config = reconfigured(config)
                    await theirs.reload(as_prometheus_has_it(config))
                    await ours.reload(as_promscout_has_it(config, receiver, database))
                async with AsyncExitStack() as within:
                    if phase not in CLOSED:
                        await within.enter_async_context(exporter.running(port))
                    await scene.play()
            ours.signal(SIGTERM)
            assert await ours.exit_code(10) == 0, "all that waits is sent"
        yield Played(scene.moments, theirs, receiver, database)
