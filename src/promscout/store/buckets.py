"""Native histograms as people read them: buckets with bounds and counts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from promscout.model.histogram import Histogram, Span


def bucket_rows(histogram: Histogram) -> dict[str, Any]:
    """A histogram as the fields of a row; floats as texts, which can say NaN and infinity.

    Buckets are in the order of their bounds, each from ``lower`` (without it, but for the zero bucket) up to and
    including ``upper`` (without it below zero), with a count of its own, not a cumulative one.
    """
    return {
        "count": repr(float(histogram.count)),
        "sum": repr(float(histogram.sum)),
        "schema": histogram.schema,
        "gauge": histogram.counter_reset.name == "GAUGE",
        "buckets": [
            {"lower": repr(lower), "upper": repr(upper), "count": repr(float(count))}
            for lower, upper, count in _buckets(histogram)
        ],
    }


def _buckets(histogram: Histogram) -> Iterator[tuple[float, float, float]]:
    negative = list(_side(histogram, histogram.negative_spans, histogram.negative_buckets))
    for index, count in reversed(negative):
        lower, upper = _bounds(histogram, index)
        yield -upper, -lower, count
    if histogram.zero_count:
        yield -histogram.zero_threshold, histogram.zero_threshold, histogram.zero_count
    for index, count in _side(histogram, histogram.positive_spans, histogram.positive_buckets):
        yield *_bounds(histogram, index), count


def _side(histogram: Histogram, spans: Sequence[Span], buckets: Sequence[float]) -> Iterator[tuple[int, float]]:
    """Index and count of each bucket that is not empty."""
    counts = iter(buckets if histogram.is_float else accumulate(buckets))
    index = 0
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count = next(counts)
            if count:
                yield index, count
            index += 1


def _bounds(histogram: Histogram, index: int) -> tuple[float, float]:
    """Source: prometheus v3.x model/histogram/generic.go getBound."""
    if histogram.has_custom_buckets:
        bounds = (-math.inf, *histogram.custom_values, math.inf)
        return bounds[index], bounds[index + 1]
    return _exponential(index - 1, histogram.schema), _exponential(index, histogram.schema)


def _exponential(index: int, schema: int) -> float:
    try:
        return math.pow(2.0, index * 2.0**-schema)
    except OverflowError:
        return math.inf
