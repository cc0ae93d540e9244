"""How many requests are answered in a time."""

from __future__ import annotations

import time
from collections.abc import Callable

from promscout.web.access.config import RateLimit


class RateLimiter:
    """A bucket that a request takes one from, and time fills again.

    Source: exporter-toolkit web/handler.go ServeHTTP; Go's golang.org/x/time/rate.
    """

    def __init__(self, limit: RateLimit, *, now: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._now = now
        self._left = float(limit.burst)
        self._at = now()

    def allow(self) -> bool:
        """Whether there is one left to take, which is then taken."""
        if not self.limit.interval:
            return True
        now = self._now()
        self._left = min(self.limit.burst, self._left + (now - self._at) / self.limit.interval)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
