import asyncio
import gc
import socket
import struct

import pytest

from promscout.httpclient import connections
from promscout.httpclient.answer import ERROR_BODY_LIMIT, HEADER_LIMIT, Answer, NoAnswer
from promscout.httpclient.client import HTTPClient
from promscout.httpclient.config import URL, Authorization, Header, HTTPClientConfig, Secret
from promscout.model.frozendict import FrozenDict
from unit.httpclient.raw_server import always, answer, raw_server

pytestmark = pytest.mark.every_loop


async def fetch(client, url, *, method="GET", limit=1 << 20, within=5.0, **options):
    deadline = asyncio.get_running_loop().time() + within
    return await client.fetch(
        method, url, headers=options.pop("headers", {}), limit=limit, deadline=deadline, **options
    )


def client_for(**options):
    return HTTPClient(HTTPClientConfig(**options), user_agent="test/1")


def once(*parts):
    """Answers one request with these bytes, then closes the connection."""

    async def script(peer):
        await peer.request()
        await peer.say(*parts)

    return script


async def fetched(script, **options):
    async with raw_server(script) as server, client_for() as client:
        return await fetch(client, server.url, **options)


async def test_requests_to_one_place_share_one_connection():
    async with raw_server(always(answer(b"body"))) as server, client_for() as client:
        for path in ("/a", "/b?c=d"):
            outcome = await fetch(client, server.url + path, headers={"X-A": "1"})
            assert (outcome.status, outcome.reason, outcome.body) == (200, "OK", b"body")
    assert server.connections == 1
    host = server.url.removeprefix("http://")
    assert server.requests[1] == (
        f"GET /b?c=d HTTP/1.1\r\nHost: {host}\r\nUser-Agent: test/1\r\nX-A: 1\r\n\r\n".encode()
    )


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (answer(b""), b""),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: x\r\n\r\n",
            b"abcde",
        ),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + answer(b"abc"), b"abc"),
        (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
    ids=["empty", "chunked", "interim", "until close", "HTTP/1.0", "no content"],
)
@pytest.mark.parametrize("bytewise", [False, True])
async def test_a_body_is_whole_however_it_comes(sent, body, bytewise):
    parts = [sent[i : i + 1] for i in range(len(sent))] if bytewise else [sent]
    outcome = await fetched(once(*parts))
    assert isinstance(outcome, Answer), outcome
    assert outcome.body == body
    assert outcome.complete


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"", "the server closed the connection without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "the server closed the connection within its answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "the server closed the connection within its answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "the server closed the connection within"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "malformed HTTP response"),
        (b"\0\0\0", "malformed HTTP response"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", "malformed HTTP response"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "malformed HTTP response"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "switched to another"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEADER_LIMIT + 1), "more than 65536 bytes of headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, "more than 65536 bytes of headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000, "more than 65536 bytes of headers"),
    ],
)
async def test_what_is_no_answer_has_a_reason(sent, reason):
    async def script(peer):
        await peer.request()
        await peer.say(*(sent[i : i + 4096] for i in range(0, len(sent), 4096)))

    outcome = await fetched(script)
    assert isinstance(outcome, NoAnswer)
    assert reason in outcome.reason


async def test_a_reset_is_told():
    async def script(peer):
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n")
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.writer.transport.abort()

    assert await fetched(script) == NoAnswer("the server reset the connection within its answer")


@pytest.mark.parametrize(("size", "limit", "complete"), [(10, 10, True), (11, 10, False), (1_000_000, 10, False)])
async def test_a_body_beyond_the_limit_is_given_up(size, limit, complete):
    outcome = await fetched(always(answer(b"x" * size)), limit=limit)
    assert outcome.complete is complete
    assert len(outcome.body) <= limit + 262_144


async def test_an_endless_body_ends_at_the_limit():
    async def script(peer):
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.say(b"x" * 65_536)

    outcome = await fetched(script, limit=1 << 20)
    assert not outcome.complete
    assert len(outcome.body) < 2 << 20


async def test_a_long_body_of_an_error_is_not_read_to_its_end():
    outcome = await fetched(always(answer(b"x" * (ERROR_BODY_LIMIT + 1), status="500 Oh")), limit=1 << 30)
    assert (outcome.status, outcome.complete) == (500, False)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\nabc"])
async def test_a_slow_answer_ends_at_the_deadline(sent):
    async def script(peer):
        await peer.request()
        await peer.say(sent)
        await asyncio.Event().wait()

    loop = asyncio.get_running_loop()
    async with raw_server(script) as server, client_for() as client:
        before = loop.time()
        outcome = await fetch(client, server.url, within=0.1)
        assert 0.09 < loop.time() - before < 1
        assert outcome.timed_out
        assert not client._connections._open


async def test_bytes_that_trickle_in_do_not_extend_the_deadline():
    async def script(peer):
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            await peer.say(b"x")
            await asyncio.sleep(0.01)

    assert (await fetched(script, within=0.1)).timed_out


