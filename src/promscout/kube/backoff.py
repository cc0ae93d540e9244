"""Exponential back-off with jitter."""

from __future__ import annotations

import random
from typing import Final

BASE: Final = 0.5
CAP: Final = 30.0
"""Seconds; client-go's reflector waits 0.8 s to 30 s."""


class Backoff:
    """Delays that double from ``base`` to ``cap`` seconds, each with up to as much again of jitter, until ``reset``."""

    def __init__(self, base: float = BASE, cap: float = CAP, rng: random.Random | None = None) -> None:
        self._base = base
        self._cap = cap
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not cryptography
        self._failures = 0

    @property
    def failures(self) -> int:
        """How many delays were handed out since the last reset."""
        return self._failures

    def next(self, at_least: float = 0.0) -> float:
        """The next delay in seconds, never below ``at_least`` (a server's Retry-After)."""
        delay = min(self._cap, self._base * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return max(at_least, delay * self._rng.uniform(1.0, 2.0) / 2.0)

    def reset(self) -> None:
        """Things work again: the next delay is a short one."""
        self._failures = 0
