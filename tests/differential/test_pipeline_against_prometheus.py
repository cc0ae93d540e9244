"""The whole pipeline over time: a Prometheus that stores what it scrapes, and receivers of what promscout sends.

Targets expose the same for as long as a phase lasts, which is until both programs have scraped each three times. What
queries answer for a moment at the end of a phase must then be the same.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import defaultdict
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from signal import SIGTERM
from typing import Any

import pytest
from aiohttp import web

from e2e.promscout_process import Promscout, until
from peers import Prometheus, VictoriaMetrics

from .pipeline_pages import BROKEN, PAGES, PHASES, Answer

SCRAPES = 3  # of each target in each phase; markers of a removed target take Prometheus two intervals
CLOSED = frozenset({2, 3})  # phases in which nobody listens where the job "closed" looks
EARLIER = 0.5  # seconds; what the next phase shows must not have the time of a moment of this one
RELOADED = 4  # the phase that begins with another scrape_timeout for the job "kinds"
FLAGS = ("--enable-feature=native-histograms,exemplar-storage,extra-scrape-metrics",)
ALL = '{job!=""}'
LISTED = [
    [{"targets": ["a", "b"], "labels": {"version": "1"}}],
    [{"targets": ["a", "b"], "labels": {"version": "1"}}],
    [{"targets": ["b"], "labels": {"version": "1"}}],
    [],
    [{"targets": ["a", "b"], "labels": {"version": "1"}}],
    [{"targets": ["a", "b"], "labels": {"version": "2"}}],
    [{"targets": ["b"], "labels": {"version": "2"}}, {"targets": ["a"], "labels": {"version": "1"}}],
]
"""What the file of the job "listed" has, by phase; instances, not addresses."""

EXEMPLARS = -1
"""In the place of a phase: the exemplars of all phases."""

Labels = frozenset[tuple[str, str]]
Stored = dict[Labels, Any]


@dataclass(frozen=True)
class Known:
    """A difference that is meant to be: of which jobs, names and phases, and why."""

    reason: str
    jobs: frozenset[str]
    names: frozenset[str]
    phases: frozenset[int]

    def covers(self, phase: int, labels: Labels) -> bool:
        texts = dict(labels)
        return phase in self.phases and texts["job"] in self.jobs and texts["__name__"] in self.names


KNOWN = (
    Known(
        "all series turn stale when a scrape fails, also those that stand before what is wrong or too much",
        frozenset({"broken_within", "limited", "labelled"}),
        frozenset({"before", "one", "few"}),
        frozenset({1, 2, 3, 5, 6}),
    ),
    Known(
        "nothing of a body with an error counts as relabelled",
        frozenset({"broken_within"}),
        frozenset({"scrape_samples_post_metric_relabeling"}),
        BROKEN,
    ),
    Known(
        "histograms of one family have exemplars each; Prometheus begins those of one where those before ended",
        frozenset({"protobuf"}),
        frozenset({"native_seconds"}),
        frozenset({EXEMPLARS}),
    ),
    Known(
        "a series does not turn stale while it is exposed, even if its samples are too old to be stored",
        frozenset({"stamped_tracked"}),
        frozenset({"back"}),
        frozenset({1, 3, 5}),
    ),
)
"""Differences from Prometheus that docs/compatibility.md lists."""

DECIMALS = 1e-13
"""VictoriaMetrics stores decimals of some 14 digits."""

MOVING = frozenset({"scrape_duration_seconds"})
"""Names whose values are compared with nothing."""


class Exporter:
    """Serves the pages as they are in the current phase."""

    def __init__(self) -> None:
        self.phase = -1
        self.began_ms = 0
        self.address = ""
        self._over = asyncio.Event()

    def turn(self) -> float:
        """Begins the next phase. Returns when, in seconds of the wall clock."""
        self._over.set()
        self._over = asyncio.Event()
        self.phase += 1
        now = time.time()
        self.began_ms = round(now * 1000) + 10  # later than every sample before
        return now

    @asynccontextmanager
    async def running(self, port: int = 0):
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
        page = PAGES[request.match_info["page"]]
        answer: Answer = page.answer(self.phase, self.began_ms)
        if answer.hangs:
            await self._over.wait()
            return web.Response(status=504)
        body = answer.body.encode() if isinstance(answer.body, str) else answer.body
        headers = {"Content-Type": answer.content_type, **answer.headers}
        return web.Response(body=body, status=answer.status, headers=headers)


@dataclass
class Scene:
    """Everything that runs, and what was seen of it: ``moments`` has a moment at the end of each phase."""

    exporter: Exporter
    theirs: Prometheus
    ours: Promscout
    files: Any
    began: float = 0.0
    moments: list[float] = field(default_factory=list)

    def list_targets(self) -> None:
        """Replaces the file of the job "listed"."""
        new = self.files.with_suffix(".new")
        groups = [
            {
                "targets": [self.exporter.address],
                "labels": {**group["labels"], "instance": instance, "__metrics_path__": "/kinds"},
            }
            for group in LISTED[self.exporter.phase]
            for instance in group["targets"]
        ]
        new.write_text(json.dumps(groups))
        new.rename(self.files)

    def works(self, target: dict[str, Any]) -> bool:
        """Whether a target must be up in the current phase."""
        job, phase = target["scrapePool"], self.exporter.phase
        if job == "closed":
            return phase not in CLOSED
        return job not in PAGES or PAGES[job].answer(phase, 0).works

    async def play(self) -> None:
        """One phase, from its begin to a moment at its end."""
        self.list_targets()
        listed = sum(len(group["targets"]) for group in LISTED[self.exporter.phase])
        for program in (self.theirs, self.ours):
            await until(lambda program=program: self._discovered(program, listed), 30, f"{program} has the targets")
        began = time.time()
        seen: dict[tuple[str, ...], set[str]] = defaultdict(set)
        await until(lambda: self._scraped(seen, began), 40, f"scrapes of all in phase {self.exporter.phase}")
        self.moments.append(time.time() - EARLIER)

    async def _discovered(self, program: Prometheus | Promscout, listed: int) -> bool:
        active = (await program.targets())["activeTargets"]
        wanted = {
            (instance, group["labels"]["version"])
            for group in LISTED[self.exporter.phase]
            for instance in group["targets"]
        }
        found = {
            (one["labels"]["instance"], one["labels"]["version"]) for one in active if one["scrapePool"] == "listed"
        }
        return found == wanted and len(active) == 2 * len(PAGES) + 2 + listed

    async def _scraped(self, seen: dict[tuple[str, ...], set[str]], began: float) -> bool:
        """Whether all targets were scraped often enough since then, and their last scrapes went as they must."""
        good = True
        for program in (self.theirs, self.ours):
            for one in (await program.targets())["activeTargets"]:
                scrapes = seen[program.program, *map(str, sorted(one["labels"].items()))]
                if datetime.fromisoformat(one["lastScrape"]).timestamp() > began:
                    scrapes.add(one["lastScrape"])
                good = good and len(scrapes) >= SCRAPES and (one["health"] == "up") is self.works(one)
        return good


def configuration(address, node, closed, files, **others):
    options = {name: dict(page.options) for name, page in PAGES.items()}
    for job in options.values():
        job["static_configs"] = [
            {"targets": [address], "labels": {"team": "x"}},
            {"targets": [address], "labels": {"instance": "second", "replica": "2"}},
        ]
    jobs = [{"job_name": name, "metrics_path": f"/{name}", **job} for name, job in options.items()]
    jobs += [
        {"job_name": "node", "static_configs": [{"targets": [node]}]},
        {"job_name": "closed", "metrics_path": "/kinds", "static_configs": [{"targets": [closed]}]},
        {"job_name": "listed", "file_sd_configs": [{"files": [str(files)]}]},
    ]
    return {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs, **others}


def as_prometheus_has_it(config):
    """Without options that the peer's version has as flags for all jobs."""
    jobs = [
        {key: value for key, value in job.items() if key != "scrape_native_histograms"}
        for job in config["scrape_configs"]
    ]
    return {**config, "scrape_configs": jobs}


