"""The endpoints below /api/v1."""

from __future__ import annotations

import gzip
import json
from typing import Any

import aiohttp
import pytest

from promscout.config import Config
from promscout.model.clock import rfc3339
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.scrape.loop import Ending
from promscout.scrape.report import Report
from promscout.web.answers import accepts_gzip
from promscout.web.api.target_filter import TargetFilter
from promscout.web.api.target_list import encode_targets
from promscout.web.external import ExternalURL
from unit.web.agent_view import NOW_MS, Site, View, agent_view, serving

pytestmark = pytest.mark.real_time

EXTERNAL = ExternalURL("https", "scout.example:8443", 9090)
DROP_MARKED = RelabelConfig(source_labels=("drop",), regex=Regex.parse("yes"), action=Action.DROP)


def addresses(data: dict[str, Any]) -> list[str]:
    return [target["discoveredLabels"]["__address__"] for target in data["activeTargets"]]


async def test_an_active_target_has_the_fields_of_prometheus(site: Site) -> None:
    site.view.add_pool("web", params=FrozenDict({"x": ("1", "2")}))
    (active,) = site.view.sync("web", "a", ["127.0.0.2:1"], __meta_zone="z", team="<b>&", nothing="")
    next_ms = active.loop.next_ms
    assert NOW_MS <= next_ms < NOW_MS + 86_400_000
    assert await site.data("/api/v1/targets") == {
        "activeTargets": [
            {
                "discoveredLabels": {
                    "__address__": "127.0.0.2:1",
                    "__meta_zone": "z",
                    "__metrics_path__": "/metrics",
                    "__param_x": "1",
                    "__scheme__": "http",
                    "__scrape_interval__": "1d",
                    "__scrape_timeout__": "10s",
                    "job": "web",
                    "team": "<b>&",
                },
                "labels": {"instance": "127.0.0.2:1", "job": "web", "team": "<b>&"},
                "scrapePool": "web",
                "scrapeUrl": "http://127.0.0.2:1/metrics?x=1&x=2",
                "globalUrl": "http://127.0.0.2:1/metrics?x=1&x=2",
                "lastError": "",
                "lastScrape": "0001-01-01T00:00:00Z",
                "lastScrapeDuration": 0,
                "health": "unknown",
                "scrapeInterval": "1d",
                "scrapeTimeout": "10s",
                "lastScrapeSamples": 0,
                "lastScrapeSize": 0,
                "lastScrapeFormat": "",
                "nextScrape": rfc3339(next_ms),
            }
        ],
        "droppedTargets": [],
        "droppedTargetCounts": {"web": 0},
        "duplicateTargetCounts": {"web": 0},
    }


@pytest.mark.parametrize(("error", "health"), [("", "up"), ('Get "x": refused', "down")])
async def test_the_last_scrape_shows_in_the_target(site: Site, error: str, health: str) -> None:
    site.view.add_pool("web")
    (active,) = site.view.sync("web", "a", ["127.0.0.2:1"])
    active.loop.last = Report(NOW_MS + 120, 0.25, error, scraped=7, size=1234, format="text/plain")
    (target,) = (await site.data("/api/v1/targets"))["activeTargets"]
    shown = {name: value for name, value in target.items() if name.startswith("last") or name == "health"}
    assert shown == {
        "health": health,
        "lastError": error,
        "lastScrape": "2023-11-14T22:13:20.12Z",
        "lastScrapeDuration": 0.25,
        "lastScrapeSamples": 7,
        "lastScrapeSize": 1234,
        "lastScrapeFormat": "text/plain",
    }


async def test_a_target_whose_loop_has_not_started_has_no_next_scrape(site: Site) -> None:
    site.view.add_pool("web")
    (active,) = site.view.sync("web", "a", ["127.0.0.2:1"])
    active.loop.stop(Ending.SHUTDOWN)
    (target,) = (await site.data("/api/v1/targets"))["activeTargets"]
    assert target["nextScrape"] == "0001-01-01T00:00:00Z"


async def test_an_interval_from_relabelling_is_shown_as_written(site: Site) -> None:
    rule = RelabelConfig(target_label="__scrape_interval__", replacement="120s")
    site.view.add_pool("web", relabel_configs=(rule,))
    site.view.sync("web", "a", ["127.0.0.2:1"])
    (target,) = (await site.data("/api/v1/targets"))["activeTargets"]
    assert target["scrapeInterval"] == "120s"


async def fill(view: View) -> None:
    """Pools b and a: two active and three dropped targets in b, of which two are kept for display; one active in a."""
    view.add_pool("b", relabel_configs=(DROP_MARKED,), keep_dropped_targets=2)
    view.add_pool("a")
    view.sync("b", "live", ["127.0.0.2:1", "127.0.0.3:1"])
    view.sync("b", "dead", ["127.0.0.4:1", "127.0.0.5:1", "127.0.0.6:1"], drop="yes", nothing="")
    view.sync("a", "live", ["127.0.0.7:1"])


