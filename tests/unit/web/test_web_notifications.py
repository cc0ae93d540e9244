"""What the user should know, as a list and as a stream."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from promscout.web import ConfigStatus, events
from unit.web.agent_view import NOW_MS, Site

pytestmark = pytest.mark.real_time

FAILED = {"text": "Configuration reload has failed.", "date": "2023-11-14T22:13:23Z", "active": True}


async def test_nothing_is_notified_while_all_is_well(site: Site) -> None:
    assert await site.data("/api/v1/notifications") == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"ready": False}, [("promscout is starting.", "2023-11-14T22:13:20Z")]),
        (
            {"ready": False, "stopping": True},
            [("promscout is shutting down and gracefully stopping all operations.", "2023-11-14T22:13:20Z")],
        ),
        (
            {"config_status": ConfigStatus(NOW_MS, ("broken",), NOW_MS + 3000)},
            [("Configuration reload has failed.", "2023-11-14T22:13:23Z")],
        ),
    ],
)
async def test_what_is_not_well_is_notified(
    site: Site, state: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    for name, value in state.items():
        setattr(site.view, name, value)
    assert await site.data("/api/v1/notifications") == [
        {"text": text, "date": date, "active": True} for text, date in expected
    ]


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers are told at once."""
    monkeypatch.setattr(events, "LOOK_SECONDS", 0.01)


@asynccontextmanager
async def reading(site: Site) -> AsyncIterator[aiohttp.ClientResponse]:
    async with site.client.get("/api/v1/notifications/live") as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield response


async def next_event(response: aiohttp.ClientResponse) -> dict[str, Any]:
    async for line in response.content:
        if line.startswith(b"data: "):
            found: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
            return found
    pytest.fail("the stream has ended")


async def test_a_reader_is_told_what_there_is_and_what_comes_and_goes(site: Site) -> None:
    site.view.config_status = ConfigStatus(NOW_MS, ("broken",), NOW_MS + 3000)
    async with reading(site) as response:
        assert await next_event(response) == FAILED
        site.view.config_status = ConfigStatus(NOW_MS + 5000)
        assert await next_event(response) == FAILED | {"active": False}
        site.view.config_status = ConfigStatus(NOW_MS, ("broken",), NOW_MS + 7000)
        assert await next_event(response) == FAILED | {"date": "2023-11-14T22:13:27Z"}


async def test_beyond_the_most_readers_there_is_nothing_to_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_READERS", 1)
    async with reading(site) as response:
        assert await response.content.readline() == b": still here\n"
        async with site.client.get("/api/v1/notifications/live") as second:
            assert second.status == 204


async def test_the_stream_ends_with_the_server(site: Site) -> None:
    async with reading(site) as response:
        await site.server.stop()
        assert (await response.content.read()).startswith(b": still here")
