"""Protobuf bodies: every kind of metric, every kind of histogram, and what is refused."""

import math
import struct

import numpy as np
import pytest

from harness.messages import (
    COUNTER,
    GAUGE,
    GAUGE_HISTOGRAM,
    HISTOGRAM,
    SUMMARY,
    UNTYPED,
    delimited,
    family,
)
from promscout.errors import ExpositionError
from promscout.exposition.numbers import NORMAL_NAN_BITS
from promscout.exposition.protobuf import parse_protobuf
from promscout.exposition.samples import NO_TIMESTAMP, MetricMetadata
from promscout.model.histogram import CUSTOM_BUCKETS_SCHEMA, CounterReset, Exemplar, Histogram, Span
from promscout.model.series import STALE_NAN_BITS, encode_label_set

STAMP = {"seconds": 1_700_000_000, "nanos": 123_999_999}
CLASSIC = {
    "sample_count": 7,
    "sample_sum": 2.5,
    "bucket": [
        {"cumulative_count": 3, "upper_bound": 0.5, "exemplar": {"value": 0.25, "label": []}},
        {"cumulative_count": 5, "upper_bound": 1, "exemplar": {"value": 0.75, "timestamp": STAMP}},
    ],
}
NATIVE = {
    "sample_count": 13,
    "sample_sum": 8.5,
    "schema": 3,
    "zero_threshold": 0.125,
    "zero_count": 2,
    "positive_span": [{"offset": -2, "length": 3}, {"offset": 4, "length": 1}],
    "positive_delta": [2, 1, -1, 2],
    "negative_span": [{"offset": 0, "length": 1}],
    "negative_delta": [0],
}


def parsed(*families, classic_too=False, keep_native=True, **options):
    return parse_protobuf(delimited(*families), classic_too=classic_too, keep_native=keep_native, **options)


def samples(exposition):
    """Series as text, and their values."""
    return [
        (text_of(exposition, key, index), value)
        for index, (key, value) in enumerate(zip(exposition.keys, exposition.values.tolist(), strict=True))
    ]


def text_of(exposition, key, index):
    labels = dict(exposition.labels_of(key, exposition.type_at(index)))
    name = labels.pop("__name__")
    return name + "".join(f",{label}={value}" for label, value in labels.items())


def one_native(exposition):
    (histogram,) = exposition.histograms.histograms
    return histogram


@pytest.mark.parametrize(
    ("kind", "field"), [(COUNTER, "counter"), (GAUGE, "gauge"), (UNTYPED, "untyped")], ids=["counter", "gauge", "none"]
)
def test_a_plain_metric_is_a_sample(kind, field):
    exposition = parsed(
        family("m", kind, {"label": {"b": "2", "a": "ü"}, field: {"value": 1.5}}, {field: {"value": -2.0}})
    )
    assert samples(exposition) == [("m,a=ü,b=2", 1.5), ("m", -2.0)]
    assert exposition.keys[0] == encode_label_set([("__name__", "m"), ("a", "ü"), ("b", "2")])
    assert exposition.timestamps is None
    assert exposition.histograms is None


def test_a_metric_without_its_value_is_zero():
    assert samples(parsed(family("m", COUNTER, {"gauge": {"value": 3.0}}))) == [("m", 0.0)]


def test_a_summary_is_count_sum_and_quantiles():
    quantiles = [{"quantile": 0.5, "value": 1.0}, {"quantile": 1, "value": math.nan}]
    exposition = parsed(
        family("s", SUMMARY, {"label": {"z": "1"}, "summary": {"sample_count": 3, "quantile": quantiles}}),
        family("t", SUMMARY, {"summary": {"sample_count": 1, "sample_sum": 2.0}}),
    )
    found = samples(exposition)
    assert found[:3] == [("s_count,z=1", 3.0), ("s_sum,z=1", 0.0), ("s,quantile=0.5,z=1", 1.0)]
    assert found[3][0] == "s,quantile=1.0,z=1"
    assert math.isnan(found[3][1])
    assert found[4:] == [("t_count", 1.0), ("t_sum", 2.0)]


