"""Starting and stopping."""

from __future__ import annotations

import asyncio
import socket
import time

import aiohttp
import pytest

from promscout.errors import PromscoutError
from promscout.web import ListenError, WebOptions, WebServer
from unit.web.agent_view import View, agent_view, serving

pytestmark = pytest.mark.real_time


async def healthy(url: str) -> bool:
    async with aiohttp.request("GET", f"{url}/-/healthy") as response:
        return response.status == 200


async def test_port_0_takes_a_free_port_and_tells_it() -> None:
    async with agent_view() as view, serving(view) as one, serving(view) as two:
        assert one.url.startswith("http://127.0.0.1:")
        assert one.url != two.url
        assert await healthy(one.url)
        assert await healthy(two.url)


async def test_a_port_in_use_is_an_error_that_names_the_address() -> None:
    async with agent_view() as view, serving(view) as first:
        port = int(first.url.rpartition(":")[2])
        second = WebServer(view, WebOptions(port=port))
        with pytest.raises(ListenError, match=f"^cannot listen on 127.0.0.1:{port}: Address already in use$") as caught:
            await second.start()
        await second.stop()
        assert isinstance(caught.value, OSError)
        assert isinstance(caught.value, PromscoutError)
        assert await healthy(first.url)


async def test_the_port_is_free_again_after_stop() -> None:
    async with agent_view() as view:
        async with serving(view) as first:
            port = int(first.url.rpartition(":")[2])
            assert await healthy(first.url)
        async with serving(view, port=port) as second:
            assert await healthy(second.url)


async def test_an_ipv6_address_is_in_brackets_in_the_url() -> None:
    async with agent_view() as view, serving(view, host="::1") as server:
        assert server.url.startswith("http://[::1]:")
        assert await healthy(server.url)


async def test_an_idle_connection_does_not_delay_stop() -> None:
    async with agent_view() as view, aiohttp.ClientSession() as client:
        server = WebServer(view, WebOptions(port=0))
        await server.start()
        async with client.get(f"{server.url}/-/healthy") as response:
            await response.read()
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 1
        await server.stop()


def fill(view: View, count: int, **labels: str) -> None:
    view.add_pool("web")
    view.sync("web", "a", [f"127.0.{number // 250}.{number % 250 + 1}:1" for number in range(count)], **labels)


async def test_a_client_that_reads_nothing_does_not_delay_stop_for_long() -> None:
    async with agent_view() as view:
        fill(view, 2000, padding="x" * 5000)  # 20 MB are more than the kernel's buffers take
        server = WebServer(view, WebOptions(port=0))
        await server.start()
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(stuck, ("127.0.0.1", int(server.url.rpartition(":")[2])))
            await loop.sock_sendall(stuck, b"GET /api/v1/targets HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await loop.sock_recv(stuck, 12) == b"HTTP/1.1 200"
            await asyncio.sleep(0.3)
            started = time.monotonic()
            await server.stop()
            assert time.monotonic() - started < 2


async def test_a_long_answer_leaves_others_their_turn() -> None:
    async with agent_view() as view:
        fill(view, 5000)
        async with serving(view) as server, aiohttp.ClientSession(server.url) as client:

            async def download() -> int:
                async with client.get("/api/v1/targets") as response:
                    return len(await response.read())

            long = asyncio.create_task(download())
            answered = 0
            while not long.done():
                async with client.get("/-/healthy") as response:
                    answered += response.status == 200
            assert await long > 2_000_000
    assert answered > 2
