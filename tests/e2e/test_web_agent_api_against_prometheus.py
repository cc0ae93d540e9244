"""The whole API of a running promscout answers as that of a Prometheus in agent mode with the same configuration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from e2e.promscout_process import Promscout
from peers import Prometheus
from peers.process import PeerProcess

CONFIG = {
    "global": {"scrape_interval": "300d", "scrape_timeout": "5s", "external_labels": {"place": "here"}},
    "scrape_configs": [
        {
            "job_name": "waiting",
            "scrape_timeout": "90s",
            "metrics_path": "/m",
            "params": {"x": ["1", "2&"]},
            "basic_auth": {"username": "me", "password": "hunter2"},
            "static_configs": [
                {"targets": ["127.0.0.1:1", "127.0.0.2:2"], "labels": {"team": "<b>&\"'é"}},
                {"targets": ["127.0.0.3:3"], "labels": {"drop": "yes"}},
            ],
            "relabel_configs": [
                {"source_labels": ["drop"], "regex": "yes", "action": "drop"},
                {"source_labels": ["__address__"], "regex": "(.*):.*", "target_label": "host"},
            ],
        },
        {
            "job_name": "failing",
            "scrape_interval": "200ms",
            "scrape_timeout": "200ms",
            "honor_labels": True,
            "authorization": {"credentials": "secret token"},
            "static_configs": [{"targets": ["127.0.0.4:1"]}],
        },
    ],
}

ABSENT = "__absent__"
ASK, READ, CHANGE = ("GET", "POST"), ("GET",), ("POST", "PUT")
UNAVAILABLE = {
    "query": ASK,
    "query?query=(": ASK,
    "query_range": ASK,
    "query_exemplars": ASK,
    "format_query": ASK,
    "parse_query": ASK,
    "labels": ASK,
    "label/job/values": READ,
    "series": ASK,
    "alertmanagers": READ,
    "alerts": READ,
    "rules": READ,
    "status/tsdb": READ,
    "admin/tsdb/delete_series": CHANGE,
    "admin/tsdb/clean_tombstones": CHANGE,
    "admin/tsdb/snapshot": CHANGE,
}
OURS = ("lastScrapeSamples", "lastScrapeSize", "lastScrapeFormat", "nextScrape")


@dataclass
class Answer:
    status: int
    content_type: str
    headers: dict[str, str]
    body: Any


@dataclass
class Pair:
    """Both agents; the failing target was scraped by both."""

    client: aiohttp.ClientSession
    theirs: PeerProcess
    ours: PeerProcess

    async def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[Answer, Answer]:
        """Prometheus's answer and ours."""
        theirs, ours = [await self._ask(peer, path, method, headers) for peer in (self.theirs, self.ours)]
        return theirs, ours

    async def _ask(self, peer: PeerProcess, path: str, method: str, headers: dict[str, str]) -> Answer:
        async with self.client.request(method, peer.url + path, headers=headers, allow_redirects=False) as response:
            is_json = response.content_type == "application/json"
            body = await (response.json() if is_json else response.text())
            kept = {name: response.headers.get(name, ABSENT) for name in ("Allow", "Access-Control-Allow-Origin")}
            return Answer(response.status, response.content_type, kept, body)


async def wait_until_failed(peer: PeerProcess) -> None:
    for _ in range(300):
        targets = (await peer.get_json("/api/v1/targets"))["data"]["activeTargets"]
        if len(targets) == 3 and "down" in [target["health"] for target in targets]:
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{peer} has not scraped its targets: {targets}")


@pytest.fixture
async def pair(peers_dir: Path, tmp_path: Path) -> AsyncIterator[Pair]:
    flag = "--web.cors.origin=http://(a|b)[.]example"
    for name in ("theirs", "ours"):
        (tmp_path / name).mkdir()
    async with (
        Prometheus(peers_dir, tmp_path / "theirs", CONFIG, flag, agent=True) as theirs,
        Promscout(tmp_path / "ours", CONFIG, flag) as ours,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as client,
    ):
        for peer in (theirs, ours):
            await wait_until_failed(peer)
        yield Pair(client, theirs, ours)


