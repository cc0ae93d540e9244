"""What each series has had so far: time goes forward, and what comes again is what came before."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Past:
    """Time stamps in ascending order with the bits of their values, and up to which of them an answer said so."""

    stamps: array[int] = field(default_factory=lambda: array("q"))
    bits: array[int] = field(default_factory=lambda: array("Q"))
    answered: int = -(1 << 63)


class History:
    """The samples, or the histograms, of all series, which have numbers from 0.

    ``repeats`` counts those that came again: ``answered`` where the sender had been told that they were taken, so that
    only one that was killed may send them again, ``unanswered`` where it could not know.
    """

    def __init__(self) -> None:
        self.repeats: Counter[str] = Counter()
        self._past: list[_Past] = []

    def __len__(self) -> int:
        return sum(len(past.stamps) for past in self._past)

    def add(self, number: int, at: int, bits: int) -> str:
        """One more of a series: what is wrong with it, or nothing."""
        past = self._of(number)
        stamps = past.stamps
        if not stamps or at > stamps[-1]:
            stamps.append(at)
            past.bits.append(bits)
            return ""
        place = bisect_left(stamps, at)
        if stamps[place] != at:
            return f"goes back in time, from {stamps[-1]} to {at}"
        if past.bits[place] != bits:
            return f"comes again with another value at {at}"
        self.repeats["answered" if at <= past.answered else "unanswered"] += 1
        return ""

    def answer(self, number: int, at: int) -> None:
        """The sender is told that everything of a series up to this time was taken."""
        past = self._of(number)
        past.answered = max(past.answered, at)

    def _of(self, number: int) -> _Past:
        while number >= len(self._past):
            self._past.append(_Past())
        return self._past[number]
