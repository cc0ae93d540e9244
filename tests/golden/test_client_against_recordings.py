"""The API client against every answer recorded from a real API server, byte for byte."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from promscout.errors import ApiStatusError, ApiUnreachableError, ExpiredError, KubeError
from promscout.httpclient.client import HTTPClient
from promscout.httpclient.config import HTTPClientConfig
from promscout.kube.client import ApiClient
from promscout.kube.objects import KubeObject, ObjectMeta
from promscout.kube.resource import NODES, PODS, Resource, Scope

RECORDINGS = Path(__file__).parent / "apiserver"
INDEX = json.loads((RECORDINGS / "index.json").read_text())


class Anything(msgspec.Struct):
    """An object of a resource that this test does not look into."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)


ANYTHING: Resource[KubeObject] = Resource("api/v1", "things", Anything)
RESOURCES = {"pods": PODS, "nodes": NODES}


@asynccontextmanager
async def _client(*names, cut=None):
    """A client of a server that gives the recorded answers, one after the other, the last again and again."""
    waiting = list(names)

    async def answer(request):
        name = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        body = (RECORDINGS / name).read_bytes()
        headers = {
            key: value for key, value in INDEX[name]["headers"].items() if key in ("Content-Type", "Retry-After")
        }
        response = web.StreamResponse(status=INDEX[name]["status"], headers=headers)
        await response.prepare(request)
        await response.write(body if cut is None else body[:cut])
        if cut is not None:
            request.transport.abort()
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with HTTPClient(HTTPClientConfig(), user_agent="test") as http:
            yield ApiClient(http, f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        await runner.cleanup()


async def _watch(client, resource):
    events = client.watch(resource, Scope(), resource_version="1", close_after=1, idle_timeout=5)
    return [event async for batch in events for event in batch.events]


REFUSALS = {
    "errors/bad-continue.json": (400, "BadRequest"),
    "errors/bad-field-selector.json": (400, "BadRequest"),
    "errors/bad-label-selector.json": (400, "BadRequest"),
    "errors/bad-resource-version.json": (400, "BadRequest"),
    "errors/forbidden.json": (403, "Forbidden"),
    "errors/too-large-resource-version.json": (504, "Timeout"),
    "errors/unauthorized.json": (401, "Unauthorized"),
    "errors/unknown-resource.json": (404, "NotFound"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_a_refused_list_or_watch_tells_code_reason_and_message(name):
    async with _client(name) as client:
        for request in (lambda: client.list_page(PODS, Scope(), limit=2), lambda: _watch(client, PODS)):
            with pytest.raises(ApiStatusError) as caught:
                await request()
            assert (caught.value.code, caught.value.reason) == REFUSALS[name]
            assert caught.value.message == json.loads((RECORDINGS / name).read_text())["message"]


async def test_a_servers_wish_to_wait_is_passed_on():
    async with _client("errors/too-large-resource-version.json") as client:
        with pytest.raises(ApiStatusError) as caught:
            await client.list_page(PODS, Scope())
        assert caught.value.retry_after == 1


async def test_an_expired_watch_asks_for_a_new_list():
    async with _client("errors/watch-expired.json") as client:
        with pytest.raises(ExpiredError) as caught:
            await _watch(client, PODS)
        assert caught.value.code == 410


async def test_an_error_inside_a_stream_is_raised_as_what_it_is():
    async with _client("errors/watchlist-unsupported.json") as client:
        with pytest.raises(ApiStatusError, match="RequestWatchProgress is disabled") as caught:
            await _watch(client, PODS)
        assert (caught.value.code, caught.value.reason) == (500, "InternalError")


async def test_a_watch_that_ends_without_events_just_ends():
    async with _client("errors/watch-future.json") as client:
        assert await _watch(client, PODS) == []


async def test_pages_follow_each_other():
    async with _client("errors/list-page-1-limit-2.json", "errors/list-page-2-limit-2.json") as client:
        first = await client.list_page(PODS, Scope(), limit=2)
        second = await client.list_page(PODS, Scope(), limit=2, resume=first.next)
    assert (len(first.items), len(second.items)) == (2, 2)
    assert first.resource_version == second.resource_version
    assert first.next
    names = [pod.metadata.name for pod in (*first.items, *second.items)]
    assert names == [item["metadata"]["name"] for item in _items("lists/pods.json")[:4]]


@pytest.mark.parametrize("name", [name for name in INDEX if name.startswith("lists/")])
async def test_every_list_is_read_whole(name):
    resource = RESOURCES.get(Path(name).stem, ANYTHING)
    async with _client(name) as client:
        page = await client.list_page(resource, Scope())
    assert [one.metadata.uid for one in page.items] == [item["metadata"]["uid"] for item in _items(name)]
    assert page.resource_version == "334"


@pytest.mark.parametrize("name", [name for name in INDEX if name.startswith("watch/")])
async def test_every_watch_is_read_whole(name):
    resource = RESOURCES.get(Path(name).stem.partition("-")[0], ANYTHING)
    lines = [json.loads(line) for line in (RECORDINGS / name).read_text().splitlines()]
    async with _client(name) as client:
        events = await _watch(client, resource)
    assert [(event.type, event.object.metadata.resource_version) for event in events] == [
        (line["type"], line["object"]["metadata"]["resourceVersion"]) for line in lines
    ]


@pytest.mark.parametrize("name", ["lists/pods.json", "watch/pods.ndjson"])
@pytest.mark.parametrize("cut", [1, 100, 3000])
async def test_an_answer_that_breaks_off_is_an_unreachable_server(name, cut):
    async with _client(name, cut=cut) as client:
        with pytest.raises(ApiUnreachableError):
            await (client.list_page(PODS, Scope()) if name.startswith("lists/") else _watch(client, PODS))


@pytest.mark.parametrize("name", [name for name in INDEX if INDEX[name]["status"] == 200])
async def test_an_answer_of_the_wrong_kind_is_a_kube_error_and_nothing_else(name):
    async with _client(name) as client:
        for request in (lambda: client.list_page(NODES, Scope()), lambda: _watch(client, NODES)):
            try:
                await request()
            except KubeError:
                continue


def _items(name):
    return json.loads((RECORDINGS / name).read_text())["items"]