def comparable(body: dict[str, Any]) -> dict[str, Any]:
    """Targets without what is different at any two times, and in one order."""
    data = {key: value for key, value in body["data"].items() if key != "duplicateTargetCounts"}
    for target in data["activeTargets"]:
        for field in OURS:
            target.pop(field, None)
        if target["lastError"]:
            target |= {"lastError": "…", "lastScrape": "…", "lastScrapeDuration": "…"}
    data["activeTargets"].sort(key=lambda target: (target["scrapePool"], target["scrapeUrl"]))
    return body | {"data": data}


async def compare_targets(pair: Pair) -> None:
    for query in ("", "?state=active", "?state=Dropped", "?state=x", "?scrapePool=waiting", "?scrapePool=no&state=any"):
        theirs, ours = await pair.ask(f"/api/v1/targets{query}")
        assert comparable(ours.body) == comparable(theirs.body), query
        assert (ours.status, ours.content_type) == (theirs.status, theirs.content_type)
    found = (await pair.ours.get_json("/api/v1/targets"))["data"]
    assert sorted(target["health"] for target in found["activeTargets"]) == ["down", "unknown", "unknown"]
    assert len(found["droppedTargets"]) == 1


async def compare_small_answers(pair: Pair) -> None:
    for path in ("scrape_pools", "status/walreplay", "notifications", "metadata?limit=0", "targets/metadata"):
        theirs, ours = await pair.ask(f"/api/v1/{path}")
        assert ours == theirs, path


async def compare_what_an_agent_has_not(pair: Pair) -> None:
    for path, methods in UNAVAILABLE.items():
        for method in methods:
            theirs, ours = await pair.ask(f"/api/v1/{path}", method)
            assert ours == theirs, (path, method)
            assert ours.status == 422


async def compare_bad_parameters(pair: Pair) -> None:
    for path in (
        "targets/metadata?limit=x",
        "targets/metadata?limit=1.5",
        "metadata?limit=x",
        "metadata?limit=",
        "metadata?limit_per_metric=x",
    ):
        theirs, ours = await pair.ask(f"/api/v1/{path}")
        assert ours == theirs, path
    # Of a selector that is none, the words after its place are others.
    theirs, ours = await pair.ask("/api/v1/targets/metadata?match_target=%7B")
    start = 'invalid parameter "match_target": 1:2: parse error: unexpected end of input'
    assert ours.body["error"].startswith(start)
    assert theirs.body["error"].startswith(start)
    assert (ours.status, ours.content_type, list(ours.body)) == (400, theirs.content_type, list(theirs.body))


async def compare_methods_that_are_not_there(pair: Pair) -> None:
    for path, methods in (
        ("/api/v1/targets", ("POST", "PUT", "DELETE", "PATCH", "HEAD")),
        ("/api/v1/query", ("PUT", "DELETE", "HEAD")),
        ("/api/v1/label/job/values", ("POST",)),
        ("/api/v1/status/config", ("POST",)),
        ("/api/v1/admin/tsdb/snapshot", ("GET", "DELETE")),
    ):
        for method in methods:
            theirs, ours = await pair.ask(path, method)
            assert ours == theirs, (path, method)
            assert ours.status == 405


async def compare_statuses(pair: Pair) -> None:
    for path, method in (
        ("/api/v1/nope", "GET"),
        ("/api/v1/nope", "POST"),
        ("/api/v1/", "GET"),
        ("/api", "GET"),
        ("/api/v1/write", "POST"),
        ("/api/v1/otlp/v1/metrics", "POST"),
        ("/-/healthy", "GET"),
        ("/-/healthy", "HEAD"),
        ("/-/ready", "GET"),
        ("/-/ready", "HEAD"),
        ("/-/ready", "POST"),
        ("/-/reload", "GET"),
        ("/-/reload", "POST"),
        ("/metrics", "GET"),
        ("/metrics", "HEAD"),
        ("/metrics", "POST"),
        ("/version", "GET"),
        ("/version", "HEAD"),
        ("/nope", "GET"),
    ):
        theirs, ours = await pair.ask(path, method)
        assert ours.status == theirs.status, (path, method)
    for path, method, status, other in (
        ("/-/healthy", "OPTIONS", 200, 405),
        ("/federate", "GET", 500, 404),
        ("/api/v1/read", "POST", 400, 404),
    ):
        theirs, ours = await pair.ask(path, method)
        assert (theirs.status, ours.status) == (status, other), path