@pytest.mark.parametrize(("method", "fails"), [("GET", False), ("POST", True)])
async def test_a_kept_connection_that_the_server_closed_unheard_is_replaced_for_a_get(method, fails):
    async def script(peer):
        await peer.request()
        await peer.say(answer(b"1"))
        await peer.request()  # and goes without a word

    async with raw_server(script) as server, client_for() as client:
        assert (await fetch(client, server.url)).body == b"1"
        outcome = await fetch(client, server.url, method=method, body=b"x" if method == "POST" else None)
    assert isinstance(outcome, NoAnswer) is fails
    assert server.connections == (1 if fails else 2)


async def test_a_new_connection_that_closes_unheard_is_no_reason_to_try_again():
    async def script(peer):
        await peer.request()

    async with raw_server(script) as server, client_for() as client:
        assert isinstance(await fetch(client, server.url), NoAnswer)
    assert server.connections == 1


@pytest.mark.parametrize("sent", [answer(b"1", headers="Connection: close\r\n"), answer(b"1") + answer(b"2")])
async def test_a_connection_is_not_used_again_after_close_or_more_than_an_answer(sent):
    async with raw_server(always(sent)) as server, client_for() as client:
        for _ in range(3):
            assert (await fetch(client, server.url)).body == b"1"
    assert server.connections == 3


async def test_words_on_an_idle_connection_end_it():
    said = asyncio.Event()

    async def script(peer):
        await peer.request()
        await peer.say(answer(b"1"))
        await said.wait()
        await peer.say(answer(b"not asked for"))
        await peer.reader.read()

    async with raw_server(script) as server, client_for() as client:
        assert (await fetch(client, server.url)).body == b"1"
        said.set()
        async with asyncio.timeout(5):
            while client._connections._open:  # noqa: ASYNC110 - the server's words are on their way
                await asyncio.sleep(0.001)
        assert (await fetch(client, server.url)).body == b"1"
    assert server.connections == 2


async def test_an_idle_connection_is_closed_in_time(monkeypatch):
    monkeypatch.setattr(connections, "KEEP_IDLE", 0.02)
    monkeypatch.setattr(connections, "_LOOK", 0.01)
    async with raw_server(always(answer(b"1"))) as server, client_for() as client:
        await fetch(client, server.url)
        async with asyncio.timeout(5):
            while client._connections._open or client._connections._kept:  # noqa: ASYNC110 - a timer ends it
                await asyncio.sleep(0.001)


async def test_a_cancelled_fetch_leaves_no_connection():
    async def script(peer):
        await peer.request()
        await asyncio.Event().wait()

    async with raw_server(script) as server, client_for() as client:
        task = asyncio.create_task(fetch(client, server.url))
        while not server.requests:  # noqa: ASYNC110 - the request is on its way
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5):
            while client._connections._open:  # noqa: ASYNC110 - its end is on its way
                await asyncio.sleep(0)


async def test_at_most_ten_requests_are_made_for_redirects():
    async with raw_server(always(answer(status="302 Found", headers="Location: /again\r\n"))) as server:
        async with client_for() as client:
            assert await fetch(client, server.url) == NoAnswer("stopped after 10 redirects")
        async with client_for(follow_redirects=False) as client:
            assert (await fetch(client, server.url)).status == 302
    assert len(server.requests) == 11


async def test_credentials_do_not_follow_a_redirect_to_another_origin():
    async with raw_server(always(answer(b"there"))) as there:
        redirect = answer(status="307 Temporary Redirect", headers=f"Location: {there.url}/x\r\n")
        async with raw_server(always(redirect)) as here:
            headers = FrozenDict({"Cookie": Header(values=("c=1",)), "X-A": Header(values=("1",))})
            async with client_for(bearer_token=Secret("t"), http_headers=headers) as client:
                assert (await fetch(client, here.url)).body == b"there"
    assert b"Authorization: Bearer t\r\n" in here.requests[0]
    assert b"Cookie" in here.requests[0]
    assert b"Authorization" not in there.requests[0]
    assert b"Cookie" not in there.requests[0]
    assert b"X-A: 1" in there.requests[0]


@pytest.mark.parametrize(
    ("status", "line", "body"),
    [(302, b"GET /b", b""), (303, b"GET /b", b""), (307, b"POST /b", b"data"), (308, b"POST /b", b"data")],
)
async def test_the_status_of_a_redirect_decides_what_is_sent_on(status, line, body):
    async def script(peer):
        while True:
            head = await peer.request()
            redirect = answer(status=f"{status} x", headers="Location: /b\r\n")
            await peer.say(redirect if b" /a " in head else answer(b"ok"))

    async with raw_server(script) as server, client_for() as client:
        assert (await fetch(client, server.url + "/a", method="POST", body=b"data")).body == b"ok"
    assert server.requests[1].startswith(line)
    assert server.requests[1].partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/", "http://127.0.0.1:99999/"])
