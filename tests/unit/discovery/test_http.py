from __future__ import annotations

import asyncio
import gzip
import json
import logging

import pytest
from aiohttp import web

from harness.list_server import list_server
from harness.waiting import until
from promscout.discovery.http.config import HTTPSDConfig
from promscout.discovery.http.discoverer import HTTPFactory
from promscout.discovery.target_groups import MAX_SIZE
from promscout.httpclient.config import URL, BasicAuth, Header, Secret
from promscout.model.duration import Duration
from promscout.model.frozendict import FrozenDict
from unit.discovery.discovered import Discovered

pytestmark = pytest.mark.real_time

JSON = {"Content-Type": "application/json"}


class HTTPDiscovered(Discovered):
    """HTTP discoverers that ask every 20 ms."""

    def __init__(self, server):
        super().__init__(HTTPFactory)
        self.server = server

    def running(self, path="/", **options):
        given = {"url": URL(self.server.url + path), "refresh_interval": Duration(0.02)}
        return self.discovering(HTTPSDConfig(**given | options))

    async def refreshed(self, times=2):
        """Wait for so many more requests, so that the answer to the first of them has been looked at."""
        goal = len(self.server.requests) + times
        await until(lambda: len(self.server.requests) >= goal)

    @property
    def addresses(self):
        return self.addresses_without(self.server.url)

    def value(self, name):
        return self.registry.get_sample_value(f"prometheus_sd_{name}") or self.registry.get_sample_value(
            f"prometheus_sd_{name}", {"mechanism": "http"}
        )


@pytest.fixture
async def discovered():
    async with list_server() as server:
        yield HTTPDiscovered(server)


async def test_a_list_becomes_groups_with_their_url(discovered):
    discovered.server.answers["/"] = [{"targets": ["x:1", "x:2"], "labels": {"a": "b"}}, {"targets": ["y"]}]
    async with discovered.running(refresh_interval=Duration(60)):
        await until(lambda: discovered.published)
    url = f"{discovered.server.url}/"
    assert discovered.addresses == {"/:0": ["x:1", "x:2"], "/:1": ["y"]}
    assert discovered.groups[f"{url}:0"].labels_of(0) == {"__address__": "x:1", "a": "b", "__meta_url": url}
    assert discovered.value("refresh_duration_seconds_count") == 1


async def test_the_request_says_who_asks_for_what_and_how_often(discovered):
    discovered.server.answers["/"] = []
    header = FrozenDict({"X-Custom": Header(values=("a",))})
    basic = BasicAuth(username="u", password=Secret("p"))
    async with discovered.running(refresh_interval=Duration(90.5), http_headers=header, basic_auth=basic):
        await until(lambda: discovered.published)
    sent = discovered.server.requests[0]
    assert sent["Accept"] == "application/json"
    assert sent["User-Agent"].startswith("promscout/")
    assert sent["X-Prometheus-Refresh-Interval-Seconds"] == "90.5"
    assert sent["X-Custom"] == "a"
    assert sent["Authorization"] == "Basic dTpw"
    assert "If-None-Match" not in sent


@pytest.mark.parametrize(("seconds", "text"), [(60, "60"), (0.02, "0.02"), (100 * 86400, "8640000")])
async def test_the_interval_is_written_as_a_plain_number(discovered, seconds, text):
    discovered.server.answers["/"] = []
    async with discovered.running(refresh_interval=Duration(seconds)):
        await until(lambda: discovered.published)
    assert discovered.server.requests[0]["X-Prometheus-Refresh-Interval-Seconds"] == text


async def test_groups_that_the_list_has_no_more_are_gone(discovered):
    discovered.server.answers["/"] = [{"targets": ["x"]}, {"targets": ["y"]}, {"targets": ["z"]}]
    async with discovered.running():
        await until(lambda: len(discovered.addresses) == 3)
        discovered.server.answers["/"] = [{"targets": ["y"]}]
        await until(lambda: discovered.addresses == {"/:0": ["y"]})
        discovered.server.answers["/"] = []
        await until(lambda: discovered.addresses == {})


@pytest.mark.parametrize(
    ("content_type", "accepted"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ('application/json;charset="UTF-8"', True),
        ("application/json; charset=latin-1", False),
        ("application/json; version=1", False),
        ("text/json", False),
        ("", False),
    ],
)
async def test_only_json_in_utf8_is_read(discovered, content_type, accepted):
    headers = {"Content-Type": content_type}
    discovered.server.answers["/"] = web.Response(body=b'[{"targets": ["x"]}]', headers=headers)
    async with discovered.running():
        await discovered.refreshed()
    assert bool(discovered.groups) is accepted
    assert bool(discovered.value("http_failures_total")) is not accepted