def as_promscout_has_it(config, *receivers):
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
    """What was stored, to be asked for as long as the databases run. ``moments`` are the ends of the phases."""

    moments: list[float]
    theirs: Prometheus
    receiver: Prometheus
    database: VictoriaMetrics


@pytest.fixture
async def played(peers_dir, tmp_path, node_exporter, victoria_metrics, free_port):
    exporter, files = Exporter(), tmp_path / "targets.json"
    async with AsyncExitStack() as stack:
        exporter.address = await stack.enter_async_context(exporter.running())
        config = configuration(exporter.address, node_exporter.address, f"127.0.0.1:{free_port}", files)
        receiver = await stack.enter_async_context(Prometheus(peers_dir, tmp_path, {}, *FLAGS))
        exporter.turn()
        theirs = Prometheus(peers_dir, tmp_path, as_prometheus_has_it(config), *FLAGS)
        await stack.enter_async_context(theirs)
        async with Promscout(tmp_path, as_promscout_has_it(config, receiver, victoria_metrics)) as ours:
            scene = Scene(exporter, theirs, ours, files)
            for phase in range(PHASES):
                if phase:
                    exporter.turn()
                if phase == RELOADED:
                    config["scrape_configs"][0]["scrape_timeout"] = "900ms"
                    await theirs.reload(as_prometheus_has_it(config))
                    await ours.reload(as_promscout_has_it(config, receiver, victoria_metrics))
                async with AsyncExitStack() as within:
                    if phase not in CLOSED:
                        await within.enter_async_context(exporter.running(free_port))
                    await scene.play()
            ours.signal(SIGTERM)
            assert await ours.exit_code(10) == 0, "all that waits is sent"
        yield Played(scene.moments, theirs, receiver, victoria_metrics)


