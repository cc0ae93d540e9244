"""The wall clock as a value to pass in, so that tests decide what time it is.

Waiting and scheduling use the event loop's own monotonic ``loop.time()``; this is only for time stamps.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol


class Clock(Protocol):
    """Tells the wall-clock time."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        return time.time_ns() // 1_000_000


def rfc3339(ms: int) -> str:
    """Milliseconds since the epoch as Go's RFC3339Nano writes them in UTC: no trailing zeros."""
    seconds, left = divmod(ms, 1000)
    fraction = f".{left:03d}".rstrip("0") if left else ""
    return f"{_to_the_second(seconds)}{fraction}Z"


@lru_cache(maxsize=256)  # what is shown together is mostly of the last minute
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:-6]  # less "+00:00"
