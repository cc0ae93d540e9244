"""Connections that are kept for further requests."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Final

from promscout.httpclient.answer import TIMED_OUT, NoAnswer, Order, Outcome, Wire, now
from promscout.httpclient.dialing import Dialer, Place

KEEP_IDLE: Final = 300.0
"""Seconds an idle connection is kept: longer than any sensible scrape interval, as in Prometheus."""

MAX_IDLE: Final = 20_000
"""Idle connections that are kept in all; a further one is closed. As in Prometheus."""

_LOOK: Final = 60.0  # seconds between two looks for connections that have been idle too long
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
_CLOSE_WITHIN: Final = 5.0  # seconds that the end of closed connections is awaited
_CLIENT_CLOSED: Final = NoAnswer("the client is closed")


class _Kept:
    """The connections to one place under one TLS context."""

    __slots__ = ("idle", "opening", "shared", "under_way", "used")

    def __init__(self) -> None:
        self.idle: list[tuple[float, Wire]] = []  # since when; the longest idle first
        self.shared: list[Wire] = []  # they carry several requests at once
        self.opening = asyncio.Lock()
        self.under_way = 0  # requests, from before they have a connection
        self.used = 0.0  # when the last request ended

    def take(self) -> Wire | None:
        """A connection that can take a request, if there is one: that which was used last."""
        for wire in self.shared:
            if wire.free:
                return wire
        while self.idle:
            _, wire = self.idle.pop()
            if wire.free:
                return wire
        return None

    def remove(self, wire: Wire) -> None:
        if wire.shared:
            self.shared = [other for other in self.shared if other is not wire]
        else:
            self.idle = [pair for pair in self.idle if pair[1] is not wire]

    def drop_unused(self, since: float) -> bool:
        """Close what was not used ``since``; whether nothing is left, and nothing can come back."""
        while self.idle and self.idle[0][0] < since:
            self.idle.pop(0)[1].close()
        if self.under_way or self.used >= since:
            return False
        for wire in self.shared:
            wire.close()
        return not self.idle and not self.shared


class Connections:
    """Carries requests over connections that it opens, keeps and closes.

    Guarantees: a connection is used again only for the same place (host and port, or unix socket) and the same TLS
    context; after ``KEEP_IDLE`` seconds without a request under way, connections are closed and places are forgotten;
    a request that may be sent twice, and whose kept connection ends without a byte of an answer, is sent once more on
    a new one; after ``close`` none is open. With ``multiplexing``, requests to one place share a connection where the
    server can do that.
    """

    def __init__(self, dialer: Dialer, *, multiplexing: bool) -> None:
        self._dialer = dialer
        self._multiplexing = multiplexing
        self._kept: dict[tuple[Place, ssl.SSLContext | None], _Kept] = {}
        self._open: dict[Wire, _Kept] = {}
        self._look: asyncio.TimerHandle | None = None
        self._closed = False
        self._none_open = asyncio.Event()

    async def exchange(self, place: Place, context: ssl.SSLContext | None, order: Order, deadline: float) -> Outcome:
        """Send ``order`` to ``place``; the answer must be there at ``deadline`` (loop time). Raises nothing."""
        if self._closed:
            return _CLIENT_CLOSED
        kept = self._kept_for(place, context)
        kept.under_way += 1
        try:
            return await self._send(kept, place, context, order, deadline)
        finally:
            kept.under_way -= 1
            kept.used = now()

    def _kept_for(self, place: Place, context: ssl.SSLContext | None) -> _Kept:
        kept = self._kept.get((place, context))
        if kept is None:
            kept = self._kept[place, context] = _Kept()
            # Now and not with the first connection: a place that never has one is to be forgotten too.
            if self._look is None:
                self._look = asyncio.get_running_loop().call_later(_LOOK, self._drop_unused)
        return kept

    async def _send(
        self, kept: _Kept, place: Place, context: ssl.SSLContext | None, order: Order, deadline: float
    ) -> Outcome:
        wire = kept.take()
        if wire is not None:
            outcome = await self._carry(kept, wire, order, deadline)
            if not (isinstance(outcome, NoAnswer) and outcome.unheard and order.method in _IDEMPOTENT):
                return outcome
        opened = await self._obtain(kept, place, context, deadline)
        return opened if isinstance(opened, NoAnswer) else await self._carry(kept, opened, order, deadline)

    async def _carry(self, kept: _Kept, wire: Wire, order: Order, deadline: float) -> Outcome:
        outcome = await wire.exchange(order, deadline)
        if not wire.shared and wire.free:
            if self._closed or len(self._open) > MAX_IDLE:
                wire.close()
            else:
                kept.idle.append((now(), wire))
        return outcome

    async def _obtain(
        self, kept: _Kept, place: Place, context: ssl.SSLContext | None, deadline: float
    ) -> Wire | NoAnswer:
        if context is None or not self._multiplexing:
            return await self._open_one(kept, place, context, deadline)
        try:
            # What is being opened may turn out to be a connection that can be shared.
            async with asyncio.timeout_at(deadline), kept.opening:
                shared = next((wire for wire in kept.shared if wire.free), None)
                return shared or await self._open_one(kept, place, context, deadline)
        except TimeoutError:
            return TIMED_OUT

    async def _open_one(
        self, kept: _Kept, place: Place, context: ssl.SSLContext | None, deadline: float
    ) -> Wire | NoAnswer:
        wire = await self._dialer.dial(place, context, self._lost, deadline)
        if isinstance(wire, NoAnswer):
            return wire
        if self._closed:
            wire.close()
            return _CLIENT_CLOSED
        self._open[wire] = kept
        if wire.shared:
            kept.shared.append(wire)
        return wire

    def _lost(self, wire: Wire) -> None:
        kept = self._open.pop(wire, None)
        if kept is not None:
            kept.remove(wire)
        if not self._open:
            self._none_open.set()

    def _drop_unused(self) -> None:
        since = now() - KEEP_IDLE
        for key in [key for key, kept in self._kept.items() if kept.drop_unused(since)]:
            del self._kept[key]
        self._look = asyncio.get_running_loop().call_later(_LOOK, self._drop_unused) if self._kept else None

    async def close(self) -> None:
        """Close every connection, with what it carries, and wait until they have ended."""
        self._closed = True
        if self._look is not None:
            self._look.cancel()
            self._look = None
        self._none_open.clear()
        for wire in list(self._open):
            wire.close()
        if self._open:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await self._none_open.wait()
