"""The last hour of the agent's own numbers, for the small plots of the pages."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import Callable, Mapping
from typing import Final

from promscout.logs import EventLog
from promscout.model.clock import Clock

STEP_SECONDS: Final = 5
KEPT_SECONDS: Final = 3600
ROWS: Final = KEPT_SECONDS // STEP_SECONDS

_log = EventLog("promscout.web")


class History:
    """Rings of numbers, each with a value for every step of the last hour.

    Guarantees: memory is ``ROWS`` times four bytes for each name, whatever happens; adding a row costs the same at any
    time. What is not known is NaN.
    """

    def __init__(self) -> None:
        self._rings: dict[str, array[float]] = {}
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, ROWS)

    def add(self, row: Mapping[str, float]) -> None:
        """The numbers of the next step, by name."""
        for name in row.keys() - self._rings.keys():
            self._rings[name] = array("f", [math.nan]) * ROWS
        position = self._added % ROWS
        for name, ring in self._rings.items():
            ring[position] = row.get(name, math.nan)
        self._added += 1

    def of(self, name: str, rows: int = ROWS) -> array[float]:
        """The newest ``rows`` values, fewer if there are not so many yet, the oldest first."""
        ring = self._rings.get(name)
        wanted = min(rows, len(self))
        if ring is None or not wanted:
            return array("f")
        end = self._added % ROWS or ROWS
        return ring[end - wanted : end] if wanted <= end else ring[end - wanted :] + ring[:end]


class Sampler:
    """Adds what ``read`` says to a history, at each multiple of the step by the clock, from ``start`` to ``stop``.

    It is a timer, no task. A reading that fails is logged, once for each kind of failure, and leaves no row.
    """

    def __init__(self, history: History, read: Callable[[], Mapping[str, float]], clock: Clock) -> None:
        self.history = history
        self._read = read
        self._clock = clock
        self._timer: asyncio.TimerHandle | None = None
        self._failures: set[type[Exception]] = set()
        self._then: list[Callable[[], None]] = []

    def start(self) -> None:
        """Begin; what is counted in steps counts from now."""
        self._sample(keep=False)

    def stop(self) -> None:
        """End. A second call does nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def when_sampled(self, then: Callable[[], None]) -> None:
        """Call ``then`` after each new row."""
        self._then.append(then)

    def _sample(self, *, keep: bool = True) -> None:
        step_ms = STEP_SECONDS * 1000
        wait = (step_ms - self._clock.now_ms() % step_ms) / 1000
        # What comes a little early must not come again at once.
        wait += STEP_SECONDS if wait < 0.1 * STEP_SECONDS else 0
        self._timer = asyncio.get_running_loop().call_later(wait, self._sample)
        try:
            row = self._read()
        except Exception as error:  # noqa: BLE001 - the pages lack a point; nothing else may suffer
            if type(error) not in self._failures:
                self._failures.add(type(error))
                _log.exception("the agent's own numbers could not be read")
            return
        if keep:
            self.history.add(row)
            for then in self._then:
                then()
