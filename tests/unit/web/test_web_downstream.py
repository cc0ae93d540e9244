"""Lists of targets for other servers."""

from __future__ import annotations

import asyncio
import gzip
import json
from itertools import chain
from urllib.parse import quote

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from promscout.discovery.manager import HANDOVER_SECONDS, DiscoveryManager
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.downstream import clients as client_table
from promscout.downstream.shards import MOST_SHARDS
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.web.access.connection import ConnectionLimits
from promscout.web.api.downstream import cache_control, has_tag, refresh_interval
from unit.discovery.test_manager import A, B, Scripted, ScriptedConfig
from unit.web.agent_view import NOW_MS

REFRESH = "X-Prometheus-Refresh-Interval-Seconds"


def addresses(count, port=9100):
    return [f"127.0.{number // 250}.{number % 250 + 1}:{port}" for number in range(count)]


def listed(groups):
    return sorted(address for group in groups for address in group["targets"])


async def refused(site, path, **params):
    async with site.client.get(path, params=params) as response:
        return response.status, await response.json(), response.headers


async def test_a_list_has_what_relabelling_left_and_nothing_of_before(site):
    site.view.add_pool(
        "web",
        scheme="https",
        metrics_path="/m",
        params=FrozenDict({"x": ("1", "2")}),
        relabel_configs=(
            RelabelConfig(source_labels=("__meta_pod",), target_label="pod"),
            RelabelConfig(target_label="__tmp_kept", replacement="yes"),
            RelabelConfig(source_labels=("__meta_drop",), regex=Regex.parse("(.+)"), action=Action.DROP),
        ),
    )
    site.view.sync("web", "a", ["127.0.0.1:1"], __meta_pod="a-0", team="x")
    site.view.sync("web", "b", ["127.0.0.1:2"], __meta_drop="yes")
    assert await site.json("/sd/http/web") == [
        {
            "targets": ["127.0.0.1:1"],
            "labels": {
                "__metrics_path__": "/m",
                "__param_x": "1",
                "__scheme__": "https",
                "__scrape_interval__": "1d",
                "__scrape_timeout__": "10s",
                "__tmp_kept": "yes",
                "instance": "127.0.0.1:1",
                "job": "web",
                "pod": "a-0",
                "team": "x",
            },
        }
    ]


async def test_a_label_that_was_taken_away_is_told_where_a_default_would_bring_it_back(site):
    rules = (RelabelConfig(regex=Regex.parse("job|__param_x"), action=Action.LABELDROP),)
    site.view.add_pool("web", params=FrozenDict({"x": ("1",), "y": ("2",)}), relabel_configs=rules)
    site.view.sync("web", "a", ["127.0.0.1:1"])
    (group,) = await site.json("/sd/http/web")
    assert {name: value for name, value in group["labels"].items() if name.startswith("__meta_")} == {
        "__meta_promscout_without_job": "true",
        "__meta_promscout_without___param_x": "true",
    }
    assert not {"job", "__param_x"} & group["labels"].keys()


async def test_any_name_and_value_of_a_label_stays_what_it_is(site):
    odd = {'A"b\\': 'a"\n\\', "100%": "%b%%", "ü": "<b>\x00\u2028", "z": "{}"}
    site.view.add_pool("web")
    site.view.sync("web", "a", ["127.0.0.1:1", "127.0.0.1:2"], **odd)
    for raw in "01":
        for group in await site.json("/sd/http/web", raw=raw):
            assert odd.items() <= group["labels"].items()
            assert "__address__" not in group["labels"]


async def test_a_raw_list_has_everything_as_it_was_discovered(site):
    drop = RelabelConfig(source_labels=("__meta_drop",), regex=Regex.parse("(.+)"), action=Action.DROP)
    site.view.add_pool("web", relabel_configs=(drop,))
    site.view.sync("web", "a", ["127.0.0.1:1", "127.0.0.1:2"], __meta_drop="yes", empty="")
    site.view.sync("web", "b", ["127.0.0.1:3"], __meta_pod="b")
    found = sorted(await site.json("/sd/http/web", raw="1"), key=lambda group: group["targets"])
    assert found == [
        {"targets": ["127.0.0.1:1", "127.0.0.1:2"], "labels": {"__meta_drop": "yes"}},
        {"targets": ["127.0.0.1:3"], "labels": {"__meta_pod": "b"}},
    ]