def test_a_classic_histogram_is_count_sum_and_buckets_with_an_infinite_one():
    exposition = parsed(family("h", HISTOGRAM, {"label": {"A": "1", "m": "2"}, "histogram": CLASSIC}))
    assert samples(exposition) == [
        ("h_count,A=1,m=2", 7.0),
        ("h_sum,A=1,m=2", 2.5),
        ("h_bucket,A=1,le=0.5,m=2", 3.0),
        ("h_bucket,A=1,le=1.0,m=2", 5.0),
        ("h_bucket,A=1,le=+Inf,m=2", 7.0),
    ]
    assert exposition.keys[2] == encode_label_set([("A", "1"), ("__name__", "h_bucket"), ("le", "0.5"), ("m", "2")])
    # An exemplar without a time stamp has that of the scrape.
    assert exposition.exemplars == [(2, Exemplar((), 0.25)), (3, Exemplar((), 0.75, 1_700_000_000_123))]


def test_buckets_after_an_infinite_one_are_not_read():
    buckets = [{"cumulative_count": 2, "upper_bound": math.inf}, {"cumulative_count": 9, "upper_bound": 1}]
    exposition = parsed(family("h", HISTOGRAM, {"histogram": {"sample_count": 3, "bucket": buckets}}))
    assert samples(exposition)[2:] == [("h_bucket,le=+Inf", 2.0)]


def test_float_counts_of_a_classic_histogram_come_before_integer_ones():
    histogram = {
        "sample_count": 9,
        "sample_count_float": 2.5,
        "bucket": [{"cumulative_count": 9, "cumulative_count_float": 1.5, "upper_bound": 1}],
    }
    found = samples(parsed(family("h", GAUGE_HISTOGRAM, {"histogram": histogram})))
    assert [value for _, value in found] == [2.5, 0.0, 1.5, 2.5]


def test_a_native_histogram_of_integers_is_read_without_its_empty_buckets():
    exposition = parsed(family("h", HISTOGRAM, {"label": {"a": "1"}, "histogram": NATIVE}))
    assert len(exposition) == 0
    assert exposition.histograms.keys == [encode_label_set([("__name__", "h"), ("a", "1")])]
    assert exposition.histograms.series(0) == (("__name__", "h"), ("a", "1"))
    assert exposition.histograms.timestamps is None
    assert one_native(exposition) == Histogram(
        schema=3,
        count=13,
        sum=8.5,
        zero_threshold=0.125,
        zero_count=2,
        positive_spans=(Span(-2, 3), Span(4, 1)),
        positive_buckets=(2, 1, -1, 2),
    )


def test_a_native_histogram_of_floats_is_one_whose_count_or_zero_count_is():
    native = {
        "sample_count": 99,
        "sample_count_float": 3.5,
        "zero_count_float": 0.5,
        "sample_sum": 1.0,
        "positive_span": [{"offset": 0, "length": 2}],
        "positive_count": [0.0, 3.0],
    }
    assert one_native(parsed(family("h", GAUGE_HISTOGRAM, {"histogram": native}))) == Histogram(
        schema=0,
        is_float=True,
        count=3.5,
        sum=1.0,
        zero_count=0.5,
        positive_spans=(Span(1, 1),),
        positive_buckets=(3.0,),
        counter_reset=CounterReset.GAUGE,
    )


def test_a_span_without_buckets_makes_an_empty_histogram_native():
    native = {"positive_span": [{"offset": 0, "length": 0}], "schema": 2}
    assert one_native(parsed(family("h", HISTOGRAM, {"histogram": native}))) == Histogram(schema=2)


@pytest.mark.parametrize(
    ("classic_too", "keep_native", "classic", "native"),
    [(False, True, 0, 1), (True, True, 5, 1), (False, False, 5, 0), (True, False, 5, 0)],
)
def test_of_a_histogram_of_both_kinds_that_is_read_which_is_asked_for(classic_too, keep_native, classic, native):
    both = family("h", HISTOGRAM, {"histogram": CLASSIC | NATIVE})
    exposition = parsed(both, classic_too=classic_too, keep_native=keep_native)
    assert len(exposition) == classic
    assert len(exposition.histograms.keys if exposition.histograms else []) == native