async def test_a_redirect_to_nowhere_is_told(target):
    outcome = await fetched(always(answer(status="302 x", headers=f"Location: {target}\r\n")))
    assert isinstance(outcome, NoAnswer)
    assert "redirected to where no request can be sent" in outcome.reason


async def test_a_refused_request_is_sent_once_more_with_the_credentials_of_then(tmp_path):
    token = tmp_path / "token"
    token.write_text("old")

    async def script(peer):
        while True:
            if b"Bearer new" in await peer.request():
                await peer.say(answer(b"in"))
            else:
                token.write_text("newer")
                token.write_text("new")
                await peer.say(answer(b"out", status="401 Unauthorized"))

    async with (
        raw_server(script) as server,
        client_for(authorization=Authorization(credentials_file=str(token))) as client,
    ):
        assert (await fetch(client, server.url)).body == b"in"


async def test_a_header_that_would_end_its_line_is_not_sent(tmp_path):
    token = tmp_path / "token"
    token.write_text("one\ntwo")
    async with client_for(authorization=Authorization(credentials_file=str(token))) as client:
        outcome = await fetch(client, "http://127.0.0.1:1")
    assert "the request cannot be sent: header Authorization" in outcome.reason
    assert "two" not in outcome.reason


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:x/", "ftp://127.0.0.1/", "//127.0.0.1/", "http:///x", "http://[::1/"]
)
async def test_a_url_that_is_none_is_told(url):
    async with client_for() as client:
        outcome = await fetch(client, url)
    assert outcome.reason.startswith("not a valid URL: ")


async def test_a_unix_socket_stands_for_the_host(tmp_path):
    path = str(tmp_path / "socket")
    async with raw_server(always(answer(b"unix")), path=path) as server, client_for() as client:
        for _ in range(2):
            assert (await fetch(client, "http://nowhere.invalid:80/metrics", unix_socket=path)).body == b"unix"
    assert server.connections == 1
    assert b"Host: nowhere.invalid\r\n" in server.requests[0]


async def test_a_unix_socket_that_is_not_there_is_told(tmp_path):
    async with client_for() as client:
        outcome = await fetch(client, "http://localhost/", unix_socket=str(tmp_path / "none"))
    assert outcome.reason == f"cannot connect to {tmp_path}/none: No such file or directory"


async def test_ipv6_is_spoken():
    async with raw_server(always(answer(b"six")), host="::1") as server, client_for() as client:
        assert (await fetch(client, server.url + "/x")).body == b"six"
    assert f"Host: {server.url.removeprefix('http://')}\r\n".encode() in server.requests[0]


async def test_a_refused_connection_is_told_with_its_place(free_port):
    async with client_for() as client:
        outcome = await fetch(client, f"http://user:hunter2@127.0.0.1:{free_port}/")
    assert outcome == NoAnswer(f"cannot connect to 127.0.0.1:{free_port}: Connection refused")


async def test_failures_leave_no_garbage_behind(free_port):
    async with raw_server(once(b"SSH-2.0\r\n")) as server, client_for() as client:
        for _ in range(5):
            await fetch(client, server.url)
            await fetch(client, f"http://127.0.0.1:{free_port}/")
        gc.collect()
        gc.disable()
        try:
            for _ in range(10):
                await fetch(client, f"http://127.0.0.1:{free_port}/")
            found = gc.collect()
        finally:
            gc.enable()
    assert found < 10


async def test_a_proxy_is_asked_where_one_is_configured_and_the_limit_holds():
    async with raw_server(always(answer(b"x" * 100_000))) as proxy:
        url = URL.parse(proxy.url.replace("//", "//u:p@"))
        async with client_for(proxy_url=url, no_proxy="127.0.0.1", bearer_token=Secret("t")) as client:
            outcome = await fetch(client, "http://target.invalid/metrics", limit=1 << 20)
            assert outcome.body == b"x" * 100_000
            assert not (await fetch(client, "http://target.invalid/metrics", limit=10)).complete
            assert (await fetch(client, proxy.url + "/direct")).complete
    assert proxy.requests[0].startswith(b"GET http://target.invalid/metrics HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dTpw\r\n" in proxy.requests[0]
    assert b"Authorization: Bearer t\r\n" in proxy.requests[0]
    assert proxy.requests[-1].startswith(b"GET /direct HTTP/1.1\r\n")
    assert b"Proxy-Authorization" not in proxy.requests[-1]


async def test_a_proxy_that_hangs_ends_at_the_deadline():
    async def script(peer):
        await peer.request()
        await asyncio.Event().wait()

    async with raw_server(script) as proxy, client_for(proxy_url=URL.parse(proxy.url)) as client:
        assert (await fetch(client, "http://target.invalid/", within=0.1)).timed_out
