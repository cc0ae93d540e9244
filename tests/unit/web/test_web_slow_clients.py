"""Clients that send or read slowly, or only hold connections, cost little and not for long."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest

from promscout.web import WebOptions, WebServer
from promscout.web.access.bodies import MAX_BODY
from promscout.web.access.connection import WRITE_BUFFER, ConnectionLimits
from unit.httpclient.certificates import Certificate
from unit.web.agent_view import FixedClock, View, agent_view
from unit.web.raw import Answer, connect, exchange, get

pytestmark = pytest.mark.real_time

BIG = get("/api/v1/targets")


@pytest.fixture
async def view() -> AsyncIterator[View]:
    async with agent_view() as made:
        yield made


@asynccontextmanager
async def limited(view: View, limits: ConnectionLimits | None = None, **options: Any) -> AsyncIterator[WebServer]:
    """The server with limits of its own."""
    server = WebServer(view, WebOptions(port=0, **options), clock=FixedClock(), limits=limits)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def fill(view: View) -> None:
    """Twenty megabytes of targets: more than the kernel's buffers take."""
    view.add_pool("web")
    view.sync("web", "a", [f"127.0.{number // 250}.{number % 250 + 1}:1" for number in range(2000)], padding="x" * 5000)


class Stuck:
    """A client that asks and reads nothing, or what it is told to read."""

    def __init__(self, server: WebServer, request: bytes = BIG) -> None:
        self._address = ("127.0.0.1", urlsplit(server.url).port)
        self._request = request
        self._socket = socket.socket()

    async def __aenter__(self) -> Self:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, self._address)
        await loop.sock_sendall(self._socket, self._request)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def read(self, size: int) -> bytes:
        return await asyncio.get_running_loop().sock_recv(self._socket, size)

    async def was_cut(self) -> bool:
        """Reads on until the connection ends; whether that is before the end of the answer."""
        received = b""
        try:
            while piece := await self.read(1 << 20):
                received = received[-10:] + piece
        except ConnectionError:
            return True
        return not received.endswith(b"0\r\n\r\n")


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is the server's own business
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    "pieces", [[b"GET / HT"], [b"GET / HTTP/1.1\r\n"] + [b"X: a\r\n"] * 60], ids=["stops", "trickles"]
)
async def test_a_head_that_does_not_end_is_not_waited_for(view: View, pieces: list[bytes]) -> None:
    async with limited(view, ConnectionLimits(head=0.2)) as server, asyncio.timeout(5):
        started = asyncio.get_running_loop().time()
        reader, writer = await connect(server)

        async def trickle() -> None:
            for piece in pieces:
                writer.write(piece)
                await asyncio.sleep(0.02)

        trickling = asyncio.create_task(trickle())
        received = await asyncio.gather(reader.read(), return_exceptions=True)
        taken = asyncio.get_running_loop().time() - started
        trickling.cancel()
        await asyncio.gather(trickling, return_exceptions=True)
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    assert received == [b""] or isinstance(received[0], ConnectionError)
    assert 0.15 < taken < 1


async def test_a_head_in_pieces_is_answered_when_it_comes_in_time(view: View) -> None:
    async with limited(view, ConnectionLimits(head=5)) as server:
        reader, writer = await connect(server)
        for byte in get("/-/healthy"):
            writer.write(bytes([byte]))
            await writer.drain()
        assert Answer.of(await reader.read()).status == 200
        writer.close()
        await writer.wait_closed()


async def test_a_body_that_does_not_come_is_not_waited_for(view: View) -> None:
    async with limited(view, read_timeout=0.2) as server:
        request = b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc"
        assert (await exchange(server, request)).status == 408
    assert view.reloads == 0


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (["Content-Length: 0"], b"", 200),
        ([f"Content-Length: {MAX_BODY}"], b"a" * MAX_BODY, 200),
        ([f"Content-Length: {MAX_BODY + 1}"], b"", 413),
        (["Content-Length: 99999999999999"], b"", 413),
        (["Transfer-Encoding: chunked"], b"3\r\nabc\r\n0\r\n\r\n", 200),
        (["Transfer-Encoding: chunked"], b"100001\r\n" + b"a" * 0x100001 + b"\r\n0\r\n\r\n", 413),
        (["Content-Length: 3", "Content-Type: multipart/form-data; boundary=x"], b"abc", 415),
        (["Content-Length: 3", "Content-Encoding: gzip"], b"abc", 200),
    ],
)
async def test_bodies_are_small_and_in_one_part(view: View, headers: list[str], body: bytes, status: int) -> None:
    async with limited(view) as server:
        assert (await exchange(server, get("/-/reload", *headers, method="POST") + body)).status == status
    assert view.reloads == (status == 200)


