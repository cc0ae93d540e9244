"""Rules about native histograms, of which 1.0 and 2.0 have the same fields."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

_CUSTOM = -53
_SCHEMAS = range(-4, 9)
_STALE = b"\x02\x00\x00\x00\x00\x00\xf0\x7f"


def histogram_problems(histogram: Any, *, custom_buckets: bool) -> Iterator[str]:
    """What is wrong with a histogram; whether it may have custom buckets."""
    if struct.pack("<d", histogram.sum) == _STALE:
        return  # a staleness marker has nothing but its sum
    custom = histogram.schema == _CUSTOM
    if custom and not custom_buckets:
        yield "histogram with custom buckets in 1.0"
    if not custom and histogram.schema not in _SCHEMAS:
        yield f"histogram of schema {histogram.schema}"
    is_float = histogram.WhichOneof("count") == "count_float"
    if not custom and (histogram.WhichOneof("zero_count") == "zero_count_float") != is_float:
        yield "histogram with counts of both kinds"
    if histogram.reset_hint not in range(4):
        yield f"histogram with the reset hint {histogram.reset_hint}"
    if histogram.zero_threshold < 0 or math.isnan(histogram.zero_threshold):
        yield "histogram with a negative zero threshold"
    if histogram.start_timestamp > histogram.timestamp if hasattr(histogram, "start_timestamp") else False:
        yield "start time stamp after the histogram's"
    yield from _custom_problems(histogram, custom=custom)
    yield from _bucket_problems(histogram, is_float=is_float)


def _custom_problems(histogram: Any, *, custom: bool) -> Iterator[str]:
    bounds = list(histogram.custom_values)
    if bounds and not custom:
        yield "histogram with custom values and a standard schema"
    if any(later <= earlier for earlier, later in pairwise(bounds)):
        yield "custom values are not ascending"
    if custom and (histogram.negative_spans or histogram.zero_count_int or histogram.zero_count_float):
        yield "custom buckets with negative ones or a zero bucket"
    if custom and sum(span.offset + span.length for span in histogram.positive_spans) > len(bounds) + 1:
        yield "custom buckets beyond their bounds"


def _bucket_problems(histogram: Any, *, is_float: bool) -> Iterator[str]:
    total = histogram.zero_count_float if is_float else histogram.zero_count_int
    for spans, deltas, floats in (
        (histogram.negative_spans, histogram.negative_deltas, histogram.negative_counts),
        (histogram.positive_spans, histogram.positive_deltas, histogram.positive_counts),
    ):
        if deltas if is_float else floats:
            yield "histogram with buckets of both kinds"
        counts: Sequence[float] = list(floats) if is_float else list(accumulate(deltas))
        if sum(span.length for span in spans) != len(counts):
            yield "histogram whose spans do not fit its buckets"
        if any(span.offset < 0 for span in spans[1:]):
            yield "histogram with a negative offset between spans"
        if any(count < 0 for count in counts):
            yield "histogram with a negative bucket"
        total += sum(counts)
    count = histogram.count_float if is_float else histogram.count_int
    # What is observed as NaN is in no bucket.
    fits = total <= count if math.isnan(histogram.sum) else math.isclose(total, count, rel_tol=1e-9)
    if not fits:
        yield "histogram whose buckets do not add up to its count"