@pytest.mark.parametrize(
    ("params", "active", "dropped", "counts"),
    [
        ({}, [7, 2, 3], [4, 5], {"a": 0, "b": 3}),
        ({"state": ""}, [7, 2, 3], [4, 5], {"a": 0, "b": 3}),
        ({"state": "any"}, [7, 2, 3], [4, 5], {"a": 0, "b": 3}),
        ({"state": "ACTIVE"}, [7, 2, 3], [], None),
        ({"state": "dropped"}, [], [4, 5], {"a": 0, "b": 3}),
        ({"state": "bogus"}, [], [], None),
        ({"scrapePool": "a"}, [7], [], {"a": 0, "b": 3}),
        ({"scrapePool": "b", "state": "dropped"}, [], [4, 5], {"a": 0, "b": 3}),
        ({"scrapePool": "nope"}, [], [], {"a": 0, "b": 3}),
    ],
)
async def test_state_and_pool_select_targets_in_the_order_of_pool_names(
    site: Site, params: dict[str, str], active: list[int], dropped: list[int], counts: dict[str, int] | None
) -> None:
    await fill(site.view)
    data = await site.data("/api/v1/targets", **params)
    assert addresses(data) == [f"127.0.0.{last}:1" for last in active]
    assert [target["discoveredLabels"]["__address__"] for target in data["droppedTargets"]] == [
        f"127.0.0.{last}:1" for last in dropped
    ]
    assert data["droppedTargetCounts"] == counts


async def test_a_dropped_target_has_its_discovered_labels_without_empty_ones(site: Site) -> None:
    await fill(site.view)
    data = await site.data("/api/v1/targets", state="dropped")
    assert data["droppedTargets"][0] == {
        "discoveredLabels": {
            "__address__": "127.0.0.4:1",
            "__metrics_path__": "/metrics",
            "__scheme__": "http",
            "__scrape_interval__": "1d",
            "__scrape_timeout__": "10s",
            "drop": "yes",
            "job": "b",
        },
        "scrapePool": "b",
    }


async def test_equal_targets_are_one_and_those_beyond_it_are_counted(site: Site) -> None:
    site.view.add_pool("web")
    site.view.sync("web", "a", ["127.0.0.2:1", "127.0.0.2:1", "127.0.0.3:1"])
    site.view.sync("web", "b", ["127.0.0.2:1"])
    data = await site.data("/api/v1/targets")
    assert addresses(data) == ["127.0.0.2:1", "127.0.0.3:1"]
    assert data["duplicateTargetCounts"] == {"web": 2}
    site.view.scrape.pools["web"].sync({("static/0", "a"): TargetGroup("a")})
    assert (await site.data("/api/v1/targets"))["duplicateTargetCounts"] == {"web": 0}
    assert (await site.data("/api/v1/targets", state="dropped"))["duplicateTargetCounts"] is None


async def test_an_agent_without_pools_has_empty_lists(site: Site) -> None:
    assert await site.data("/api/v1/targets") == {
        "activeTargets": [],
        "droppedTargets": [],
        "droppedTargetCounts": {},
        "duplicateTargetCounts": {},
    }
    assert await site.data("/api/v1/scrape_pools") == {"scrapePools": []}


async def test_scrape_pools_are_sorted(site: Site) -> None:
    for job in ("b", "c", "a"):
        site.view.add_pool(job)
    assert await site.data("/api/v1/scrape_pools") == {"scrapePools": ["a", "b", "c"]}


def many(count: int) -> list[str]:
    return [f"127.0.{number // 250}.{number % 250 + 1}:1" for number in range(count)]


async def test_many_targets_are_sent_compressed_where_the_client_reads_gzip(site: Site) -> None:
    site.view.add_pool("web")
    site.view.sync("web", "a", many(500))
    answers = {}
    for encoding in ("gzip", "identity"):
        headers = {"Accept-Encoding": encoding}
        async with site.client.get("/api/v1/targets", headers=headers, auto_decompress=False) as response:
            assert response.headers.get("Content-Encoding", "identity") == encoding
            assert response.headers["Vary"] == "Accept-Encoding"
            answers[encoding] = await response.read()
    assert gzip.decompress(answers["gzip"]) == answers["identity"]
    assert len(answers["gzip"]) < len(answers["identity"]) / 5
    assert addresses(json.loads(answers["identity"])["data"]) == many(500)