async def test_equal_targets_of_several_groups_are_listed_once(site):
    site.view.add_pool("web")
    for source in "ab":
        site.view.sync("web", source, ["127.0.0.1:1"])
    assert listed(await site.json("/sd/http/web")) == ["127.0.0.1:1"]


async def test_a_job_without_targets_has_an_empty_list(site):
    site.view.add_pool("web")
    for params in ({}, {"raw": "1"}, {"shard": "1", "of": "2"}):
        assert await site.json("/sd/http/web", **params) == []


@pytest.mark.parametrize("raw", ["0", "1"])
async def test_shards_are_disjoint_and_together_everything(site, raw):
    site.view.add_pool("web")
    for number, address in enumerate(addresses(60)):
        site.view.sync("web", str(number), [address, f"{address[:-5]}:9200"], n=str(number))
    everything = listed(await site.json("/sd/http/web", raw=raw))
    shards = [listed(await site.json("/sd/http/web", raw=raw, shard=str(i), of="3")) for i in range(3)]
    assert len(everything) == 120
    assert sorted(chain.from_iterable(shards)) == everything
    assert all(shards)


async def test_a_target_that_gets_other_labels_stays_in_its_shard(site):
    site.view.add_pool("web")
    shards = []
    for version in "12":
        site.view.sync("web", "a", addresses(40), version=version)
        shards.append([listed(await site.json("/sd/http/web", shard=str(i), of="4")) for i in range(4)])
    assert shards[0] == shards[1]


@pytest.mark.parametrize("raw", ["0", "1"])
async def test_the_order_is_that_of_the_content_however_it_came_about(site, raw):
    texts = []
    for job, order in (("a", 1), ("b", -1)):
        site.view.add_pool(job, relabel_configs=(RelabelConfig(target_label="job", replacement="same"),))
        for address in addresses(300)[::order]:
            site.view.sync(job, address, [address])
        texts.append(await site.text(f"/sd/http/{job}", raw=raw))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("job", ["a/b", "a b", "ü/…?&#%", "%2F", "../etc", "*"])
async def test_any_job_name_can_be_asked_for(site, job):
    site.view.add_pool(job)
    site.view.sync(job, "a", ["127.0.0.1:1"])
    (told,) = (await site.data("/sd/http"))["jobs"]
    assert told["url"] == f"/sd/http/{quote(job, safe='')}"
    async with site.client.get(told["url"]) as response:
        assert listed(await response.json()) == ["127.0.0.1:1"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("shard=0", "shard and of go together"),
        ("of=2", "shard and of go together"),
        ("shard=2&of=2", "there is no 2 of 2"),
        ("shard=-1&of=2", "must be numbers"),
        ("shard=0&of=0", "from 1 to"),
        (f"shard=0&of={MOST_SHARDS + 1}", "from 1 to"),
        ("shard=²&of=3", "must be numbers"),
        ("shards=2", "unknown parameter 'shards'"),
        ("raw=maybe", "raw must be"),
        ("raw=1&raw=1", "given twice"),
    ],
)
async def test_a_query_that_is_not_understood_gets_no_list(site, query, reason):
    site.view.add_pool("web")
    status, body, _ = await refused(site, f"/sd/http/web?{query}")
    assert (status, body["status"], body["errorType"]) == (400, "error", "bad_data")
    assert reason in body["error"]


async def test_a_job_that_does_not_exist_is_told_as_json(site):
    status, body, headers = await refused(site, "/sd/http/<nope>")
    assert (status, body["errorType"], headers["Cache-Control"]) == (404, "not_found", "no-store")


