"""Native histograms against a plain model: a count per bucket index."""

import math
from collections import Counter

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from promscout.errors import BucketLimitError
from promscout.model.buckets import compact, counts, pack, reduce_resolution, validate
from promscout.model.histogram import Histogram
from promscout.scrape.histograms import HistogramLimits

sides = st.dictionaries(st.integers(-40, 40), st.integers(0, 9), max_size=12)


def histogram_of(positive, negative, schema, *, is_float):
    positive_spans, positive_buckets = pack(sorted(positive.items()), is_float=is_float)
    negative_spans, negative_buckets = pack(sorted(negative.items()), is_float=is_float)
    return Histogram(
        schema=schema,
        is_float=is_float,
        count=sum(positive.values()) + sum(negative.values()) + 2,
        zero_count=2,
        sum=1.5,
        positive_spans=positive_spans,
        positive_buckets=positive_buckets,
        negative_spans=negative_spans,
        negative_buckets=negative_buckets,
    )


histograms = st.builds(histogram_of, sides, sides, st.integers(-4, 8), is_float=st.booleans())


def sides_of(histogram):
    return (
        dict(counts(histogram, histogram.positive_spans, histogram.positive_buckets)),
        dict(counts(histogram, histogram.negative_spans, histogram.negative_buckets)),
    )


def upper(index, schema):
    """The upper bound of a bucket, as a power of two."""
    return index * 2.0**-schema


@given(sides, sides, st.integers(-4, 8), st.booleans())
def test_buckets_are_unpacked_as_they_were_packed(positive, negative, schema, is_float):
    histogram = histogram_of(positive, negative, schema, is_float=is_float)
    assert sides_of(histogram) == (positive, negative)
    validate(histogram)


@given(histograms, st.integers(0, 3))
def test_compacting_removes_empty_buckets_and_nothing_else(histogram, max_empty):
    compacted = compact(histogram, max_empty)
    validate(compacted)
    for before, after in zip(sides_of(histogram), sides_of(compacted), strict=True):
        filled = {index: count for index, count in before.items() if count}
        assert {index: count for index, count in after.items() if count} == filled
        # Empty buckets only stay within gaps that are short enough, and those are filled.
        gaps = [
            range(one + 1, other)
            for one, other in zip(sorted(filled), sorted(filled)[1:], strict=False)
            if other - one - 1 <= max_empty
        ]
        assert {index for index, count in after.items() if not count} == {index for gap in gaps for index in gap}
    assert compact(compacted, max_empty) == compacted


@given(histograms, st.integers(-4, 7))
def test_merged_buckets_count_what_is_within_their_bounds(histogram, schema):
    if schema >= histogram.schema:
        return
    reduced = reduce_resolution(histogram, schema)
    validate(reduced)
    assert reduced.schema == schema
    for before, after in zip(sides_of(histogram), sides_of(reduced), strict=True):
        expected = Counter()
        for index, count in before.items():
            # The bucket of the coarse schema whose upper bound is the next one.
            expected[math.ceil(upper(index, histogram.schema) * 2.0**schema)] += count
        assert after == dict(expected)


@given(histograms, st.integers(1, 12))
def test_a_bucket_limit_takes_the_finest_resolution_that_keeps_it(histogram, limit):
    def size(schema):
        one = histogram if schema == histogram.schema else reduce_resolution(histogram, schema)
        return len(one.positive_buckets) + len(one.negative_buckets)

    fitting = [schema for schema in range(histogram.schema, -5, -1) if size(schema) <= limit]
    try:
        admitted = HistogramLimits(bucket_limit=limit).admit(histogram)
    except BucketLimitError:
        assert not fitting
    else:
        assert admitted.schema == fitting[0]
        unchanged = msgspec.structs.replace(
            admitted,
            schema=histogram.schema,
            **{
                field: getattr(histogram, field)
                for field in ("positive_spans", "positive_buckets", "negative_spans", "negative_buckets")
            },
        )
        assert unchanged == histogram
