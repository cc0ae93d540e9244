"""Log lines about what may happen thousands of times a second."""

from __future__ import annotations

import asyncio
from typing import Final

from promscout.logs import EventLog

INTERVAL: Final = 30.0
"""Seconds between two lines about one kind of event."""


class LimitedLog:
    """Warns about each kind of event at most once in ``INTERVAL``; a line says how many came since the last."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._held: dict[str, tuple[float, int]] = {}

    def __call__(self, event: str, **facts: object) -> None:
        """Warn about ``event``, or count it for the next line about it."""
        now = asyncio.get_running_loop().time()
        until, held = self._held.get(event, (now, 0))
        if now < until:
            self._held[event] = (until, held + 1)
            return
        self._log.warning(event, suppressed=held, **facts)
        self._held[event] = (now + INTERVAL, 0)