async def compare_origins(pair: Pair) -> None:
    for path in ("/api/v1/targets", "/api/v1/nope", "/api/v1/"):
        for origin in ("http://a.example", "http://c.example"):
            theirs, ours = await pair.ask(path, "OPTIONS", Origin=origin)
            assert ours == theirs, (path, origin)
            assert ours.status == 204
            assert ours.headers["Access-Control-Allow-Origin"] == (origin if "a.example" in origin else ABSENT)
    theirs, ours = await pair.ask("/api/v1/scrape_pools", Origin="http://b.example")
    assert ours == theirs
    assert ours.headers["Access-Control-Allow-Origin"] == "http://b.example"


async def compare_configurations(pair: Pair) -> None:
    theirs, ours = await pair.ask("/api/v1/status/config")
    assert list(ours.body["data"]) == list(theirs.body["data"]) == ["yaml"]
    own = yaml.safe_load(ours.body["data"]["yaml"])
    assert "hunter2" not in ours.body["data"]["yaml"]
    expected = yaml.safe_load(theirs.body["data"]["yaml"])
    assert own["global"].items() <= expected["global"].items()
    # A job is shown as it was written there and with all defaults here.
    for job in expected["scrape_configs"]:
        query = f"/api/v1/scrape_pools/config?scrapePool={job['job_name']}"
        answer = await pair.ours.get_json(query)
        shown = yaml.safe_load(answer["data"]["yaml"])
        differing = {name for name in shown if name in job and not same(shown[name], job[name])}
        assert not differing, {name: (shown[name], job[name]) for name in differing}
        assert {"job_name", "scrape_interval", "scrape_timeout", "metrics_path", "static_configs"} <= shown.keys()
        written = next(one for one in CONFIG["scrape_configs"] if one["job_name"] == job["job_name"])
        assert written.keys() <= shown.keys()


def same(ours: Any, theirs: Any) -> bool:
    """Equal but for defaults that only one of them writes out."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return all(same(ours[name], theirs[name]) for name in ours.keys() & theirs.keys())
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    return bool(ours == theirs)


async def compare_what_runs(pair: Pair) -> None:
    for name in ("buildinfo", "runtimeinfo"):
        theirs, ours = await pair.ask(f"/api/v1/status/{name}")
        assert (ours.status, ours.content_type) == (theirs.status, theirs.content_type)
        kinds = {field: type(value) for field, value in theirs.body["data"].items()}
        assert kinds.items() <= {field: type(value) for field, value in ours.body["data"].items()}.items()
    _, ours = await pair.ask("/version")
    assert ours.body == (await pair.ours.get_json("/api/v1/status/buildinfo"))["data"]
    theirs, ours = await pair.ask("/api/v1/status/flags")
    shared = theirs.body["data"].keys() & ours.body["data"].keys()
    assert shared >= {
        "config.file",
        "storage.agent.path",
        "web.listen-address",
        "web.cors.origin",
        "web.enable-lifecycle",
        "web.enable-admin-api",
        "web.external-url",
        "web.route-prefix",
        "web.page-title",
        "web.max-connections",
        "web.read-timeout",
        "web.config.file",
    }
    for name in ("web.enable-admin-api", "web.max-connections", "web.read-timeout", "web.config.file"):
        assert ours.body["data"][name] == theirs.body["data"][name]


# Prometheus takes five seconds until it scrapes: few tests with much in each.


async def test_targets_configuration_and_status_are_told_as_by_prometheus(pair: Pair) -> None:
    await compare_targets(pair)
    await compare_small_answers(pair)
    await compare_configurations(pair)
    await compare_what_runs(pair)


async def test_refusals_are_those_of_prometheus(pair: Pair) -> None:
    await compare_what_an_agent_has_not(pair)
    await compare_bad_parameters(pair)
    await compare_methods_that_are_not_there(pair)
    await compare_statuses(pair)
    await compare_origins(pair)
