"""Bodies that somebody asked to see: the next one of a target, whatever it is and whatever becomes of it."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from promscout.scrape.target import Target
from promscout.scrape.transport import Fetched, FetchFailed

MAX_WANTED: Final = 32
"""Targets whose next body may be waited for."""

MAX_BYTES: Final = 32 << 20
"""Of all bodies that are kept; the oldest goes first. A body that is larger itself is cut."""

KEPT_SECONDS: Final = 600.0
"""How long a body is kept, and how long one is waited for."""


class Captured(msgspec.Struct, frozen=True):
    """What one scrape fetched. ``at_ms`` is when it began; ``error`` why there is no body; ``size`` that of the body.

    ``body`` is shorter than ``size`` where it was cut.
    """

    at_ms: int
    body: bytes = b""
    content_type: str = ""
    size: int = 0
    error: str = ""


class Captures:
    """Keeps the next body of each target that was asked for.

    Guarantees: costs nothing while none is wanted; ``want`` asks no target for anything; what is kept is bounded in
    number, size and time.
    """

    def __init__(self) -> None:
        self._wanted: dict[Target, asyncio.TimerHandle] = {}
        self._kept: dict[Target, tuple[Captured, asyncio.TimerHandle]] = {}

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def want(self, target: Target) -> bool:
        """Keep what the next scrape of ``target`` fetches; False where too many are waited for."""
        if target not in self._wanted:
            if len(self._wanted) >= MAX_WANTED:
                return False
            later = asyncio.get_running_loop().call_later
            self._wanted[target] = later(KEPT_SECONDS, self._wanted.pop, target)
        return True

    def is_wanted(self, target: Target) -> bool:
        """Whether the next body is waited for."""
        return target in self._wanted

    def of(self, target: Target) -> Captured | None:
        """What was kept of ``target``."""
        kept = self._kept.get(target)
        return kept[0] if kept is not None else None

    def take(self, target: Target, fetched: Fetched | FetchFailed, at_ms: int) -> None:
        """Keep what a scrape of ``target`` that began at ``at_ms`` fetched, if it is wanted."""
        waiting = self._wanted.pop(target, None)
        if waiting is None:
            return
        waiting.cancel()
        if isinstance(fetched, FetchFailed):
            captured = Captured(at_ms, error=fetched.reason)
        else:
            captured = Captured(at_ms, fetched.body[:MAX_BYTES], fetched.content_type, len(fetched.body))
        self.forget(target)
        room = MAX_BYTES - len(captured.body)
        while self._kept and (self._bytes() > room or len(self._kept) >= MAX_WANTED):
            self.forget(next(iter(self._kept)))
        later = asyncio.get_running_loop().call_later
        self._kept[target] = captured, later(KEPT_SECONDS, self.forget, target)

    def forget(self, target: Target) -> None:
        """Keep nothing of ``target`` any more."""
        kept = self._kept.pop(target, None)
        if kept is not None:
            kept[1].cancel()

    def _bytes(self) -> int:
        return sum(len(captured.body) for captured, _ in self._kept.values())