FAILURES = {
    "an error": (web.Response(status=500), "server returned HTTP status 500"),
    "no content": (web.Response(status=204), "server returned HTTP status 204"),
    "not modified, though not asked": (web.Response(status=304), "server returned HTTP status 304"),
    "broken": (web.Response(body=b'[{"targets": ["hunter2"', headers=JSON), "not a list of target groups"),
    "null group": (web.Response(body=b"[null]", headers=JSON), "nil target group item found"),
    "wrong kind": (web.Response(body=b'[{"targets": [5]}]', headers=JSON), "got `int`"),
    "wrong type": (
        web.Response(body=b"[]", headers={"Content-Type": "text/html"}),
        'unsupported content type "text/html"',
    ),
    "endless redirects": (web.Response(status=302, headers={"Location": "/"}), "stopped after 10 redirects"),
    "too large": (
        web.Response(body=gzip.compress(b" " * (MAX_SIZE + 1)), headers=JSON | {"Content-Encoding": "gzip"}),
        f"larger than {MAX_SIZE} bytes",
    ),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_whatever_is_wrong_with_an_answer_keeps_the_targets(discovered, failure, caplog):
    answer, reason = FAILURES[failure]
    discovered.server.answers["/"] = [{"targets": ["x"]}]
    interval = Duration(0.02 if failure != "too large" else 3)
    async with discovered.running(refresh_interval=interval):
        await until(lambda: discovered.groups)
        with caplog.at_level(logging.ERROR):
            discovered.server.answers["/"] = answer
            await until(lambda: discovered.value("http_failures_total"))
        assert discovered.addresses == {"/:0": ["x"]}
        assert discovered.value("refresh_failures_total") == discovered.value("http_failures_total")
        assert caplog.records[0].facts["error"].startswith(f"{discovered.server.url}/: ")
        assert reason in caplog.records[0].facts["error"]
        assert "hunter2" not in str([record.facts for record in caplog.records])
        discovered.server.answers["/"] = [{"targets": ["y"]}]
        await until(lambda: discovered.addresses == {"/:0": ["y"]})


async def test_a_server_that_cannot_be_reached_says_nothing_about_targets(discovered, free_port):
    async with discovered.running(url=URL(f"http://127.0.0.1:{free_port}/")):
        await until(lambda: discovered.value("http_failures_total"))
    assert discovered.published == 0


async def test_an_answer_must_be_complete_within_the_interval(discovered, caplog):
    over = asyncio.Event()

    async def slow(request):
        response = web.StreamResponse(headers=JSON)
        await response.prepare(request)
        await response.write(b"[")
        await over.wait()
        return response

    runner = web.ServerRunner(web.Server(slow), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = URL(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        with caplog.at_level(logging.ERROR):
            async with discovered.running(url=url, refresh_interval=Duration(0.1)):
                await until(lambda: discovered.value("http_failures_total"))
    finally:
        over.set()
        await runner.cleanup()
    assert caplog.records[0].facts["error"] == f"{url}: no complete answer within 0.1 s"


async def test_a_server_that_names_its_lists_need_not_send_one_again(discovered):
    def answer(request):
        if request.headers.get("If-None-Match") == '"1"':
            return web.Response(status=304, headers={"ETag": '"1"'})
        return web.Response(text=json.dumps([{"targets": ["x"]}]), headers=JSON | {"ETag": '"1"'})

    discovered.server.answers["/"] = answer
    async with discovered.running():
        await discovered.refreshed(4)
        assert discovered.addresses == {"/:0": ["x"]}
        assert [request.get("If-None-Match") for request in discovered.server.requests[:3]] == [None, '"1"', '"1"']
        assert not discovered.value("http_failures_total")
        discovered.server.answers["/"] = [{"targets": ["y"]}]
        await until(lambda: discovered.addresses == {"/:0": ["y"]})
        await discovered.refreshed(2)
        assert "If-None-Match" not in discovered.server.requests[-1]


async def test_a_list_that_cannot_be_used_is_not_remembered_by_its_name(discovered):
    discovered.server.answers["/"] = web.Response(body=b"{}", headers=JSON | {"ETag": '"1"'})
    async with discovered.running():
        await discovered.refreshed(3)
        assert "If-None-Match" not in discovered.server.requests[-1]


async def test_a_password_in_the_url_is_used_but_not_shown(discovered, caplog):
    discovered.server.answers["/"] = [{"targets": ["x"]}]
    url = URL(f"http://user:hunter2@{discovered.server.address}/")
    with caplog.at_level(logging.DEBUG):
        async with discovered.running(url=url):
            await until(lambda: discovered.groups)
            discovered.server.answers["/"] = {}
            await until(lambda: discovered.value("http_failures_total"))
    assert discovered.server.requests[0]["Authorization"] == "Basic dXNlcjpodW50ZXIy"
    ((_, group),) = discovered.groups.items()
    assert group.labels["__meta_url"] == f"http://user:xxxxx@{discovered.server.address}/"
    assert "hunter2" not in str([record.__dict__ for record in caplog.records])
