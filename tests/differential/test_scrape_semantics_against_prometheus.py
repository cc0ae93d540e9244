"""What scrapes store and report, and how they fail, is what a real Prometheus makes of the same targets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from peers import Prometheus
from promscout.config import parse_config
from promscout.model.clock import SystemClock
from promscout.model.group import TargetGroup
from promscout.scrape.loop import ScrapeLoop
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.transport import Transport
from unit.scrape.fakes import STALE, Recorder, context

PLAIN = "a 1\nb 2\nc 3\n"
CLASH = (
    'm{job="x",instance="y",exported_job="z",own=""} 1\nn{exported_instance="i",team=""} 2\n'
    'o{exported_exported_job="1",job="2",team="t"} 3\n'
)
LONG = 'ok 1\nlong{label_with_a_long_name="' + "välue" * 20 + '"} 1\n'
DUPLICATES = 'a 1\nb 1\na 2\nc{x="1"} 3\na 3\n'

JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": (PLAIN, {}),
    "clash": (CLASH, {}),
    "clash_honoured": (CLASH, {"honor_labels": True}),
    "labels_enough": (LONG, {"label_limit": 7}),
    "labels_too_many": (LONG, {"label_limit": 6}),
    "label_names_enough": (LONG, {"label_name_length_limit": 22}),
    "label_names_too_long": (LONG, {"label_name_length_limit": 21}),
    "label_values_enough": (LONG, {"label_value_length_limit": 120}),
    "label_values_too_long": (LONG, {"label_value_length_limit": 119}),
    "samples_enough": (PLAIN, {"sample_limit": 3}),
    "samples_too_many": (PLAIN, {"sample_limit": 2}),
    "samples_dropped_in_time": (
        PLAIN,
        {
            "sample_limit": 2,
            "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": "b", "action": "drop"}],
        },
    ),
    "duplicates": (DUPLICATES, {}),
    "duplicates_do_not_count": (DUPLICATES, {"sample_limit": 3}),
    "duplicates_and_too_many": (DUPLICATES, {"sample_limit": 2}),
    "two_spellings": ('c{x="1"} 3\nc{ x = "1" } 4\n', {}),
    "two_names_become_one": (
        PLAIN,
        {"metric_relabel_configs": [{"target_label": "__name__", "replacement": "same"}]},
    ),
    "extra": (PLAIN, {"extra_scrape_metrics": True, "sample_limit": 9}),
    "extra_failing": (PLAIN, {"extra_scrape_metrics": True, "sample_limit": 1}),
    "targets_too_many": (PLAIN, {"target_limit": 1, "extra_scrape_metrics": True}),
    "not_parsed": ("a 1\nb {\n", {"extra_scrape_metrics": True}),
    "nothing": ("", {"extra_scrape_metrics": True}),
    "times_again": ("a 1 NOW\nb 1\n", {}),
    "times_several": ("a 1 NOW\na 2 AFTER\n", {}),
    "times_back": ("a 1 AFTER\na 2 NOW\n", {}),
    "times_ahead": ("a 1 AHEAD\nb 1\n", {}),
    "times_not_honoured": ("a 1 AHEAD\nb 1\n", {"honor_timestamps": False}),
    "params": (PLAIN, {"params": {"x": ["1", "2&"], "y": ["="]}}),
    "params_relabelled": (
        PLAIN,
        {
            "params": {"x": ["1", "2"]},
            "relabel_configs": [
                {"target_label": "__param_x", "replacement": "new"},
                {"source_labels": ["__address__"], "target_label": "__param_target"},
            ],
        },
    ),
}

NEWER = frozenset({"extra_scrape_metrics"})
"""Options that the peer's version does not have in a job: there they are a feature flag for all jobs."""

VARYING = frozenset({"scrape_duration_seconds"})
EXTRA = frozenset({"scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"})


@asynccontextmanager
async def exporter() -> AsyncIterator[tuple[str, dict[str, set[str]]]]:
    """The address of a server that exposes the body of each job at ``/job``, and the queries that it was asked."""
    started = SystemClock().now_ms()
    asked: dict[str, set[str]] = {"prometheus": set(), "promscout": set()}

    async def body(request: web.Request) -> web.Response:
        agent = request.headers["User-Agent"].partition("/")[0].lower()
        if request.query_string:
            asked[agent].add(f"{request.path} {list(request.query.items())}")
        text = JOBS[request.match_info["job"]][0]
        for word, later in (("NOW", 0), ("AFTER", 1), ("AHEAD", 3_600_000)):
            text = text.replace(word, str(started + later))
        return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.router.add_get("/{job}", body)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"127.0.0.1:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