async def test_an_unchanged_list_is_not_sent_again(site):
    site.view.add_pool("web")
    site.view.sync("web", "a", ["127.0.0.1:1"])
    tags = {}
    for coding in ("gzip", "identity"):
        headers = {"Accept-Encoding": coding}
        async with site.client.get("/sd/http/web", headers=headers) as response:
            tags[coding] = response.headers["ETag"]
        async with site.client.get("/sd/http/web", headers=headers | {"If-None-Match": tags[coding]}) as response:
            assert (response.status, await response.read()) == (304, b"")
            assert response.headers["ETag"] == tags[coding]
    assert len(set(tags.values())) == 2
    site.view.sync("web", "b", ["127.0.0.1:2"])
    async with site.client.get("/sd/http/web", headers={"If-None-Match": tags["gzip"]}) as response:
        assert response.status == 200
        assert len(await response.json()) == 2
    site.view.sync("web", "b", [])
    async with site.client.get("/sd/http/web", headers={"If-None-Match": tags["gzip"]}) as response:
        assert response.status == 304


async def test_both_codings_are_the_same_list(site):
    site.view.add_pool("web")
    site.view.sync("web", "a", addresses(3000), text="ü" * 50)
    bodies = {}
    async with aiohttp.ClientSession(site.server.url, auto_decompress=False) as client:
        for coding in ("gzip", "identity"):
            async with client.get("/sd/http/web", headers={"Accept-Encoding": coding}) as response:
                bodies[coding] = await response.read()
                assert int(response.headers["Content-Length"]) == len(bodies[coding])
    assert gzip.decompress(bodies["gzip"]) == bodies["identity"]
    assert len(json.loads(bodies["identity"])) == 3000


@pytest.fixture
async def scripted(site):
    """The view's discovery is one whose groups the test publishes; what it finds reaches the pools."""
    found = Scripted()
    async with (
        DiscoveryManager({ScriptedConfig: found}, DiscoveryMetrics(CollectorRegistry())) as manager,
        asyncio.TaskGroup() as group,
    ):
        site.view.discovery = manager
        running = group.create_task(site.view.scrape.run(manager.receive))
        yield found
        running.cancel()


async def status_of(site):
    async with site.client.get("/sd/http/web") as response:
        return response.status


async def test_there_is_no_list_before_every_provider_has_found_out_what_there_is(site, scripted):
    site.view.add_pool("web")
    site.view.discovery.apply_config({"web": [A, B]})
    await asyncio.sleep(1)
    status, body, headers = await refused(site, "/sd/http/web")
    assert (status, body["errorType"]) == (503, "unavailable")
    assert "scripted/0, scripted/1" in body["error"]
    assert headers["Cache-Control"] == "no-store"
    assert int(headers["Retry-After"]) > 0
    scripted.publish["a"]([TargetGroup.of("s", [{"__address__": "127.0.0.1:1"}])])
    await asyncio.sleep(1)
    assert await status_of(site) == 503
    (told,) = (await site.data("/sd/http"))["jobs"]
    assert (told["available"], told["reason"]) == (False, "nothing has been found out yet by scripted/1")
    scripted.publish["b"]([])
    await asyncio.sleep(1)
    assert listed(await site.json("/sd/http/web")) == ["127.0.0.1:1"]


async def test_there_is_no_list_while_a_new_way_to_discover_has_found_out_nothing(site, scripted):
    site.view.add_pool("web")
    site.view.discovery.apply_config({"web": [A]})
    await asyncio.sleep(1)
    scripted.publish["a"]([TargetGroup.of("s", [{"__address__": "127.0.0.1:1"}])])
    await asyncio.sleep(1)
    assert await status_of(site) == 200
    site.view.discovery.apply_config({"web": [B]})
    for passed in (1, HANDOVER_SECONDS):
        await asyncio.sleep(passed)
        assert await status_of(site) == 503
    scripted.publish["b"]([TargetGroup.of("s", [{"__address__": "127.0.0.1:2"}])])
    await asyncio.sleep(1)
    assert listed(await site.json("/sd/http/web")) == ["127.0.0.1:2"]