def test_native_and_classic_histograms_of_one_family_are_read_each_as_what_it_is():
    exposition = parsed(family("h", HISTOGRAM, {"histogram": NATIVE}, {"histogram": CLASSIC}, {"histogram": NATIVE}))
    assert len(exposition) == 5
    assert len(exposition.histograms.histograms) == 2


def test_exemplars_of_a_native_histogram_need_a_time_stamp():
    own = [{"value": 1.0, "timestamp": STAMP}, {"value": 2.0}, {"value": 3.0, "timestamp": {"seconds": 5}}]
    with_own = parsed(family("h", HISTOGRAM, {"histogram": CLASSIC | NATIVE | {"exemplars": own}}))
    assert with_own.histograms.exemplars == [
        (0, Exemplar((), 1.0, 1_700_000_000_123)),
        (0, Exemplar((), 3.0, 5000)),
    ]
    of_buckets = parsed(family("h", HISTOGRAM, {"histogram": CLASSIC | NATIVE}))
    assert of_buckets.histograms.exemplars == [(0, Exemplar((), 0.75, 1_700_000_000_123))]


def test_a_counter_has_its_exemplar():
    exemplar = {"value": 2.0, "label": [{"name": "b", "value": "y"}, {"name": "a", "value": "x"}]}
    exposition = parsed(family("m", COUNTER, {}, {"counter": {"value": 1.0, "exemplar": exemplar}}))
    assert exposition.exemplars == [(1, Exemplar((("a", "x"), ("b", "y")), 2.0))]


def test_a_time_stamp_belongs_to_all_series_of_its_metric_and_zero_is_none():
    stamped = {"timestamp_ms": 1_700_000_000_000}
    exposition = parsed(
        family("m", GAUGE, {"gauge": {"value": 1.0}} | stamped, {"timestamp_ms": 0}),
        family("h", HISTOGRAM, {"histogram": NATIVE} | stamped, {"histogram": NATIVE}),
        family("s", SUMMARY, {"summary": {}} | stamped),
    )
    at = stamped["timestamp_ms"]
    assert exposition.timestamps.tolist() == [at, NO_TIMESTAMP, at, at]
    assert exposition.histograms.timestamps.tolist() == [at, NO_TIMESTAMP]


def test_a_nan_never_looks_like_a_staleness_marker():
    (marker,) = struct.unpack("<d", struct.pack("<Q", STALE_NAN_BITS))
    exposition = parsed(
        family("m", GAUGE, {"gauge": {"value": marker}}),
        family("h", HISTOGRAM, {"histogram": NATIVE | {"sample_sum": marker}}),
    )
    assert exposition.values.view(np.uint64).tolist() == [NORMAL_NAN_BITS]
    classic = family("h", HISTOGRAM, {"histogram": CLASSIC | {"sample_sum": marker}})
    for histogram in (one_native(exposition), one_native(parsed(classic, convert_classic=True))):
        assert struct.pack("<d", histogram.sum) == struct.pack("<Q", NORMAL_NAN_BITS)


def test_metadata_is_that_of_families_with_metrics():
    exposition = parsed(
        family("m_total", COUNTER, {}, help="one\n\\two", unit="s"),
        family("empty", GAUGE, help="nothing"),
        family("h", GAUGE_HISTOGRAM, {"histogram": {}}),
        family("u", UNTYPED, {}),
    )
    assert exposition.metadata == {
        "m_total": MetricMetadata("counter", "one\n\\two", "s"),
        "h": MetricMetadata("gaugehistogram"),
        "u": MetricMetadata("unknown"),
    }


def test_labels_are_those_of_the_series():
    exposition = parsed(family('a "b"', GAUGE, {"label": {"x.y": "\0", "empty": ""}}))
    assert exposition.labels_of(exposition.keys[0], "gauge") == (
        ("__name__", 'a "b"'),
        ("empty", ""),
        ("x.y", "\0"),
    )


def test_fields_that_nobody_knows_and_fields_of_another_wire_type_are_passed_over():
    metric = b"\x0a\x00" + b"\x12\x09\x09" + struct.pack("<d", 2.5) + b"\xa2\x06\x01x"
    body = delimited(b"\x0a\x01m\x18\x01\x22" + bytes([len(metric)]) + metric + b"\x12\x02hi" + b"\x2d\0\0\0\0")
    exposition = parse_protobuf(body, classic_too=False, keep_native=True)
    assert exposition.values.tolist() == [2.5]
    assert exposition.metadata == {"m": MetricMetadata("gauge", "hi")}


