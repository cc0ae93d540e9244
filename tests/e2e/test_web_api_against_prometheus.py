"""The API for targets answers as a real Prometheus with the same targets does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from peers import Prometheus
from promscout.model.clock import SystemClock
from promscout.model.duration import Duration
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.scrape.config import ScrapeConfig
from unit.web.agent_view import View, agent_view, serving

LABELS = {"team": "<b>&\"'é", "nothing": ""}
QUIET = ["127.0.0.1:1", "localhost:2", "127.0.0.3:3", "[::1]:4"]
OURS = ["lastScrapeSamples", "lastScrapeSize", "lastScrapeFormat", "nextScrape"]
DROPPED = ["127.0.0.5:1", "127.0.0.6:1"]
FAILING = ["127.0.0.7:1"]

CONFIG = {
    "scrape_configs": [
        {
            "job_name": "quiet",
            "scrape_interval": "300d",
            "scrape_timeout": "90s",
            "keep_dropped_targets": 1,
            "params": {"x": ["1", "2&"]},
            "static_configs": [{"targets": QUIET, "labels": LABELS}, {"targets": DROPPED, "labels": {"drop": "yes"}}],
            "relabel_configs": [{"source_labels": ["drop"], "regex": "yes", "action": "drop"}],
        },
        {
            "job_name": "failing",
            "scrape_interval": "100ms",
            "scrape_timeout": "100ms",
            "static_configs": [{"targets": FAILING}],
        },
    ]
}


def fill(view: View) -> None:
    """The same targets as in ``CONFIG``."""
    drop = RelabelConfig(source_labels=("drop",), regex=Regex.parse("yes"), action=Action.DROP)
    moment = Duration.parse("100ms")
    view.scrape.apply_config(
        [
            ScrapeConfig(
                job_name="quiet",
                scrape_interval=Duration.parse("300d"),
                scrape_timeout=Duration.parse("90s"),
                keep_dropped_targets=1,
                params=FrozenDict({"x": ("1", "2&")}),
                relabel_configs=(drop,),
            ),
            ScrapeConfig(job_name="failing", scrape_interval=moment, scrape_timeout=moment),
        ]
    )
    for job, groups in (("quiet", ((QUIET, LABELS), (DROPPED, {"drop": "yes"}))), ("failing", ((FAILING, {}),))):
        view.scrape.pools[job].sync(
            {
                ("static/0", str(position)): TargetGroup.of(
                    str(position), ({"__address__": address} for address in addresses), labels
                )
                for position, (addresses, labels) in enumerate(groups)
            }
        )


@dataclass
class Answer:
    status: int
    content_type: str
    allow: str
    body: Any


@dataclass
class Pair:
    """Both servers, with the same targets, each of which has been scraped if it is ``FAILING``."""

    peer: Prometheus
    url: str

    async def ask(self, path: str, method: str = "GET") -> tuple[Answer, Answer]:
        """Prometheus's answer and ours."""
        answers = []
        async with aiohttp.ClientSession() as client:
            for url in (self.peer.url, self.url):
                async with client.request(method, url + path) as response:
                    body = await (response.json() if response.content_type == "application/json" else response.text())
                    allow = response.headers.get("Allow", "")
                    answers.append(Answer(response.status, response.content_type, allow, body))
        return answers[0], answers[1]


async def wait_until_failed(url: str) -> None:
    """Returns when all targets are there and those of ``FAILING`` have been scraped."""
    for _ in range(300):
        async with aiohttp.request("GET", f"{url}/api/v1/targets") as response:
            targets = (await response.json())["data"]["activeTargets"]
        if len(targets) == len(QUIET + FAILING) and "down" in [target["health"] for target in targets]:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{url} has not scraped its targets: {targets}")


@pytest.fixture
async def pair(prometheus: Callable[..., Any]) -> AsyncIterator[Pair]:
    peer = await prometheus(CONFIG)
    async with agent_view(SystemClock()) as view, serving(view) as server:
        fill(view)
        for url in (peer.url, server.url):
            await wait_until_failed(url)
        yield Pair(peer, server.url)


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """An answer without what is different at any two times, and in one order.

    Prometheus gives the targets of a pool in random order, and does not count equal ones. Of a scrape that has taken
    place only the types are kept.
    """
    data = {key: value for key, value in body["data"].items() if key != "duplicateTargetCounts"}
    for target in data["activeTargets"]:
        for field in OURS:
            target.pop(field, None)
        if target["lastError"]:
            assert target["lastScrape"].startswith("20")
            assert target["lastScrape"].endswith("Z")
            assert 0 < float(target["lastScrapeDuration"]) < 1
            target |= {"lastError": "…", "lastScrape": "…", "lastScrapeDuration": "…"}
    active = sorted(data["activeTargets"], key=lambda target: (target["scrapePool"], target["scrapeUrl"]))
    assert [target["scrapePool"] for target in active] == [target["scrapePool"] for target in data["activeTargets"]]
    return body | {"data": data | {"activeTargets": active}}


async def test_targets_and_pools_are_told_as_prometheus_tells_them(pair: Pair) -> None:
    for query in (
        "",
        "?state=",
        "?state=any",
        "?state=active",
        "?state=DROPPED",
        "?state=bogus",
        "?scrapePool=quiet",
        "?scrapePool=failing&state=active",
        "?scrapePool=nope",
        "?scrapePool=quiet&scrapePool=failing&unknown=1",
    ):
        theirs, ours = await pair.ask(f"/api/v1/targets{query}")
        assert (ours.status, ours.content_type) == (theirs.status, theirs.content_type)
        assert comparable(ours.body) == comparable(theirs.body), query
        for kind in ("activeTargets", "droppedTargets"):
            fields = [[list(target) for target in answer.body["data"][kind]] for answer in (theirs, ours)]
            assert fields[0] == fields[1]
    theirs, ours = await pair.ask("/api/v1/scrape_pools")
    assert ours == theirs


async def test_health_and_refusals_are_told_as_prometheus_tells_them(pair: Pair) -> None:
    for path, method in (
        ("/-/healthy", "GET"),
        ("/-/healthy", "HEAD"),
        ("/-/ready", "GET"),
        ("/-/reload", "GET"),
        ("/-/reload", "POST"),
        ("/-/reload", "PUT"),
        ("/api/v1/targets", "HEAD"),
        ("/api/v1/targets", "POST"),
        ("/api/v1/scrape_pools", "DELETE"),
        ("/api/v1/nope", "GET"),
        ("/metrics", "GET"),
    ):
        theirs, ours = await pair.ask(path, method)
        assert ours.status == theirs.status, (path, method)
    theirs, ours = await pair.ask("/-/reload")
    assert ours.body == theirs.body
    theirs, ours = await pair.ask("/-/healthy")
    assert ours.body == theirs.body.replace("Prometheus Server", "promscout")
    theirs, ours = await pair.ask("/-/ready")
    assert ours.body == theirs.body.replace("Prometheus Server", "promscout")
    # A path that only Prometheus has provokes its error, one that nobody has provokes ours.
    theirs, _ = await pair.ask("/api/v1/query?query=(")
    _, ours = await pair.ask("/api/v1/nope")
    assert list(ours.body) == list(theirs.body) == ["status", "errorType", "error"]
    assert ours.content_type == theirs.content_type
    assert ours.body["status"] == theirs.body["status"]
