"""When the events of a watch are worth gathering."""

from __future__ import annotations

import asyncio
import math
from typing import Final

GATHER: Final = 0.05
"""Seconds for which a busy watch is left alone after each batch: being woken costs several times what an event does."""

FLOOD: Final = 64 * 1024
"""Bytes at once from which on a watch is read as fast as it comes: a list, or what was missed."""


class Pace:
    """Tells a busy watch from a quiet one, and from one that has much to tell.

    Guarantees: the first event after twice ``GATHER`` of quiet never waits, and neither does a flood.
    """

    def __init__(self) -> None:
        self._last = -math.inf

    def is_busy(self, size: int) -> bool:
        """Whether what follows is to be gathered, now that a chunk of ``size`` bytes has been worked off."""
        now = asyncio.get_running_loop().time()
        before, self._last = self._last, now
        return size < FLOOD and now - before < 2 * GATHER
