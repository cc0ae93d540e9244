import asyncio
import gzip

import pytest

from promscout import __version__
from promscout.model.byte_size import ByteSize
from promscout.model.duration import Duration
from promscout.scrape import transport as module
from promscout.scrape.target import Target
from promscout.scrape.transport import Fetched, FetchFailed, Transport
from promscout.scrape.unpacking import BodyTooLargeError, unpack
from unit.httpclient.raw_server import always, answer, raw_server
from unit.scrape.fakes import config

TEXT = "text/plain; version=0.0.4"


def target(url, **labels):
    names = tuple(sorted(labels))
    return Target(names, tuple(labels[name] for name in names), url, Duration(1), Duration(1))


async def fetch(script, *, within=5.0, **options):
    async with raw_server(script) as server:
        return await fetch_from(target(server.url + "/metrics"), within=within, **options), server


async def fetch_from(target, *, within=5.0, **options):
    transport = Transport(config(**options))
    running = asyncio.create_task(transport.run())
    try:
        return await transport.fetch(target, within)
    finally:
        transport.retire()
        await running


def exposed(body, *, packed=False, headers=""):
    packing = "Content-Encoding: gzip\r\n" if packed else ""
    return always(
        answer(gzip.compress(body) if packed else body, headers=f"Content-Type: {TEXT}\r\n{packing}{headers}")
    )


@pytest.mark.real_time
async def test_a_request_says_what_prometheus_says():
    outcome, server = await fetch(exposed(b"a 1\n"), within=2.5)
    assert outcome == Fetched(b"a 1\n", TEXT, "", 4)
    (request,) = server.requests
    lines = request.decode().split("\r\n")
    assert lines[0] == "GET /metrics HTTP/1.1"
    assert {"Accept-Encoding: gzip", f"User-Agent: promscout/{__version__}"} <= set(lines)
    assert "X-Prometheus-Scrape-Timeout-Seconds: 2.5" in lines
    assert any(line.startswith("Accept: ") for line in lines)


@pytest.mark.real_time
async def test_without_compression_none_is_asked_for():
    _, server = await fetch(exposed(b"a 1\n"), enable_compression=False)
    assert b"Accept-Encoding: identity\r\n" in server.requests[0]


@pytest.mark.real_time
async def test_the_size_is_that_of_the_unpacked_body():
    body = b"a 1\n" * 1000
    outcome, _ = await fetch(exposed(body, packed=True))
    assert (outcome.body, outcome.size, outcome.encoding) == (body, 4000, "gzip")
    assert outcome.received < 100


@pytest.mark.real_time
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("size", "fails"), [(99, False), (100, True), (101, True), (200_000, True)])
async def test_a_body_that_reaches_the_limit_is_too_large(packed, size, fails):
    outcome, _ = await fetch(exposed(b"x" * size, packed=packed), body_size_limit=ByteSize(100))
    if fails:
        assert outcome == FetchFailed("body size limit exceeded", too_large=True)
        assert outcome.size == -1
    else:
        assert outcome.size == size


@pytest.mark.real_time
async def test_without_a_limit_there_still_is_one(monkeypatch):
    monkeypatch.setattr(module, "MAX_BODY", 100)
    outcome, _ = await fetch(exposed(b"x" * 100, packed=True))
    assert outcome == FetchFailed("body size limit exceeded (100 bytes without body_size_limit)", too_large=True)


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("404 Not Found", "server returned HTTP status 404 Not Found"),
        ("500", "server returned HTTP status 500"),
        ("204 No Content", "server returned HTTP status 204 No Content"),
    ],
)
async def test_another_status_than_200_is_a_failure(status, reason):
    outcome, _ = await fetch(always(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()))
    assert outcome == FetchFailed(reason)
    assert outcome.size == 0


@pytest.mark.real_time
async def test_a_target_that_says_nothing_times_out():
    async def script(peer):
        await peer.request()
        await asyncio.Event().wait()

    assert (await fetch(script, within=0.1))[0] == FetchFailed("scrape timed out after 0.1s")


async def test_a_transport_that_never_comes_up_times_out():
    outcome = await Transport(config()).fetch(target("http://127.0.0.1:1/"), 7.0)
    assert outcome == FetchFailed("scrape timed out after 7s")


@pytest.mark.real_time
async def test_a_socket_in_a_label_is_connected_to_in_place_of_the_address(tmp_path):
    path = str(tmp_path / "s")
    async with raw_server(exposed(b"a 1\n"), path=path) as server:
        labels = {"__unix_socket__": path, "__address__": "app", "job": "j"}
        outcome = await fetch_from(target("http://app/metrics", **labels))
    assert outcome.body == b"a 1\n"
    assert b"Host: app\r\n" in server.requests[0]


def members(*bodies):
    # Without the time, since these bytes are in the names of tests, which have to be the same in every process.
    return b"".join([gzip.compress(body, mtime=0) for body in bodies])


@pytest.mark.parametrize(
    ("packed", "body"),
    [
        (members(b"abc"), b"abc"),
        (members(b""), b""),
        (members(b"abc", b"", b"def"), b"abcdef"),
        (members(b"x" * 20_000_000), b"x" * 20_000_000),
    ],
    ids=["one", "empty", "three", "large"],
)
async def test_gzip_of_any_number_of_members_is_unpacked(packed, body):
    assert await unpack(packed, "gzip", 1 << 30, 60) == body


async def test_large_input_is_unpacked_in_pieces():
    body = bytes((n * n * 2_654_435_761 >> 7) & 255 for n in range(3_000_000))
    assert await unpack(gzip.compress(body, 1), "gzip", 1 << 30, 60) == body


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (b"", "cut short"),
        (members(b"abc")[:-1], "cut short"),
        (members(b"abc")[:5], "cut short"),
        (members(b"abc") + b"x" * 100, "not gzip"),
        (b"plain text " * 10, "not gzip"),
        (members(b"abc" * 100)[:-8] + b"\1" * 8, "not gzip"),
    ],
)
async def test_what_is_not_whole_gzip_is_told(packed, reason):
    with pytest.raises(ValueError, match=reason):
        await unpack(packed, "gzip", 1 << 30, 60)


@pytest.mark.parametrize("encoding", ["", "identity", "br", "zstd"])
async def test_an_encoding_that_was_not_asked_for_is_left_alone(encoding):
    assert await unpack(b"body", encoding, 5, 60) == b"body"
    with pytest.raises(BodyTooLargeError):
        await unpack(b"body", encoding, 4, 60)


async def test_unpacking_ends_at_the_deadline_and_lets_others_have_their_turn():
    turns = 0

    async def count():
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    other = asyncio.create_task(count())
    await unpack(members(bytes(40_000_000)), "gzip", 1 << 30, 60)
    other.cancel()
    assert turns >= 8
    with pytest.raises(TimeoutError):
        await unpack(members(bytes(40_000_000)), "gzip", 1 << 30, -1)
    with pytest.raises(TimeoutError):
        await unpack(members(*[b""] * 1000), "gzip", 1 << 30, -1)