def plain(text: str) -> Any:
    """A value that compares with itself."""
    value = float(text)
    return "NaN" if math.isnan(value) else value


async def stored(peer: Prometheus | VictoriaMetrics, moment: float) -> Stored:
    """The value of each series that is there at a moment; native histograms as text."""
    rows = await peer.query(ALL, moment)
    found = {
        frozenset(one["metric"].items()): plain(one["value"][1])
        if "value" in one
        else json.dumps(one["histogram"][1], sort_keys=True)
        for one in rows
    }
    assert len(found) == len(rows)
    return found


async def own_samples(peer: Prometheus | VictoriaMetrics, moment: float) -> Stored:
    """All samples of the series with time stamps of their own, in milliseconds."""
    rows = await peer.query('{own="yes",job!="stamped_ignored"}[10m]', moment)
    return {
        frozenset(one["metric"].items()): [
            # The staleness markers that VictoriaMetrics shows say NaN.
            (round(at * 1000), float(text))
            for at, text in one["values"]
            if not math.isnan(float(text))
        ]
        for one in rows
    }


async def exemplars(peer: Prometheus, moments: list[float]) -> dict[Labels, set[tuple[Any, ...]]]:
    """Labels, value and milliseconds of each exemplar, by series; None for those that have the time of a scrape."""
    window = {"start": f"{moments[0] - 60:.3f}", "end": f"{moments[-1]:.3f}"}
    answer = await peer.get_json("/api/v1/query_exemplars", query=ALL, **window)
    return {
        frozenset(series["seriesLabels"].items()): {
            (
                *sorted(one["labels"].items()),
                float(one["value"]),
                None if "phase" in one["labels"] else round(one["timestamp"] * 1000),
            )
            for one in series["exemplars"]
        }
        for series in answer["data"]
    }


def is_moving(labels: Labels) -> bool:
    """Whether the value is another one at each moment."""
    texts = dict(labels)
    name = texts["__name__"]
    if texts["job"] == "node" and not name.startswith(("up", "scrape_samples", "scrape_series")):
        return not name.endswith(("_info", "_MemTotal_bytes", "scrape_timeout_seconds", "scrape_sample_limit"))
    return name in MOVING


def comparable(phase: int, found: Stored) -> Stored:
    """What two databases must have in common."""
    return {
        labels: None if is_moving(labels) else value
        for labels, value in found.items()
        if not any(one.covers(phase, labels) for one in KNOWN)
    }


def shown_by_victoria_metrics(found: Stored, theirs: Stored) -> Stored:
    """Without native histograms, which it does not have, and NaN, in whose place it shows the value before."""
    return {labels: value for labels, value in found.items() if not isinstance(theirs.get(labels), str)}


