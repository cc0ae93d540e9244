"""The reflector against API servers that misbehave: it ends in a clear state, nothing is lost, nobody is flooded.

Time is virtual, so that pauses cost none: the server runs in the same process.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise

import msgspec
import pytest
from aiohttp import web

from harness.kube_metrics import Uncounted
from promscout.httpclient.config import HTTPClientConfig
from promscout.kube.access import ClusterAccess
from promscout.kube.informer import SharedInformers
from promscout.kube.resource import PODS, Scope

pytestmark = pytest.mark.virtual_time

END_OF_LIST = {"k8s.io/initial-events-end": "true"}


def pod(name, version, **annotations):
    meta = {"name": name, "namespace": "default", "resourceVersion": str(version), "annotations": annotations}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": meta}


def event(kind, obj):
    return msgspec.json.encode({"type": kind, "object": obj}) + b"\n"


def added(name, version, **annotations):
    return event("ADDED", pod(name, version, **annotations))


def end_of_list(version):
    meta = {"resourceVersion": str(version), "annotations": END_OF_LIST}
    return event("BOOKMARK", {"kind": "Pod", "apiVersion": "v1", "metadata": meta, "spec": {"containers": None}})


def status(code, reason, **details):
    return {"kind": "Status", "status": "Failure", "message": reason, "reason": reason, "code": code, **details}


# Answers: what the server does with one request.


def refusal(code, reason, **headers):
    async def answer(request):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(status(code, reason), status=code, headers=named)

    return answer


def listing(version, *objects, resume=""):
    async def answer(request):
        meta = {"resourceVersion": str(version), "continue": resume}
        return web.json_response({"kind": "PodList", "metadata": meta, "items": objects})

    return answer


def stream(*pieces, end="hold"):
    """A watch that sends ``pieces`` and then stays open, ends properly or is cut (``hold``, ``close``, ``cut``)."""

    async def answer(request):
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        if end == "hold":
            await asyncio.Event().wait()
        if end == "cut":
            await asyncio.sleep(0.01)  # what was written is sent
            request.transport.abort()
        return response

    return answer


NO_STREAMING = refusal(400, "BadRequest")
SILENCE = stream()


class Server:
    """Answers requests in the order of ``script``; its last answer is repeated."""

    def __init__(self, *script):
        self._script = list(script)
        self.requests = []  # (loop time, query)
        self.url = ""

    async def handle(self, request):
        self.requests.append((asyncio.get_running_loop().time(), dict(request.query)))
        answer = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        return await answer(request)

    @property
    def asked(self):
        """What was asked for, in short: ``stream``, ``list``, ``next`` page, or a watch's resource version."""
        return [
            query.get("resourceVersion", "stream") if "watch" in query else "next" if "continue" in query else "list"
            for _, query in self.requests
        ]

    def pauses(self):
        times = [when for when, _ in self.requests]
        return [round(after - before, 6) for before, after in pairwise(times)]


@asynccontextmanager
async def reflecting(*script):
    """A server that plays ``script``, and an informer that lists and watches its pods."""
    server = Server(*script)
    app = web.Application()
    app.router.add_get("/api/v1/pods", server.handle)
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with SharedInformers(Failures()) as shared:
            informer = shared.acquire(ClusterAccess(server.url, HTTPClientConfig()), PODS, Scope())
            yield server, informer
            shared.release(informer)
    finally:
        await runner.cleanup()


class Failures(Uncounted):
    def failed(self, resource):
        assert resource == "pods"