async def test_targets_are_encoded_in_pieces_of_bounded_size() -> None:
    async with agent_view() as view:
        view.add_pool("web")
        view.sync("web", "a", many(1000))
        pieces = list(encode_targets(view.scrape, EXTERNAL, TargetFilter()))
    assert len(json.loads(b"".join(pieces))["data"]["activeTargets"]) == 1000
    assert max(map(len, pieces)) < 150_000


async def test_targets_that_go_while_the_answer_is_sent_do_no_harm() -> None:
    async with agent_view() as view:
        view.add_pool("web", relabel_configs=(DROP_MARKED,))
        view.sync("web", "stays", many(300))
        view.sync("web", "goes", ["127.0.9.9:1"])
        view.sync("web", "dropped", many(300), drop="yes")
        pieces = encode_targets(view.scrape, EXTERNAL, TargetFilter())
        sent = b""
        while b'"activeTargets":[{' not in sent:
            sent += next(pieces)
        view.scrape.pools["web"].sync({("static/0", "goes"): TargetGroup("goes")})
        while b'"droppedTargets":[{' not in sent:
            sent += next(pieces)
        for number in range(3):
            view.sync("web", f"new-{number}", many(2), drop="yes")
        view.scrape.pools["web"].sync({("static/0", "dropped"): TargetGroup("dropped")})
        data = json.loads(sent + b"".join(pieces))["data"]
    assert addresses(data) == many(300)
    assert len(data["droppedTargets"]) == 300


@pytest.mark.parametrize(
    ("accepted", "wanted"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip; q=0", False),
        ("gzip;q=0.000", False),
        ("deflate, br", False),
        ("", False),
    ],
)
def test_gzip_is_used_only_where_it_is_accepted(accepted: str, wanted: bool) -> None:
    assert accepts_gzip(accepted) is wanted


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (NOW_MS, "2023-11-14T22:13:20Z"),
        (NOW_MS + 7, "2023-11-14T22:13:20.007Z"),
        (NOW_MS + 700, "2023-11-14T22:13:20.7Z"),
    ],
)
def test_times_are_written_as_go_writes_them(ms: int, text: str) -> None:
    assert rfc3339(ms) == text


@pytest.mark.parametrize(
    ("url", "globalized"),
    [
        ("http://10.0.0.1:80/metrics", "http://10.0.0.1:80/metrics"),
        ("http://127.0.0.2:80/metrics", "http://127.0.0.2:80/metrics"),
        ("http://127.0.0.1:80/metrics?a=b", "http://scout.example:80/metrics?a=b"),
        ("http://localhost/metrics", "http://scout.example/metrics"),
        ("http://[::1]:7/", "http://scout.example:7/"),
        ("http://localhost:9090/metrics", "https://scout.example:8443/metrics"),
        ("http://[broken/metrics", "http://[broken/metrics"),
        ("http://localhost:notaport/", "http://localhost:notaport/"),
    ],
)
def test_a_target_on_localhost_gets_the_external_name(url: str, globalized: str) -> None:
    assert EXTERNAL.globalize(url) == globalized


def test_an_external_ipv6_address_stays_in_brackets() -> None:
    external = ExternalURL("http", "[2001:db8::1]:9090", 9090)
    assert external.globalize("http://localhost:80/") == "http://[2001:db8::1]:80/"


async def test_the_external_url_reaches_the_answer() -> None:
    async with agent_view() as view, serving(view, external_url="https://scout.example") as server:
        view.add_pool("web")
        view.sync("web", "a", ["127.0.0.1:1"])
        async with aiohttp.request("GET", f"{server.url}/api/v1/targets") as response:
            (target,) = (await response.json())["data"]["activeTargets"]
    assert target["globalUrl"] == "http://scout.example:1/metrics"
    assert target["scrapeUrl"] == "http://127.0.0.1:1/metrics"


async def test_the_configuration_is_shown_as_the_agent_gives_it(site: Site) -> None:
    site.view.config = Config(text="remote_write: [{url: <secret>}]\n")
    assert await site.data("/api/v1/status/config") == {"yaml": "remote_write: [{url: <secret>}]\n"}


@pytest.mark.parametrize("path", ["/api/v1/nope", "/api/v1/", "/api/v2/targets", "/api/v1/targets/"])
async def test_an_unknown_endpoint_is_an_error_in_the_shape_of_the_api(site: Site, path: str) -> None:
    async with site.client.get(path) as response:
        assert response.status == 404
        assert await response.json() == {
            "status": "error",
            "errorType": "not_found",
            "error": f"no such endpoint: {path}",
        }


@pytest.mark.parametrize("method", ["POST", "DELETE", "HEAD"])
async def test_the_api_is_only_read(site: Site, method: str) -> None:
    async with site.client.request(method, "/api/v1/targets") as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, OPTIONS"
        assert response.content_type == "text/plain"