def job_config(job: str, address: str) -> dict[str, Any]:
    targets = [{"targets": [address], "labels": {"team": "x", "own": "1"}}]
    if job == "targets_too_many":
        targets.append({"targets": [address], "labels": {"team": "y"}})
    # What becomes of the label "job" is what some of them are about: "path" tells the job, too.
    mark = {"source_labels": ["__metrics_path__"], "target_label": "path"}
    options = JOBS[job][1]
    return {
        "job_name": job,
        "metrics_path": f"/{job}",
        "scrape_interval": "500ms",
        "scrape_timeout": "500ms",
        "static_configs": targets,
        **options,
        "relabel_configs": [mark, *options.get("relabel_configs", [])],
    }


@dataclass
class Both:
    """A Prometheus and a promscout that have scraped the same targets several times."""

    theirs: dict[frozenset[tuple[str, str]], float]
    ours: dict[frozenset[tuple[str, str]], float]
    their_errors: dict[str, set[str]]
    our_errors: dict[str, set[str]]
    asked: dict[str, set[str]]


@pytest.fixture
async def both(peers_dir: Path, tmp_path: Path) -> AsyncIterator[Both]:
    async with AsyncExitStack() as stack:
        address, asked = await stack.enter_async_context(exporter())
        jobs = [job_config(job, address) for job in JOBS]
        theirs = [{key: value for key, value in job.items() if key not in NEWER} for job in jobs]
        flag = "--enable-feature=extra-scrape-metrics"
        peer = await stack.enter_async_context(Prometheus(peers_dir, tmp_path, {"scrape_configs": theirs}, flag))
        recorder = Recorder()
        manager = await stack.enter_async_context(ScrapeManager(context(recorder, SystemClock(), Transport)))
        fill(manager, jobs)
        async with asyncio.timeout(30):
            while any(loop.scrapes < 4 for loop in loops(manager)) or not await all_scraped(peer):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        found = await peer.query('{path!=""}')
        their_errors: dict[str, set[str]] = {}
        for target in (await peer.targets())["activeTargets"]:
            their_errors.setdefault(target["scrapePool"], set()).add(target["lastError"])
        our_errors: dict[str, set[str]] = {}
        for job, pool in manager.pools.items():
            our_errors[job] = {active.loop.last.error for active in pool.active.values() if active.loop.last}
        yield Both(
            {frozenset(one["metric"].items()): float(one["value"][1]) for one in found},
            last_samples(recorder),
            their_errors,
            our_errors,
            asked,
        )


def fill(manager: ScrapeManager, jobs: list[dict[str, Any]]) -> None:
    """Make ``jobs`` and their targets what ``manager`` scrapes."""
    config = parse_config(json.dumps({"scrape_configs": jobs}))
    manager.apply_config([job.scrape for job in config.jobs])
    for job in jobs:
        groups = {
            ("static/0", str(position)): TargetGroup.of(
                str(position), [{"__address__": one} for one in group["targets"]], group["labels"]
            )
            for position, group in enumerate(job["static_configs"])
        }
        manager.pools[job["job_name"]].sync(groups)


def loops(manager: ScrapeManager) -> list[ScrapeLoop]:
    return [active.loop for pool in manager.pools.values() for active in pool.active.values()]


async def all_scraped(peer: Prometheus) -> bool:
    counts = await peer.query('count_over_time(up{path!=""}[1m])')
    return len(counts) == len(JOBS) + 1 and all(int(one["value"][1]) >= 4 for one in counts)


def last_samples(recorder: Recorder) -> dict[frozenset[tuple[str, str]], float]:
    """The last sample of each series that is not stale."""
    last = {frozenset(labels.items()): value for labels, _, value in recorder.samples}
    return {labels: value for labels, value in last.items() if value is not STALE}


def shown(samples: dict[frozenset[tuple[str, str]], float], job: str) -> list[str]:
    """The samples of a job's last scrape; the peer's extra metrics only where they were asked for."""
    left_out = VARYING if JOBS[job][1].get("extra_scrape_metrics") else VARYING | EXTRA
    if job == "not_parsed":  # Prometheus counts the samples that come before what is wrong, once more
        left_out |= {"scrape_samples_post_metric_relabeling"}
    return sorted(
        f"{sorted(labels)} {value:g}"
        for labels, value in samples.items()
        if ("path", f"/{job}") in labels and dict(labels)["__name__"] not in left_out
    )


async def test_scrapes_store_report_and_refuse_the_same(both: Both) -> None:
    for job in JOBS:
        assert shown(both.ours, job) == shown(both.theirs, job), job
        assert shown(both.ours, job), job
        theirs, ours = both.their_errors[job], both.our_errors[job]
        assert [bool(error) for error in ours] == [bool(error) for error in theirs], job
        if job.startswith(("label", "targets")):
            assert ours == theirs
        if job.startswith(("samples", "duplicates")):
            assert {error.partition(" (")[0] for error in ours} == theirs
    assert both.asked["promscout"] == both.asked["prometheus"]
    assert len(both.asked["promscout"]) == 2
