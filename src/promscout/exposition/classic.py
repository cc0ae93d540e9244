"""Classic histograms as native ones with custom buckets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from promscout.errors import InvalidValueError
from promscout.model.buckets import compact
from promscout.model.histogram import CUSTOM_BUCKETS_SCHEMA, CounterReset, Histogram, Span

_INTEGERS: Final = 2.0**63
"""Counts below fit the integers of a histogram."""

_EMPTY_BUCKETS: Final = 2  # as many in a row are cheaper than another span


class ClassicHistogram:
    """Collects the parts of one classic histogram, in any order. What is wrong shows when it is converted.

    Source: prometheus v3.x util/convertnhcb/convertnhcb.go TempHistogram.
    """

    __slots__ = ("_buckets", "_count", "_problem", "_sum")

    def __init__(self) -> None:
        self._buckets: dict[float, float] = {}
        self._count: float | None = None
        self._sum = 0.0
        self._problem = ""

    def add_bucket(self, bound: float, count: float) -> None:
        """The cumulative count up to ``bound``, which is not NaN. Of the same bound again, the first counts."""
        if count < 0:
            self._refuse(f"bucket count must be non-negative: le={bound:g}, count={count:g}")
        self._buckets.setdefault(bound, count)

    def set_count(self, count: float) -> None:
        """The number of observations."""
        if count < 0:
            self._refuse(f"count must be non-negative: count={count:g}")
        self._count = count

    def set_sum(self, total: float) -> None:
        """The sum of observations."""
        self._sum = total

    def convert(self, *, is_gauge: bool = False) -> Histogram:
        """The native histogram with these bounds. Its counts are integers where all of them are.

        Raises:
            InvalidValueError: the parts do not fit each other.
        """
        if self._problem:
            raise InvalidValueError(self._problem)
        bounds = sorted(self._buckets)
        cumulative = [self._buckets[bound] for bound in bounds]
        count = self._count if self._count is not None else (cumulative[-1] if cumulative else 0.0)
        if not bounds or bounds[-1] != math.inf:
            bounds.append(math.inf)
            cumulative.append(count)
        for bound, (before, after) in zip(bounds[1:], pairwise(cumulative), strict=True):
            if after < before:
                raise InvalidValueError(f"count is not cumulative: {after:g} < {before:g} at le={bound:g}")
        if count != cumulative[-1]:
            raise InvalidValueError(f"count mismatch: count={count:g} != le=+Inf count={cumulative[-1]:g}")
        is_float = not all(map(_is_integer, cumulative))
        buckets = _differences(cumulative if is_float else list(map(int, cumulative)))
        histogram = Histogram(
            schema=CUSTOM_BUCKETS_SCHEMA,
            is_float=is_float,
            count=count if is_float else int(count),
            sum=self._sum,
            positive_spans=(Span(0, len(buckets)),),
            positive_buckets=tuple(buckets if is_float else _differences(buckets)),
            custom_values=tuple(bounds[:-1]),
            counter_reset=CounterReset.GAUGE if is_gauge else CounterReset.UNKNOWN,
        )
        return compact(histogram, 0 if is_float else _EMPTY_BUCKETS)

    def _refuse(self, problem: str) -> None:
        self._problem = self._problem or problem


def _is_integer(count: float) -> bool:
    return count < _INTEGERS and count.is_integer()


def _differences(numbers: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise([0, *numbers])]
