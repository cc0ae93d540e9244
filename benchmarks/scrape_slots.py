"""Slots: a target is due at one phase of the interval, again and again."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from statistics import median


def phase(times: Sequence[float], interval: float) -> float:
    """Where in the interval most of ``times`` are: how far after a multiple of it, from 0 up to, not including, it."""
    # Around the first: one slightly earlier than that is slightly negative then, not nearly a whole interval later.
    around = median(math.remainder(one - times[0], interval) for one in times)
    return (times[0] + around) % interval


def deviations(times: Sequence[float], interval: float) -> list[float]:
    """How far each of ``times`` is from the phase of them all: 0 for those in their slots, half an interval at most.

    A request that comes later still is early for its next slot.
    """
    if not times:
        return []
    middle = phase(times, interval)
    return [abs(math.remainder(one - middle, interval)) for one in times]


def missed_slots(stamps: Collection[int], interval: int, first: int, last: int) -> int:
    """How many slots from ``first`` on, up to ``last``, none of ``stamps`` is nearest to.

    Without any stamps every slot is missed: as many as whole intervals fit.
    """
    if not stamps:
        return (last - first) // interval
    middle = phase(sorted(stamps), interval)
    taken = {round((stamp - middle) / interval) for stamp in stamps}
    due = range(math.ceil((first - middle) / interval), math.ceil((last - middle) / interval))
    return sum(slot not in taken for slot in due)
