"""When a target is scraped."""

from __future__ import annotations

import math
from typing import Final

_ALIGN_TOLERANCE_MS: Final = 2
"""A scrape that starts at most this late (or 1% of its interval) is stamped with its slot, not with the start:
databases compress regular time stamps far better. Source: prometheus v3.x scrape/scrape.go scrapeTimestampTolerance."""

GRID_MS: Final = 250
"""Slots are at multiples of this where the interval is ``SHORTEST_ON_GRID_MS`` or more: scrapes that begin together
share wake-ups and find code and data in the processor's caches, which costs a quarter less."""

SHORTEST_ON_GRID_MS: Final = 1000

_LATE: Final = 1.0
"""Seconds, or a tenth of the interval if that is less, that the first slot may be after ``latest`` without a scrape
before it: clocks do not agree to the millisecond."""


class Schedule:
    """The slots of one target: one per interval, at an offset that its identity decides, on a grid.

    Slots are counted on the event loop's clock from one reading of the wall clock, so a step of the wall clock moves
    no scrape. Every process gives the same identity the same slots. The first scrape is no later than ``latest`` (event
    loop's clock): where the first slot is later, a scrape before it comes at that time.

    Source: prometheus v3.x scrape/target.go Target.offset.
    """

    __slots__ = ("_early", "_interval_ms", "_origin", "_origin_ms", "_slot_ms")

    def __init__(self, digest: int, interval: float, now_ms: int, loop_time: float, latest: float = math.inf) -> None:
        self._interval_ms = max(1, round(interval * 1000))
        offset = digest % self._interval_ms
        if self._interval_ms >= SHORTEST_ON_GRID_MS:
            offset -= offset % GRID_MS
        first_ms = now_ms - now_ms % self._interval_ms + offset
        if first_ms <= now_ms:  # at this very moment another loop may have scraped the same target
            first_ms += self._interval_ms
        self._slot_ms = first_ms
        self._origin_ms = now_ms
        self._origin = loop_time
        self._early: float | None = None
        if self.at > latest + min(_LATE, interval / 10):
            self._early = max(latest, loop_time)
            self._slot_ms -= self._interval_ms

    @property
    def at(self) -> float:
        """The event loop's time of the next scrape."""
        if self._early is not None:
            return self._early
        return self._origin + (self._slot_ms - self._origin_ms) / 1000

    @property
    def at_ms(self) -> int:
        """The wall clock's time of the next scrape, if nobody has moved the clock."""
        if self._early is not None:
            return self._origin_ms + round((self._early - self._origin) * 1000)
        return self._slot_ms

    @property
    def after_ms(self) -> int:
        """The wall clock's time of the scrape after the next one, if the next one misses no slot."""
        return self._slot_ms + self._interval_ms

    def advance(self, loop_time: float) -> int:
        """Go on to the first slot after ``loop_time``; returns how many slots were missed on the way."""
        self._early = None
        behind_ms = (loop_time - self.at) * 1000
        missed = max(0, int(behind_ms // self._interval_ms))
        self._slot_ms += (missed + 1) * self._interval_ms
        return missed

    def timestamp(self, now_ms: int) -> int:
        """The time stamp, in ms, for a scrape of the current slot that starts at ``now_ms``."""
        tolerance = min(_ALIGN_TOLERANCE_MS, self._interval_ms // 100)
        return self._slot_ms if abs(now_ms - self._slot_ms) <= tolerance else now_ms