async def until(condition, seconds=15):
    """Wait for ``condition()``, looking rarely: every look costs a millisecond, because sockets are open."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - the condition has no event to wait for
            await asyncio.sleep(0.05)


def names(informer):
    return {key.removeprefix("default/") for key in informer.store}


@pytest.mark.parametrize("end", ["close", "cut"])
async def test_after_half_an_event_the_next_watch_resumes_from_the_last_whole_one(end):
    half, rest = added("c", 12)[:40], added("c", 12)
    script = (
        *(NO_STREAMING, listing(10, pod("a", 9))),
        stream(added("b", 11) + half, end=end),
        stream(rest),
    )
    async with reflecting(*script) as (server, informer):
        await until(lambda: names(informer) == {"a", "b", "c"})
        assert server.asked == ["stream", "list", "10", "11"]
        assert (informer.status.lists, informer.status.resource_version) == (1, "12")
        assert informer.status.last_error == ""


@pytest.mark.parametrize("size", [300_000, 3_000_000])
@pytest.mark.parametrize("how", ["streamed", "listed", "watched"])
async def test_a_large_object_arrives_whole(size, how):
    note = "x" * size
    script = {
        "streamed": (stream(added("big", 9, note=note) + end_of_list(9)),),
        "listed": (NO_STREAMING, listing(9, pod("big", 9, note=note)), SILENCE),
        "watched": (stream(end_of_list(5), added("big", 9, note=note), added("after", 10)),),
    }[how]
    async with reflecting(*script) as (_, informer):
        await until(lambda: "big" in names(informer))
        assert informer.store.get("default/big").metadata.annotations == {"note": note}
        assert informer.status.last_error == ""


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ([], [stream(end_of_list(10))]),
        ([NO_STREAMING], [listing(10), SILENCE]),
    ],
    ids=["streaming list", "paged list"],
)
async def test_a_server_that_asks_for_a_pause_before_listing_gets_it(first, then):
    busy = refusal(429, "TooManyRequests", Retry_After="2")
    async with reflecting(*first, busy, busy, *then) as (server, informer):
        await until(lambda: informer.status.last_error)
        assert "TooManyRequests" in informer.status.last_error
        assert not informer.status.forbidden
        assert not informer.synced
        await until(lambda: informer.synced)
        waits = [pause for pause in server.pauses() if pause > 0.1]
        assert [2 <= pause < 3 for pause in waits] == [True, True]
        assert informer.status.last_error == ""


async def test_a_server_that_asks_for_a_pause_before_watching_gets_it_and_is_not_asked_for_a_list():
    busy = refusal(429, "TooManyRequests", Retry_After="2")
    script = (NO_STREAMING, listing(10, pod("a", 9)), busy, busy, stream(added("b", 11)))
    async with reflecting(*script) as (server, informer):
        await until(lambda: informer.status.last_error)
        assert names(informer) == {"a"}, "what is known stays"
        await until(lambda: names(informer) == {"a", "b"})
        assert server.asked == ["stream", "list", "10", "10", "10"]
        assert all(2 <= pause < 3 for pause in server.pauses()[-2:])
        assert (informer.status.lists, informer.status.last_error) == (1, "")


async def test_a_server_that_fails_is_asked_ever_less_often_and_the_state_says_why():
    async with reflecting(refusal(500, "InternalError")) as (server, informer):
        await asyncio.sleep(120)
        assert "InternalError" in informer.status.last_error
        assert not informer.synced
        assert 5 <= len(server.requests) <= 20, server.pauses()
        assert max(server.pauses()) >= 15


async def test_a_watch_that_fails_is_tried_again_without_a_list_and_what_is_known_stays():
    failing = refusal(503, "ServiceUnavailable")
    script = (NO_STREAMING, listing(10, pod("a", 9)), *[failing] * 5, stream(added("b", 11)))
    async with reflecting(*script) as (server, informer):
        await until(lambda: len(server.requests) == 7, 60)
        assert "ServiceUnavailable" in informer.status.last_error
        assert names(informer) == {"a"}
        await until(lambda: names(informer) == {"a", "b"}, 60)
        assert server.asked == ["stream", "list", *["10"] * 6]
        assert informer.status.last_error == ""


async def test_a_list_that_expires_between_its_pages_is_read_anew_and_never_shown_in_part():
    script = (
        *(NO_STREAMING, listing(10, pod("a", 9), resume="more"), refusal(410, "Expired")),
        *(listing(20, pod("b", 19), resume="more"), listing(20, pod("c", 18)), SILENCE),
    )
    async with reflecting(*script) as (server, informer):
        seen = []
        informer.store.subscribe(lambda key, before, now: seen.append((key, informer.status.resource_version)))
        await informer.wait_synced()
        assert seen == [("default/b", "20"), ("default/c", "20")]
        await until(lambda: len(server.requests) == 6)
        assert server.asked == ["stream", "list", "next", "list", "next", "20"]


@pytest.mark.parametrize("line", [b"garbage\n", b'{"type":"ADDED"}\n', b'{"type":"ADDED","object":7}\n', b"[]\n"])
async def test_a_line_that_is_no_event_is_an_error_and_what_comes_after_is_not_taken(line):
    script = (
        *(NO_STREAMING, listing(10, pod("a", 9))),
        *[stream(line + added("late", 99))] * 3,
        stream(added("b", 11)),
    )
    async with reflecting(*script) as (server, informer):
        await until(lambda: informer.status.last_error)
        assert "not a watch event of pods" in informer.status.last_error
        assert names(informer) == {"a"}
        await until(lambda: names(informer) == {"a", "b"}, 60)
        assert server.asked == ["stream", "list", *["10"] * 4]
        assert informer.status.last_error == ""


async def test_what_an_event_of_unknown_type_means_is_found_out_by_a_list():
    script = (
        *(NO_STREAMING, listing(10, pod("a", 9))),
        stream(event("TRANSFORMED", pod("b", 11))),
        *(listing(12, pod("a", 9), pod("b", 11)), SILENCE),
    )
    async with reflecting(*script) as (server, informer):
        await until(lambda: informer.status.last_error)
        assert "unknown watch event type 'TRANSFORMED'" in informer.status.last_error
        await until(lambda: names(informer) == {"a", "b"})
        await until(lambda: len(server.requests) == 5)
        assert server.asked == ["stream", "list", "10", "list", "12"]
        assert informer.status.last_error == ""


async def test_a_streaming_list_with_an_event_of_unknown_type_is_not_shown():
    script = (stream(event("TRANSFORMED", pod("b", 11)) + end_of_list(11)), stream(added("a", 9) + end_of_list(12)))
    async with reflecting(*script) as (server, informer):
        await until(lambda: informer.status.last_error)
        assert names(informer) == set()
        await until(lambda: names(informer) == {"a"})
        assert server.asked == ["stream", "stream"]


@pytest.mark.parametrize("end", ["close", "cut"])
@pytest.mark.parametrize(
    "pieces", [[], [event("BOOKMARK", pod("", 11))], [added("a", 11)]], ids=["nothing", "a bookmark", "an event"]
)
async def test_a_server_that_ends_every_watch_at_once_is_not_asked_too_often(pieces, end):
    async with reflecting(NO_STREAMING, listing(10, pod("a", 9)), stream(*pieces, end=end)) as (server, informer):
        await asyncio.sleep(60)
        assert 2 < len(server.requests) < 60 * 5, "a few in a second at most"
        assert (informer.status.lists, names(informer)) == (1, {"a"})


async def test_a_server_that_expires_every_watch_after_a_streaming_list_is_listed_ever_less_often():
    gone = msgspec.json.encode({"type": "ERROR", "object": status(410, "Expired")}) + b"\n"
    async with reflecting(stream(added("a", 9) + end_of_list(10), gone)) as (server, informer):
        await asyncio.sleep(120)
        assert 5 <= len(server.requests) <= 20, server.pauses()
        assert names(informer) == {"a"}


@pytest.mark.parametrize("end", ["close", "cut"])
async def test_a_streaming_list_that_is_cut_before_its_end_is_never_shown(end):
    first = added("a", 5) + event("BOOKMARK", pod("", 5)) + added("b", 6)
    whole = first + added("c", 7)
    script = {
        "cut": (stream(first, end="cut"), stream(whole + end_of_list(7))),
        # A server that ends it properly does not know what a streaming list is: this one is asked for pages then.
        "close": (stream(first, end="close"), listing(7, pod("a", 5), pod("b", 6), pod("c", 7)), SILENCE),
    }[end]
    async with reflecting(*script) as (server, informer):
        sizes = []
        informer.store.subscribe(lambda key, before, now: sizes.append(informer.status.resource_version))
        await informer.wait_synced()
        assert names(informer) == {"a", "b", "c"}
        assert set(sizes) == {"7"}, "nothing reached the store before the list was whole"
        assert server.asked[:2] == ["stream", "stream" if end == "cut" else "list"]