async def test_there_is_no_list_of_what_was_found_and_has_not_come_to_the_pool_yet(site):
    scripted = Scripted()
    async with DiscoveryManager({ScriptedConfig: scripted}, DiscoveryMetrics(CollectorRegistry())) as manager:
        site.view.discovery = manager
        site.view.add_pool("web")
        manager.apply_config({"web": [A]})
        await asyncio.sleep(0)
        scripted.publish["a"]([TargetGroup.of("s", [{"__address__": "127.0.0.1:1"}])])
        assert all(provider.synced for provider in manager.providers)
        assert await status_of(site) == 503
        change = await manager.receive()
        assert await status_of(site) == 503
        site.view.scrape.pools["web"].sync(change["web"])
        asking = asyncio.create_task(manager.receive())
        await asyncio.sleep(0)
        assert listed(await site.json("/sd/http/web")) == ["127.0.0.1:1"]
        asking.cancel()
        await asyncio.wait([asking])


async def test_an_agent_that_starts_or_stops_tells_no_lists_and_no_jobs(site):
    site.view.add_pool("web")
    site.view.sync("web", "a", ["127.0.0.1:1"])
    site.view.ready = False
    for path in ("/sd/http/web", "/sd/http/nope"):
        status, body, _ = await refused(site, path)
        assert (status, body["errorType"]) == (503, "unavailable"), path
    clients = (await site.data("/api/v1/status/downstream"))["clients"]
    assert [(one["job"], one["lastStatus"]) for one in clients] == [("web", 503)]


async def test_a_server_that_stops_gives_up_the_list_that_is_being_made(site):
    site.view.add_pool("web")
    site.view.scrape.pools["web"].put({("static/0", "b"): TargetGroup.of("b", [{"__address__": "127.0.0.1:2"}])})
    asking = asyncio.create_task(site.text("/sd/http/web"))
    await asyncio.sleep(0.5)
    await site.server.stop()
    with pytest.raises(aiohttp.ClientError):
        await asking


async def test_a_list_is_made_when_a_large_change_is_complete_and_refused_when_it_takes_too_long(site):
    site.view.add_pool("web")
    pool = site.view.scrape.pools["web"]
    site.view.sync("web", "a", ["127.0.0.1:1"])
    pool.put({("static/0", "b"): TargetGroup.of("b", [{"__address__": "127.0.0.1:2"}])})
    assert await status_of(site) == 503
    asking = asyncio.create_task(site.json("/sd/http/web"))
    await asyncio.sleep(1)
    assert not asking.done()
    while not pool.settle():
        pass
    assert listed(await asking) == ["127.0.0.1:1", "127.0.0.1:2"]


async def test_clients_are_known_by_how_often_they_come_and_told_when_they_have_stopped(site):
    site.view.add_pool("web")
    site.view.sync("web", "a", ["127.0.0.1:1", "127.0.0.1:2"])
    for agent, interval, params in (
        ("one", "30", {"shard": "0", "of": "2"}),
        ("one", "30", {"shard": "1", "of": "2"}),
        ("two", "0.5", {}),
        ("two", "-1", {"raw": "1"}),
    ):
        async with site.client.get(
            "/sd/http/web", params=params, headers={"User-Agent": agent, REFRESH: interval}
        ) as response:
            assert response.status == 200
    told = await site.data("/api/v1/status/downstream")
    assert [(one["userAgent"], one["url"], one["refreshIntervalSeconds"], one["late"]) for one in told["clients"]] == [
        ("one", "/sd/http/web?shard=0&of=2", 30.0, False),
        ("one", "/sd/http/web?shard=1&of=2", 30.0, False),
        ("two", "/sd/http/web", 0.5, False),
        ("two", "/sd/http/web?raw=1", None, False),
    ]
    assert sum(one["targets"] for one in told["clients"][:2]) == 2
    assert {one["address"] for one in told["clients"]} == {"127.0.0.1"}
    assert told["clients"][2]["bytes"] > 0
    assert told["keptBytes"] > 0


@pytest.mark.parametrize(
    ("interval", "passed_ms", "late", "known"),
    [
        (30.0, 60_000, False, True),
        (30.0, 60_001, True, True),
        (30.0, 3_600_001, True, False),
        (7200.0, 3_600_001, False, True),
        (None, 3_600_000, False, True),
        (None, 3_600_001, False, False),
    ],
)
def test_a_client_is_late_after_two_intervals_and_forgotten_after_an_hour(interval, passed_ms, late, known):
    table = client_table.ClientTable()
    visit = client_table.Visit(NOW_MS, interval, 200)
    table.note(client_table.ClientKey.of("127.0.0.1", "x" * 10_000, "web", client_table.ListingKey()), visit)
    assert visit.is_late(NOW_MS + passed_ms) is late
    assert bool(table.known(NOW_MS + passed_ms)) is known