async def test_an_idle_connection_gives_its_place_to_a_new_one(view: View) -> None:
    async with limited(view, max_connections=2) as server, AsyncExitStack() as stack:
        first, second = [await stack.enter_async_context(Stuck(server, b"")) for _ in range(2)]
        await until(lambda: len(server._crowd.open) == 2)
        assert (await exchange(server, get("/-/healthy"))).status == 200
        assert await first.read(1) == b""
        await second.send(get("/-/healthy"))
        assert (await second.read(12)) == b"HTTP/1.1 200"


async def test_connections_that_are_busy_keep_their_places(view: View) -> None:
    async with limited(view, ConnectionLimits(head=0.3), max_connections=2) as server, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(Stuck(server, b"GET / HT"))
        await until(lambda: len(server._crowd.open) == 2)
        asked = asyncio.create_task(exchange(server, get("/-/healthy")))
        await asyncio.sleep(0.1)
        assert not asked.done()
        assert len(server._crowd.open) == 2
        assert (await asked).status == 200  # when the heads have not come in time


async def test_an_answer_that_nobody_reads_is_ended(view: View, caplog: pytest.LogCaptureFixture) -> None:
    fill(view)
    async with limited(view, ConnectionLimits(stall=0.3)) as server, Stuck(server) as client:
        await until(lambda: len(server._crowd.open) == 1)
        await until(lambda: not server._crowd.open, 3)
        assert await client.was_cut()
    # Whoever can connect could fill the log.
    assert [record for record in caplog.records if record.name != "promscout.scrape"] == []


async def test_a_tls_handshake_that_does_not_come_is_not_waited_for(view: View, tmp_path: Path) -> None:
    Certificate(tmp_path, "server", "127.0.0.1")
    file = tmp_path / "web.yml"
    file.write_text("tls_server_config: {cert_file: server.crt, key_file: server.key}\n")
    limits = ConnectionLimits(handshake=0.3)
    async with limited(view, limits, config_file=file, max_connections=2) as server, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Stuck(server, b"\x16\x03")) for _ in range(2)]
        await until(lambda: len(server._crowd.places) == 2)
        await until(lambda: not server._crowd.places, 3)
        assert [await client.was_cut() for client in clients] == [True, True]


async def test_an_answer_that_is_read_bit_by_bit_is_ended(view: View) -> None:
    fill(view)
    limits = ConnectionLimits(stall=5, waiting=0.5)
    async with limited(view, limits) as server, Stuck(server) as client:
        await until(lambda: len(server._crowd.open) == 1)

        async def sip() -> None:
            while server._crowd.open:
                await client.read(20_000)
                await asyncio.sleep(0.01)

        async with asyncio.timeout(5):
            await asyncio.gather(sip(), return_exceptions=True)
        assert await client.was_cut()


async def test_an_answer_that_is_read_is_not_ended_however_long_it_takes(view: View) -> None:
    fill(view)
    limits = ConnectionLimits(stall=2, waiting=20)
    async with limited(view, limits) as server, Stuck(server) as client:
        async with asyncio.timeout(20):
            assert not await client.was_cut()


async def test_of_answers_that_wait_those_that_wait_longest_are_ended(view: View) -> None:
    fill(view)
    async with limited(view, ConnectionLimits(most_stalled=3)) as server, AsyncExitStack() as stack:
        crowd = server._crowd
        clients = []
        for number in range(5):
            clients.append(await stack.enter_async_context(Stuck(server)))
            await until(lambda number=number: len(crowd._stalled) == min(number + 1, 3))  # type: ignore[misc]
        await until(lambda: len(crowd.open) == 3)
        assert sum(connection.unsent for connection in crowd.open) < 3 * (WRITE_BUFFER + 2_000_000)
        # Which ones: the kernel takes a little more of an answer now and then, and its wait begins anew.
        assert [await client.was_cut() for client in clients].count(True) == 2


async def test_of_answers_that_wait_those_beyond_the_bytes_are_ended(view: View) -> None:
    fill(view)
    limits = ConnectionLimits(most_stalled_bytes=200_000)
    async with limited(view, limits) as server, AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(Stuck(server))
        await until(lambda: 1 <= len(server._crowd.open) <= 2)
        assert sum(connection.unsent for connection in server._crowd.open) <= 200_000