@pytest.mark.parametrize("label", ["a", "__name__", ""])
def test_labels_that_are_not_a_set_are_refused_when_they_are_asked_for(label):
    metric = family("m", GAUGE, {})
    for value in "xy":
        metric.metric[0].label.add(name=label, value=value)
    exposition = parsed(metric)
    with pytest.raises(ExpositionError):
        exposition.labels_of(exposition.keys[0], "gauge")


def test_a_converted_histogram_has_custom_buckets():
    exposition = parsed(family("h", GAUGE_HISTOGRAM, {"histogram": CLASSIC}), convert_classic=True)
    assert len(exposition) == 0
    assert one_native(exposition) == Histogram(
        schema=CUSTOM_BUCKETS_SCHEMA,
        count=7,
        sum=2.5,
        positive_spans=(Span(0, 3),),
        positive_buckets=(3, -1, 0),
        custom_values=(0.5, 1.0),
        counter_reset=CounterReset.GAUGE,
    )
    assert exposition.histograms.exemplars == [(0, Exemplar((), 0.75, 1_700_000_000_123))]
    both = parsed(family("h", HISTOGRAM, {"histogram": CLASSIC}), convert_classic=True, classic_too=True)
    assert (len(both), len(both.histograms.histograms)) == (5, 1)


def test_an_exponential_histogram_is_not_converted():
    exposition = parsed(family("h", HISTOGRAM, {"histogram": CLASSIC | NATIVE}), convert_classic=True)
    assert [one.schema for one in exposition.histograms.histograms] == [3]


GOOD = family("good", GAUGE, {})


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (delimited(GOOD, family("", GAUGE, {})), 'message 2, byte 12: metric "": invalid metric name'),
        (delimited(GOOD, b"\x0a\x01\xff\x22\x00"), 'metric "\ufffd": invalid metric name'),
        (delimited(b"\x0a\x01m\x12\x01\xff\x22\x00"), 'message 1, byte 1: metric "m": the help text'),
        (delimited(family("m", 6, {})), 'metric "m": unknown metric type 6'),
        (delimited(b"\x0a\x01m\x22\x05\x0a\x03\x0a\x01\xff"), 'metric "m": a label is not valid UTF-8'),
        (delimited(GOOD, b"\x0a\x7f"), "message 2, byte 12: not a MetricFamily message"),
        (b"\x05\x0a", "message 1, byte 1: the message has 5 bytes, the body only 1 more"),
        (b"\x80", "message 1, byte 1: invalid length of a message"),
        (b"\xff\xff\xff\xff\xff\x01", "message 1, byte 1: invalid length of a message"),
        (b"# HELP m\nm 1\n", "message 1, byte 1: the message has 35 bytes"),
        (
            delimited(family("h", HISTOGRAM, {"histogram": NATIVE | {"positive_delta": [1]}})),
            'metric "h": positive side: spans require 4 buckets, have 1',
        ),
        (
            delimited(
                family("h", HISTOGRAM, {"histogram": {"negative_span": [{"offset": 0, "length": 4_000_000_000}]}})
            ),
            "negative side: spans require 4000000000 buckets, have 0",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_message_and_its_metric(body, problem):
    with pytest.raises(ExpositionError) as caught:
        parse_protobuf(body, classic_too=False, keep_native=True)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("histogram", "problem"),
    [
        ({"sample_count": 1, "bucket": [{"cumulative_count": 2, "upper_bound": math.inf}]}, "count mismatch"),
        ({"bucket": [{"upper_bound": math.nan}]}, "bucket boundary must not be NaN"),
        ({"sample_count_float": -1.0}, "count must be non-negative"),
    ],
)
def test_a_classic_histogram_that_cannot_be_converted_fails_the_body(histogram, problem):
    with pytest.raises(ExpositionError, match=problem):
        parsed(family("h", HISTOGRAM, {"histogram": histogram}), convert_classic=True)