def same(mine: Any, other: Any, tolerance: float) -> bool:
    if isinstance(mine, float) and isinstance(other, float):
        return math.isclose(mine, other, rel_tol=tolerance, abs_tol=0)
    if isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        return all(at == when and same(one, two, tolerance) for (at, one), (when, two) in zip(mine, other, strict=True))
    return bool(mine == other)


def differences(what: str, ours: dict[Labels, Any], theirs: dict[Labels, Any], tolerance: float = 0):
    for labels in ours.keys() | theirs.keys():
        mine, other = ours.get(labels, "absent"), theirs.get(labels, "absent")
        if not same(mine, other, tolerance):
            yield f"{what} {sorted(labels)}: {mine}, in Prometheus {other}"


def counters_out_of_place(theirs: list[Stored], ours: list[Stored]):
    """Counters of node_exporter that are not between those of the moments before and after."""
    for phase in range(1, PHASES - 1):
        for labels, value in ours[phase].items():
            texts = dict(labels)
            if texts["job"] == "node" and texts["__name__"].endswith("_total"):
                before, after = (found.get(labels) for found in (theirs[phase - 1], theirs[phase + 1]))
                if before is not None and after is not None and not before <= value <= after:
                    yield f"phase {phase}, {sorted(labels)}: {value}, in Prometheus {before} before, {after} after"


async def interrupted(database: VictoriaMetrics, steady: set[Labels]):
    """Series that turned stale although they were there all the time, on targets that were up all the time."""
    rows = await database.export(ALL)
    down = {
        (row["metric"]["job"], row["metric"]["instance"])
        for row in rows
        if row["metric"]["__name__"] == "up" and row["values"] != [1] * len(row["values"])
    }
    for row in rows:
        labels = row["metric"]
        if (labels["job"], labels["instance"]) not in down and frozenset(labels.items()) in steady:
            if None in row["values"]:
                yield f"{sorted(labels.items())} turned stale: {row['values']}"
            steady.discard(frozenset(labels.items()))


async def test_queries_at_the_same_moments_answer_the_same(played):
    theirs, ours, database = [
        [await stored(peer, moment) for moment in played.moments]
        for peer in (played.theirs, played.receiver, played.database)
    ]
    wrong = list(counters_out_of_place(theirs, ours))
    for phase in range(PHASES):
        expected, received = comparable(phase, theirs[phase]), comparable(phase, ours[phase])
        wrong += differences(f"phase {phase}, receiver,", received, expected)
        wrong += differences(
            f"phase {phase}, VictoriaMetrics,",
            shown_by_victoria_metrics(comparable(phase, database[phase]), expected),
            shown_by_victoria_metrics(expected, expected),
            DECIMALS,
        )
    own = [await own_samples(peer, played.moments[-1]) for peer in (played.theirs, played.receiver, played.database)]
    wrong += differences("own times, receiver,", own[1], own[0])
    wrong += differences("own times, VictoriaMetrics,", own[2], own[0], DECIMALS)
    marked = [await exemplars(peer, played.moments) for peer in (played.theirs, played.receiver)]
    wrong += differences("exemplars,", comparable(EXEMPLARS, marked[1]), comparable(EXEMPLARS, marked[0]))
    steady = {labels for labels in theirs[0] if all(isinstance(found.get(labels), float) for found in theirs)}
    looked_at = len(steady)
    wrong += [one async for one in interrupted(played.database, steady)]
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(sorted(wrong)[:200])

    # There was something to compare, and what is known to differ does.
    assert all(len(found) > 1500 for found in theirs), [len(found) for found in theirs]
    assert looked_at - len(steady) > 500, (looked_at, len(steady))
    assert sum(isinstance(value, str) and value != "NaN" for found in theirs for value in found.values()) > 4 * PHASES
    assert sum(map(len, own[0].values())) > 10 * PHASES
    assert sum(map(len, marked[0].values())) > 10 * PHASES
    for one in KNOWN:
        pairs = [*enumerate(zip(theirs, ours, strict=True)), (EXEMPLARS, marked)]
        covered = [
            [{labels: value for labels, value in found.items() if one.covers(phase, labels)} for found in both]
            for phase, both in pairs
        ]
        assert any(mine != other for mine, other in covered), one.reason
