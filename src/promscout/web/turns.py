"""Long work in short pieces: the event loop scrapes, too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

TURN_SECONDS: Final = 0.002
"""How long a piece of work may hold the event loop."""

_BATCH: Final = 100  # items between two looks at the time


async def in_turns(items: Iterable[T], batch: int = _BATCH) -> AsyncIterator[list[T]]:
    """``items`` in lists of ``batch``, with a turn for others whenever ``TURN_SECONDS`` have gone by.

    Items are taken as they are asked for: what they come from must bear that it changes between two turns.
    """
    remaining = iter(items)
    until = time.perf_counter() + TURN_SECONDS
    while taken := list(islice(remaining, batch)):
        yield taken
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + TURN_SECONDS