def test_as_many_clients_as_may_be_are_remembered_and_their_names_are_short():
    table = client_table.ClientTable()
    for number in range(client_table.MOST_CLIENTS + 5):
        key = client_table.ClientKey.of("127.0.0.1", f"{number} " + "x" * 10_000, "web", client_table.ListingKey())
        table.note(key, client_table.Visit(NOW_MS, 30.0, 200))
    known = table.known(NOW_MS)
    assert len(known) == client_table.MOST_CLIENTS
    assert known[0][0].user_agent.startswith("5 ")
    assert max(len(key.user_agent) for key, _ in known) == 200


async def test_clients_that_ask_at_once_get_one_list_that_was_made_once(site):
    site.view.add_pool("web")
    site.view.sync("web", "a", addresses(2000))
    answers = await asyncio.gather(*(site.text("/sd/http/web") for _ in range(20)))
    assert len(set(answers)) == 1
    await site.text("/sd/http/web")
    assert site.view.registry.get_sample_value("promscout_sd_http_lists_made_total") == 1


async def test_requests_are_counted_by_jobs_that_exist(site):
    site.view.add_pool("web")
    await site.text("/sd/http/web")
    for path in ("/sd/http/web?x=1", "/sd/http/nope", "/sd/http/nowhere"):
        await refused(site, path)
    value = site.view.registry.get_sample_value
    name = "promscout_sd_http_requests_total"
    assert [value(name, {"job": "web", "code": code}) for code in ("200", "400")] == [1, 1]
    assert value(name, {"job": "", "code": "404"}) == 2
    site.view.scrape.apply_config([])
    assert value(name, {"job": "web", "code": "200"}) is None


async def test_the_other_methods_are_refused(site):
    site.view.add_pool("web")
    for method in ("HEAD", "POST", "PUT", "DELETE"):
        for path in ("/sd/http", "/sd/http/web", "/api/v1/status/downstream"):
            async with site.client.request(method, path) as response:
                assert response.status == 405


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("60", 60), ("0.25", 0.25), ("", None), ("0", None), ("-5", None), ("1e9", None), ("nan", None), ("1, 2", None)],
)
def test_only_a_positive_number_is_a_refresh_interval(text, seconds):
    assert refresh_interval(text) == seconds


@pytest.mark.parametrize(
    ("seconds", "control"),
    [(None, "no-cache"), (1, "no-cache"), (60, "private, max-age=30"), (5, "private, max-age=2")],
)
def test_an_answer_may_be_used_again_for_half_the_interval(seconds, control):
    assert cache_control(seconds) == control


@pytest.mark.parametrize(
    ("header", "known"),
    [('"a"', True), ('W/"a"', True), ('"b", "a"', True), ("*", True), ('"b"', False), ("", False), ("a", False)],
)
def test_any_of_the_tags_that_a_client_has_may_be_the_one(header, known):
    assert has_tag(header, '"a"') is known


async def test_a_client_that_does_not_read_is_cut_off(site):
    site.view.add_pool("web")
    site.view.sync("web", "a", addresses(20_000), text="x" * 500)
    host, _, port = site.server.url.removeprefix("http://").partition(":")
    began = asyncio.get_running_loop().time()
    reader, writer = await asyncio.open_connection(host, int(port), limit=1)
    stall = ConnectionLimits().stall
    try:
        writer.write(b"GET /sd/http/web HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.sleep(stall - 1)
        assert (await site.data("/api/v1/status/downstream"))["clients"][0]["targets"] == 20_000
        await asyncio.sleep(2)
        with pytest.raises(ConnectionResetError):
            await reader.read(-1)
    finally:
        writer.close()
    assert asyncio.get_running_loop().time() - began < stall + 5
