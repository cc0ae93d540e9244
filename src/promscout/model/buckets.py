"""What can be done with the buckets of a native histogram: checked, compacted, merged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TypeAlias

import msgspec

from promscout.errors import InvalidValueError
from promscout.model.histogram import MAX_SCHEMA, MIN_SCHEMA, Histogram, Span

Spans: TypeAlias = tuple[Span, ...]
Buckets: TypeAlias = tuple[float, ...]
Counts: TypeAlias = list[tuple[int, float]]
"""The index of a bucket and its count, by rising index."""


def check_spans(histogram: Histogram) -> None:
    """Refuse spans that say another number of buckets than there are. Costs nothing per bucket.

    Raises:
        InvalidValueError: they do.

    Source: prometheus v3.x model/textparse/protobufparse.go checkNativeHistogramConsistency.
    """
    sides = (
        ("positive", histogram.positive_spans, histogram.positive_buckets),
        ("negative", histogram.negative_spans, histogram.negative_buckets),
    )
    for side, spans, buckets in sides:
        needed = sum(span.length for span in spans)
        if needed != len(buckets):
            raise InvalidValueError(f"{side} side: spans require {needed} buckets, have {len(buckets)}")


def validate(histogram: Histogram) -> None:
    """Refuse a histogram that no storage takes.

    Raises:
        InvalidValueError: what is wrong with it, without its name.

    Source: prometheus v3.x model/histogram/histogram.go Validate, float_histogram.go Validate.
    """
    if histogram.has_custom_buckets:
        _validate_custom(histogram)
    elif MIN_SCHEMA <= histogram.schema <= MAX_SCHEMA:
        _validate_exponential(histogram)
    else:
        raise InvalidValueError(
            f"histogram has an invalid schema, which must be between {MIN_SCHEMA} and {MAX_SCHEMA} for exponential "
            f"buckets, or -53 for custom buckets, got schema {histogram.schema}"
        )
    if histogram.is_float and histogram.count < 0:
        raise InvalidValueError(f"histogram's observation count is negative: {histogram.count}")
    positive = _checked_counts("positive", histogram.positive_buckets, histogram)
    if not histogram.is_float:
        negative = sum(_absolute(histogram.negative_buckets, histogram))
        _check_total(histogram, int(sum(positive) + negative + histogram.zero_count))


def compact(histogram: Histogram, max_empty: int = 0) -> Histogram:
    """The same histogram without empty buckets, but for up to ``max_empty`` of them between two others.

    The spans fit the buckets. Source: prometheus v3.x model/histogram/generic.go compactBuckets.
    """
    if _is_compact(histogram, max_empty):
        return histogram
    positive = _compact_side(histogram, histogram.positive_spans, histogram.positive_buckets, max_empty)
    negative = _compact_side(histogram, histogram.negative_spans, histogram.negative_buckets, max_empty)
    return _with_buckets(histogram, histogram.schema, positive, negative)


def reduce_resolution(histogram: Histogram, schema: int) -> Histogram:
    """The same histogram with wider buckets: those of ``schema``, which is below its own. Neither is custom.

    Raises:
        InvalidValueError: spans that overlap or do not fit the buckets.

    Source: prometheus v3.x model/histogram/generic.go reduceResolution.
    """
    check_spans(histogram)
    _check_offsets("positive", histogram.positive_spans)
    _check_offsets("negative", histogram.negative_spans)
    shift = histogram.schema - schema
    positive = _merged(counts(histogram, histogram.positive_spans, histogram.positive_buckets), shift)
    negative = _merged(counts(histogram, histogram.negative_spans, histogram.negative_buckets), shift)
    return _with_buckets(histogram, schema, positive, negative)


def counts(histogram: Histogram, spans: Spans, buckets: Buckets) -> Counts:
    """The buckets of one side of ``histogram``; its spans fit them."""
    return list(zip(_indices(spans), _absolute(buckets, histogram), strict=True))


def pack(buckets: Counts, *, is_float: bool) -> tuple[Spans, Buckets]:
    """Spans and buckets as a histogram has them. Buckets next to each other are in one span."""
    spans: list[Span] = []
    end = length = 0  # where the span under way ends, and how long it is
    offset = 0
    for index, _ in buckets:
        if length and index == end:
            length += 1
        else:
            if length:
                spans.append(Span(offset, length))
            offset, length = index - end, 1
        end = index + 1
    if length:
        spans.append(Span(offset, length))
    found = [count for _, count in buckets]
    if not is_float:
        found = [after - before for before, after in pairwise([0, *found])]
    return tuple(spans), tuple(found)


def _indices(spans: Iterable[Span]) -> Iterator[int]:
    index = 0
    for span in spans:
        index += span.offset
        yield from range(index, index + span.length)
        index += span.length


def _absolute(buckets: Buckets, histogram: Histogram) -> Iterable[float]:
    return buckets if histogram.is_float else accumulate(buckets)


def _is_compact(histogram: Histogram, max_empty: int) -> bool:
    for spans, buckets in (
        (histogram.positive_spans, histogram.positive_buckets),
        (histogram.negative_spans, histogram.negative_buckets),
    ):
        if not all(_absolute(buckets, histogram)) or any(not span.length for span in spans):
            return False
        if any(span.offset <= max_empty for span in spans[1:]):
            return False
    return True


def _compact_side(histogram: Histogram, spans: Spans, buckets: Buckets, max_empty: int) -> Counts:
    kept: Counts = []
    for index, count in counts(histogram, spans, buckets):
        if not count:
            continue
        if kept and index - kept[-1][0] - 1 <= max_empty:
            kept += [(between, 0) for between in range(kept[-1][0] + 1, index)]
        kept.append((index, count))
    return kept


def _merged(buckets: Counts, shift: int) -> Counts:
    merged: Counts = []
    for index, count in buckets:
        target = ((index - 1) >> shift) + 1
        if merged and merged[-1][0] == target:
            merged[-1] = (target, merged[-1][1] + count)
        else:
            merged.append((target, count))
    return merged


def _with_buckets(histogram: Histogram, schema: int, positive: Counts, negative: Counts) -> Histogram:
    positive_spans, positive_buckets = pack(positive, is_float=histogram.is_float)
    negative_spans, negative_buckets = pack(negative, is_float=histogram.is_float)
    return msgspec.structs.replace(
        histogram,
        schema=schema,
        positive_spans=positive_spans,
        positive_buckets=positive_buckets,
        negative_spans=negative_spans,
        negative_buckets=negative_buckets,
    )


def _validate_custom(histogram: Histogram) -> None:
    _check_bounds(histogram.custom_values)
    for number, span in enumerate(histogram.positive_spans, start=1):
        if span.offset < 0:
            raise InvalidValueError(f"custom buckets: span number {number} with offset {span.offset} is negative")
    check_spans(msgspec.structs.replace(histogram, negative_spans=(), negative_buckets=()))
    covered = sum(span.offset + span.length for span in histogram.positive_spans)
    if len(histogram.custom_values) + 1 < covered:
        raise InvalidValueError(
            f"custom buckets: only {len(histogram.custom_values)} custom bounds, too few for spans over {covered}"
        )
    if histogram.zero_count:
        raise InvalidValueError("custom buckets: must have zero count of 0")
    if histogram.zero_threshold:
        raise InvalidValueError("custom buckets: must have zero threshold of 0")
    if histogram.negative_spans or histogram.negative_buckets:
        raise InvalidValueError("custom buckets: must not have negative buckets")


def _check_bounds(bounds: Sequence[float]) -> None:
    if any(map(math.isnan, bounds)):
        raise InvalidValueError("custom buckets: bounds must not be NaN")
    if any(after <= before for before, after in pairwise(bounds)):
        raise InvalidValueError("custom buckets: bounds must be in strictly increasing order")
    if bounds and bounds[-1] == math.inf:
        raise InvalidValueError("custom buckets: the last bound must not be +Inf")


def _validate_exponential(histogram: Histogram) -> None:
    check_spans(histogram)
    _check_offsets("positive", histogram.positive_spans)
    _check_offsets("negative", histogram.negative_spans)
    _checked_counts("negative", histogram.negative_buckets, histogram)
    if histogram.is_float and histogram.zero_count < 0:
        raise InvalidValueError(f"zero bucket has observation count of {histogram.zero_count}, which is negative")
    if histogram.custom_values:
        raise InvalidValueError("histogram with exponential schema must not have custom bounds")


def _check_offsets(side: str, spans: Spans) -> None:
    for number, span in enumerate(spans[1:], start=2):
        if span.offset < 0:
            raise InvalidValueError(f"{side} side: span number {number} with offset {span.offset} is negative")


def _checked_counts(side: str, buckets: Buckets, histogram: Histogram) -> list[float]:
    found = list(_absolute(buckets, histogram))
    for number, count in enumerate(found, start=1):
        if count < 0:
            raise InvalidValueError(f"{side} side: bucket number {number} has a negative observation count, {count}")
    return found


def _check_total(histogram: Histogram, found: int) -> None:
    # Observations that are NaN are in no bucket, and make the sum NaN.
    if found > histogram.count or (found < histogram.count and not math.isnan(histogram.sum)):
        raise InvalidValueError(
            f"{found} observations found in buckets, but the count is {int(histogram.count)}: they should be equal"
        )
