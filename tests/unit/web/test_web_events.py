"""Pages are told what has changed."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest

from promscout.scrape.report import Report
from promscout.web import ConfigStatus, WebOptions, WebServer, events
from promscout.web.events import EVENTS, HEARTBEAT_SECONDS, LOOK_SECONDS, MAX_READERS, Events
from unit.web.agent_view import NOW_MS, View, agent_view, serving


@dataclass
class Following:
    """A reader and what it was sent, each with the time."""

    source: Events
    received: list[tuple[float, dict]] = field(default_factory=list)
    heartbeats: int = 0
    gone: bool = False

    async def run(self) -> None:
        async for message in self.source.follow(lambda: self.gone):
            for part in message.decode().split("\n\n"):
                if part.startswith("data: "):
                    self.received.append((asyncio.get_running_loop().time(), json.loads(part[6:])))
                self.heartbeats += part.startswith(":")

    @property
    def changes(self) -> list[list[str]]:
        """What each message but the first named."""
        return [message["changed"] for _, message in self.received[1:]]


@pytest.fixture
async def view(clock) -> AsyncIterator[View]:
    async with agent_view(clock) as view:
        view.add_pool("a")
        yield view


@pytest.fixture
async def source(view: View) -> AsyncIterator[Events]:
    source = Events(view)
    yield source
    source.close()


def timers() -> int:
    """Looks that are due."""
    return sum("Events._look" in repr(one) and not one.cancelled() for one in asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]


async def test_a_reader_is_told_once_per_look_what_has_changed(view: View, source: Events):
    reader = Following(source)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(3 * LOOK_SECONDS)
    assert reader.changes == []
    (active,) = view.sync("a", "a", ["127.0.0.2:1"])
    active.loop.last = Report(NOW_MS, 0.1)
    await asyncio.sleep(LOOK_SECONDS)
    assert reader.changes == [["targets"]]
    assert reader.received[-1][1] == {"changed": ["targets"], "up": 1, "down": 0, "unknown": 0, "pace": 2.0}
    active.loop.last = Report(NOW_MS, 0.1, "no answer")
    view.config_status = ConfigStatus(NOW_MS, ("wrong",))
    source.sampled()
    await asyncio.sleep(LOOK_SECONDS)
    assert reader.changes[1:] == [["config", "history", "targets"]]
    await asyncio.sleep(3 * LOOK_SECONDS)
    assert len(reader.changes) == 2
    source.close()
    await task


async def test_without_readers_nobody_looks(view: View, source: Events):
    assert timers() == 0
    reader = Following(source)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(0)
    assert timers() == 1
    reader.gone = True
    await task
    await asyncio.sleep(2 * LOOK_SECONDS)
    assert timers() == 0


async def test_what_changed_while_nobody_looked_is_not_news(view: View, source: Events):
    view.sync("a", "a", ["127.0.0.2:1"])
    reader = Following(source)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(3 * LOOK_SECONDS)
    assert reader.changes == []
    assert reader.received[0][1]["unknown"] == 1
    source.close()
    await task


async def test_a_reader_that_takes_its_time_gets_one_message_for_all_that_it_missed(view: View, source: Events):
    stream = source.follow(lambda: False)
    await anext(stream)
    for number in range(5):
        view.sync("a", "a", [f"127.0.0.{number + 2}:1"])
        await asyncio.sleep(LOOK_SECONDS)
    source.sampled()
    await asyncio.sleep(LOOK_SECONDS)
    assert json.loads((await anext(stream))[6:])["changed"] == ["history", "targets"]
    assert await anext(stream) == b": still here\n\n"
    await stream.aclose()


async def test_a_quiet_stream_shows_that_it_is_alive(view: View, source: Events):
    reader = Following(source)
    task = asyncio.create_task(reader.run())
    await asyncio.sleep(3.5 * HEARTBEAT_SECONDS)
    assert reader.heartbeats == 3
    source.close()
    await task


async def test_the_more_readers_there_are_the_less_often_each_asks(view: View, source: Events):
    readers = [Following(source) for _ in range(40)]
    tasks = [asyncio.create_task(reader.run()) for reader in readers]
    await asyncio.sleep(0.1)
    view.sync("a", "a", ["127.0.0.2:1"])
    await asyncio.sleep(LOOK_SECONDS)
    assert {reader.received[-1][1]["pace"] for reader in readers} == {10.0}
    source.close()
    await asyncio.gather(*tasks)


async def test_nobody_can_follow_what_is_closed(view: View, source: Events):
    assert not source.full
    source.close()
    assert source.full


@pytest.mark.real_time
async def test_the_stream_is_served_as_server_sent_events() -> None:
    async with (
        agent_view() as view,
        serving(view) as server,
        aiohttp.ClientSession(server.url) as client,
        client.get("/events") as response,
    ):
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert await response.content.readuntil(b"\n\n") == b"retry: 3000\n\n"
        first = await response.content.readuntil(b"\n\n")
        assert json.loads(first[6:])["changed"] == []


@pytest.mark.real_time
async def test_one_reader_too_many_is_turned_away() -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        agent_view() as view,
        serving(view) as server,
        aiohttp.ClientSession(server.url, connector=connector) as client,
    ):
        streams = [await client.get("/events") for _ in range(MAX_READERS)]
        async with client.get("/events") as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "30")
        for stream in streams:
            stream.close()


@pytest.mark.real_time
async def test_open_streams_do_not_delay_stop() -> None:
    async with agent_view() as view, aiohttp.ClientSession() as client:
        server = WebServer(view, WebOptions(port=0))
        await server.start()
        streams = [await client.get(f"{server.url}/events") for _ in range(5)]
        started = time.monotonic()
        await server.stop()
        assert time.monotonic() - started < 0.9  # aiohttp would wait twice half a second for them
        for stream in streams:
            stream.close()


@pytest.mark.real_time
async def test_a_reader_that_reads_nothing_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.001)
    monkeypatch.setattr(Events, "_message", lambda self, changed: b"data: " + b"x" * 500_000 + b"\n\n")
    async with agent_view() as view, serving(view) as server:
        runner = server._runner
        assert runner is not None
        source = runner.app[EVENTS]
        with socket.socket() as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(stuck, ("127.0.0.1", int(server.url.rpartition(":")[2])))
            await loop.sock_sendall(stuck, b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            async with asyncio.timeout(10):
                while not source._readers:  # noqa: ASYNC110 - no event is set
                    await asyncio.sleep(0.01)
                while source._readers:
                    source.sampled()
                    await asyncio.sleep(0.01)
