"""Which native histograms are stored, and how."""

import math

import msgspec
import pytest

from promscout.errors import BucketLimitError, InvalidValueError
from promscout.model.histogram import CUSTOM_BUCKETS_SCHEMA, Histogram, Span
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.histograms import HistogramLimits, schema_for_factor

GOOD = Histogram(
    schema=1,
    count=16,
    sum=3.5,
    zero_count=1,
    positive_spans=(Span(-3, 4), Span(1, 1)),
    positive_buckets=(1, 1, 0, 1, 1),
    negative_spans=(Span(0, 1),),
    negative_buckets=(3,),
)
FLOATS = Histogram(
    schema=2, is_float=True, count=9.5, positive_spans=(Span(1, 4),), positive_buckets=(0.5, 1.0, 2.0, 6.0)
)
CUSTOM = Histogram(
    schema=CUSTOM_BUCKETS_SCHEMA,
    count=3,
    positive_spans=(Span(0, 3),),
    positive_buckets=(1, 0, 0),
    custom_values=(1.0, 2.0),
)


def changed(histogram, **fields):
    return msgspec.structs.replace(histogram, **fields)


@pytest.mark.parametrize("histogram", [GOOD, FLOATS, CUSTOM, Histogram(schema=-4), Histogram(schema=8)])
def test_a_histogram_within_its_limits_is_stored_as_it_is(histogram):
    assert HistogramLimits().admit(histogram) is histogram
    assert HistogramLimits(bucket_limit=6, max_schema=8).admit(histogram) is histogram


def test_buckets_are_merged_until_there_are_few_enough():
    # Indices -3 to 0 and 2 have the counts 1, 2, 2, 3, 4. Schema 0 has -1, 0, 1 and schema -1 has 0 and 1.
    assert HistogramLimits(bucket_limit=5).admit(GOOD) == changed(
        GOOD, schema=0, positive_spans=(Span(-1, 3),), positive_buckets=(3, 2, -1)
    )
    assert HistogramLimits(bucket_limit=3).admit(GOOD) == changed(
        GOOD, schema=-1, positive_spans=(Span(0, 2),), positive_buckets=(8, -4)
    )
    with pytest.raises(BucketLimitError, match="histogram bucket limit exceeded"):
        HistogramLimits(bucket_limit=2).admit(GOOD)


def test_float_buckets_are_merged_like_integer_ones():
    # Indices 1 to 4 of schema 2 are within index 1 of schema 0.
    assert HistogramLimits(bucket_limit=1).admit(FLOATS) == changed(
        FLOATS, schema=0, positive_spans=(Span(1, 1),), positive_buckets=(9.5,)
    )


def test_custom_buckets_cannot_be_merged():
    assert HistogramLimits(bucket_limit=3).admit(CUSTOM) is CUSTOM
    with pytest.raises(BucketLimitError):
        HistogramLimits(bucket_limit=2).admit(CUSTOM)


def test_buckets_are_merged_until_each_is_that_much_wider_than_the_one_before():
    limits = HistogramLimits.of(
        ScrapeConfig(job_name="a", native_histogram_min_bucket_factor=1.5, native_histogram_bucket_limit=160)
    )
    assert limits == HistogramLimits(bucket_limit=160, max_schema=0)
    assert limits.admit(GOOD).schema == 0
    assert limits.admit(CUSTOM) is CUSTOM
    assert HistogramLimits.of(ScrapeConfig(job_name="a")) == HistogramLimits()


@pytest.mark.parametrize(
    ("factor", "schema"),
    [
        # Prometheus's documentation lists the factors of all schemas.
        (65536, -4),
        (256, -3),
        (16, -2),
        (4, -1),
        (2, 0),
        (1.4142, 1),
        (1.1892, 2),
        (1.0905, 3),
        (1.0442, 4),
        (1.0218, 5),
        (1.0108, 6),
        (1.0054, 7),
        (1.0027, 8),
        (1.003, 7),
        (1.5, 0),
        (1, 8),
        (0, 8),
        (-3, 8),
        (1e300, -4),
        (math.inf, -4),
    ],
)
def test_a_factor_means_the_finest_schema_that_grows_as_fast(factor, schema):
    assert schema_for_factor(factor) == schema


@pytest.mark.parametrize(
    ("histogram", "problem"),
    [
        (changed(GOOD, schema=9), "invalid schema"),
        (changed(GOOD, schema=-5), "invalid schema"),
        (changed(GOOD, count=15), "16 observations found in buckets, but the count is 15"),
        (changed(GOOD, count=17), "16 observations found"),
        (changed(GOOD, count=15, sum=math.nan), "16 observations found"),
        (changed(GOOD, positive_buckets=(1, 1, 0, 1)), "positive side: spans require 5 buckets, have 4"),
        (changed(GOOD, negative_spans=()), "negative side: spans require 0 buckets, have 1"),
        (changed(GOOD, positive_spans=(Span(-3, 4), Span(-1, 1))), "span number 2 with offset -1"),
        (changed(GOOD, negative_buckets=(-1,)), "negative side: bucket number 1"),
        (changed(GOOD, positive_buckets=(1, 1, 0, 1, -9)), "positive side: bucket number 5"),
        (changed(GOOD, custom_values=(1.0,)), "must not have custom bounds"),
        (changed(FLOATS, count=-1.0), "count is negative"),
        (changed(FLOATS, zero_count=-1.0), "zero bucket"),
        (changed(FLOATS, positive_buckets=(0.5, 1.0, -2.0, 6.0)), "positive side: bucket number 3"),
        (changed(CUSTOM, custom_values=(1.0,)), "only 1 custom bounds"),
        (changed(CUSTOM, custom_values=(2.0, 1.0)), "strictly increasing"),
        (changed(CUSTOM, custom_values=(1.0, 1.0)), "strictly increasing"),
        (changed(CUSTOM, custom_values=(1.0, math.nan)), "NaN"),
        (changed(CUSTOM, custom_values=(1.0, math.inf)), "Inf"),
        (changed(CUSTOM, zero_count=1), "zero count"),
        (changed(CUSTOM, zero_threshold=1.0), "zero threshold"),
        (changed(CUSTOM, negative_spans=(Span(0, 1),)), "negative buckets"),
        (changed(CUSTOM, positive_spans=(Span(-1, 3),)), "offset -1"),
        (changed(CUSTOM, positive_buckets=(1, 0)), "spans require 3 buckets, have 2"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_histogram_that_contradicts_itself_is_refused(histogram, problem):
    with pytest.raises(InvalidValueError, match=problem):
        HistogramLimits().admit(histogram)


def test_observations_that_are_no_numbers_are_in_no_bucket():
    histogram = changed(GOOD, count=20, sum=math.nan)
    assert HistogramLimits().admit(histogram) is histogram


def test_a_schema_beyond_the_finest_is_merged_where_a_coarser_one_is_asked_for():
    assert HistogramLimits(max_schema=0).admit(changed(GOOD, schema=9)).schema == 0
    with pytest.raises(InvalidValueError):
        HistogramLimits(max_schema=0).admit(changed(GOOD, schema=53))
    with pytest.raises(InvalidValueError):
        HistogramLimits(max_schema=8).admit(changed(GOOD, schema=9))


@pytest.mark.parametrize(
    "spans", [(Span(-3, 4), Span(-1, 1)), (Span(-3, 4),), (Span(-3, 9),)], ids=["overlap", "too short", "too long"]
)
def test_buckets_that_do_not_fit_are_refused_before_they_are_merged(spans):
    with pytest.raises(InvalidValueError):
        HistogramLimits(max_schema=0).admit(changed(GOOD, positive_spans=spans))
