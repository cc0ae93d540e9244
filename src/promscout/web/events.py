"""Tells open pages that something has changed, over server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Final

import msgspec
from aiohttp import hdrs, web

from promscout.web.view import VIEW, AgentView
from promscout.web.vitals import HealthCounts, health_counts

MAX_READERS: Final = 64
LOOK_SECONDS: Final = 2.0
"""Time between two looks whether something has changed, so also between two messages to a reader."""

HEARTBEAT_SECONDS: Final = 15.0
SEND_SECONDS: Final = 10.0
"""A reader that does not take a message for so long is dropped."""

_RETRY_MS: Final = 3000
_READERS_PER_SECOND: Final = 4  # how many pages may be asked for because of one message


class Pulse(msgspec.Struct, frozen=True):
    """What pages are about at one moment, as far as it is known without work: two that are equal look the same."""

    health: HealthCounts
    targets: int
    """Another number whenever targets came, went or changed."""
    config: tuple[int, int]
    ready: bool

    @classmethod
    def of(cls, view: AgentView) -> Pulse:
        """That of the agent now."""
        status = view.config_status
        revisions = sum(pool.revision for pool in view.scrape.pools.values())
        return cls(health_counts(view), revisions, (status.loaded_ms, len(status.problems)), view.ready)

    def differences(self, before: Pulse) -> set[str]:
        """What of ``config`` and ``targets`` has changed."""
        changed = set()
        if self.config != before.config:
            changed.add("config")
        if (self.health, self.targets, self.ready) != (before.health, before.targets, before.ready):
            changed.add("targets")
        return changed


class _Message(msgspec.Struct, frozen=True):
    changed: list[str]
    up: int
    down: int
    unknown: int
    pace: float
    """Seconds that a page lets pass at least between two refreshes: the more readers, the longer."""


class _Reader:
    """Somebody with an open page. What was not sent yet is merged with what comes."""

    def __init__(self, is_gone: Callable[[], bool]) -> None:
        self.is_gone = is_gone
        self._pending: set[str] = set()
        self._woken = asyncio.Event()
        self.ended = False

    def tell(self, changed: set[str]) -> None:
        self._pending |= changed
        self._woken.set()

    def end(self) -> None:
        self.ended = True
        self._woken.set()

    async def changes(self) -> set[str]:
        """Wait for some; none after ``HEARTBEAT_SECONDS``."""
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                await self._woken.wait()
        except TimeoutError:
            return set()
        self._woken.clear()
        taken, self._pending = self._pending, set()
        return taken


class Events:
    """Looks at the agent for all readers at once.

    Guarantees: without readers it does nothing; a reader gets at most one message per look, and what it has not taken
    yet is one message, however slow it is; there are at most ``MAX_READERS``; after ``close`` every stream ends at
    once.
    """

    def __init__(self, view: AgentView) -> None:
        self._view = view
        self._readers: set[_Reader] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._seen = Pulse.of(view)
        self._sampled = False
        self._closed = False

    @property
    def full(self) -> bool:
        """Whether there is no room for another reader."""
        return self._closed or len(self._readers) >= MAX_READERS

    def sampled(self) -> None:
        """The history has another row."""
        self._sampled = True

    def close(self) -> None:
        """End every stream, and begin none any more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for reader in self._readers:
            reader.end()

    async def follow(self, is_gone: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """Messages for one reader, from what is so now on. ``is_gone`` says whether nobody reads them any more."""
        reader = _Reader(is_gone)
        self._readers.add(reader)
        self._look_later()
        try:
            yield f"retry: {_RETRY_MS}\n\n".encode() + self._message(set())
            while True:
                changed = await reader.changes()
                if reader.ended:
                    return
                yield self._message(changed) if changed else b": still here\n\n"
        finally:
            self._readers.discard(reader)

    def _look_later(self) -> None:
        if self._timer is None and not self._closed:
            self._seen, self._sampled = Pulse.of(self._view), False
            self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self._timer = None
        for reader in self._readers:
            if reader.is_gone():
                reader.end()
        if all(reader.ended for reader in self._readers):
            return
        pulse = Pulse.of(self._view)
        changed = pulse.differences(self._seen) | ({"history"} if self._sampled else set())
        self._seen, self._sampled = pulse, False
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
        if changed:
            for reader in self._readers:
                reader.tell(changed)

    def _message(self, changed: set[str]) -> bytes:
        health = self._seen.health
        pace = max(LOOK_SECONDS, len(self._readers) / _READERS_PER_SECOND)
        data = _Message(sorted(changed), health.up, health.down, health.unknown, pace)
        return b"data: " + msgspec.json.encode(data) + b"\n\n"


EVENTS: Final = web.AppKey("EVENTS", Events)
"""Who tells."""


async def events(request: web.Request) -> web.StreamResponse:
    """Messages of server-sent events until the reader or the server ends. 503 when there are too many readers.

    Each is ``{"changed": […], "up": …, "down": …, "unknown": …, "pace": …}``; ``changed`` names ``config``,
    ``targets`` and ``history`` (another point of the plots).
    """
    source = request.app[EVENTS]
    if source.full:
        return web.Response(status=503, text="Too many pages follow already.\n", headers={hdrs.RETRY_AFTER: "30"})
    return await send_events(request, {hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"}, bytes)


async def send_events(
    request: web.Request, headers: Mapping[str, str], message: Callable[[bytes], bytes]
) -> web.StreamResponse:
    """Send what ``message`` makes of each message until the reader or the server ends; a stuck reader is dropped."""
    response = web.StreamResponse(headers=headers)
    response.content_type = "text/event-stream"
    await response.prepare(request)
    messages = request.app[EVENTS].follow(lambda: request.transport is None or request.transport.is_closing())
    try:
        async for one in messages:
            async with asyncio.timeout(SEND_SECONDS):
                await response.write(message(one))
    except (TimeoutError, ConnectionError):
        if request.transport is not None:
            request.transport.abort()
    finally:
        await messages.aclose()
    return response


def add_routes(app: web.Application) -> None:
    """Register the stream with ``app``."""

    async def close(app: web.Application) -> None:
        app[EVENTS].close()

    app[EVENTS] = Events(app[VIEW])
    app.on_shutdown.append(close)
    app.router.add_get("/events", events, allow_head=False)
