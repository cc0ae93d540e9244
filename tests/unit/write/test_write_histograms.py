import struct

import pytest

from harness.messages import REMOTE_WRITE
from promscout.model.histogram import CUSTOM_BUCKETS_SCHEMA, CounterReset, Exemplar, Histogram, Span
from promscout.model.series import STALE_NAN_BITS, encode_label_set
from promscout.write.histograms import encode_exemplar_series, encode_histogram_series

LABELS = (("__name__", "sizes"), ("job", "a"))
INTEGERS = Histogram(
    schema=3,
    count=21,
    sum=-7.5,
    zero_threshold=0.001,
    zero_count=2,
    positive_spans=(Span(-3, 2), Span(5, 1)),
    positive_buckets=(4, 3, -6),
    negative_spans=(Span(0, 2),),
    negative_buckets=(1, 6),
    counter_reset=CounterReset.NO,
)
FLOATS = Histogram(
    schema=-4,
    is_float=True,
    count=3.25,
    sum=1.5,
    zero_count=0.25,
    positive_spans=(Span(1, 2),),
    positive_buckets=(1.5, 0.5),
    negative_spans=(Span(-1, 1),),
    negative_buckets=(1.0,),
    counter_reset=CounterReset.GAUGE,
)
CUSTOM = Histogram(
    schema=CUSTOM_BUCKETS_SCHEMA,
    count=3,
    sum=9.0,
    positive_spans=(Span(0, 3),),
    positive_buckets=(1, 0, 0),
    custom_values=(0.5, 10.0),
)


def decoded(encoded):
    """The one series of an encoded request."""
    (series,) = REMOTE_WRITE["WriteRequest"].FromString(encoded).timeseries
    assert tuple((label.name, label.value) for label in series.labels) == LABELS
    return series


def read_back(message):
    """The histogram of a remote write message, by what is set in it."""
    is_float = message.HasField("count_float")
    assert message.HasField("count_int") is not is_float
    assert message.HasField("zero_count_float") is is_float
    assert message.HasField("zero_count_int") is not is_float

    def spans(fields):
        return tuple(Span(span.offset, span.length) for span in fields)

    return Histogram(
        schema=message.schema,
        is_float=is_float,
        count=message.count_float if is_float else message.count_int,
        sum=message.sum,
        zero_threshold=message.zero_threshold,
        zero_count=message.zero_count_float if is_float else message.zero_count_int,
        positive_spans=spans(message.positive_spans),
        positive_buckets=tuple(message.positive_counts if is_float else message.positive_deltas),
        negative_spans=spans(message.negative_spans),
        negative_buckets=tuple(message.negative_counts if is_float else message.negative_deltas),
        custom_values=tuple(message.custom_values),
        counter_reset=CounterReset(message.reset_hint),
    )


@pytest.mark.parametrize(
    "histogram",
    [INTEGERS, FLOATS, CUSTOM, Histogram(schema=0), Histogram(schema=8, is_float=True)],
    ids=["integers", "floats", "custom", "empty", "empty floats"],
)
def test_a_receiver_reads_the_histogram_that_was_encoded(histogram):
    series = decoded(encode_histogram_series(encode_label_set(LABELS), histogram, 1_700_000_000_123))
    (message,) = series.histograms
    assert read_back(message) == histogram
    assert message.timestamp == 1_700_000_000_123
    assert not series.samples
    assert not series.exemplars


def test_counts_and_deltas_of_64_bits_survive():
    widest = Histogram(
        schema=0,
        count=(1 << 64) - 1,
        zero_count=(1 << 63) + 5,
        positive_spans=(Span(-(1 << 31), 3),),
        positive_buckets=((1 << 63) - 1, -(1 << 63), 0),
    )
    (message,) = decoded(encode_histogram_series(encode_label_set(LABELS), widest, -5)).histograms
    assert read_back(message) == widest
    assert message.timestamp == -5


def test_a_staleness_marker_as_a_sum_keeps_its_bits():
    (marker,) = struct.unpack("<d", struct.pack("<Q", STALE_NAN_BITS))
    encoded = encode_histogram_series(encode_label_set(LABELS), Histogram(schema=0, sum=marker), 1)
    assert struct.pack("<Q", STALE_NAN_BITS) in encoded


@pytest.mark.parametrize(
    "exemplar",
    [
        Exemplar((("trace_id", "e4b9"),), 0.25, 1_700_000_000_123),
        Exemplar((), -1.0, -1),
        Exemplar((("a", ""), ("b", "ü" * 100)), 0.0, 0),
    ],
    ids=["usual", "before 1970", "long labels"],
)
def test_a_receiver_reads_the_exemplar_that_was_encoded(exemplar):
    series = decoded(encode_exemplar_series(encode_label_set(LABELS), exemplar))
    (message,) = series.exemplars
    labels = tuple((label.name, label.value) for label in message.labels)
    assert Exemplar(labels, message.value, message.timestamp) == exemplar
    assert not series.samples
    assert not series.histograms


def test_encoded_series_of_several_kinds_make_one_request():
    labels = encode_label_set(LABELS)
    body = b"".join(
        [
            encode_histogram_series(labels, INTEGERS, 1),
            encode_histogram_series(labels, FLOATS, 2),
            encode_exemplar_series(labels, Exemplar((), 1.0, 3)),
        ]
    )
    series = REMOTE_WRITE["WriteRequest"].FromString(body).timeseries
    assert [(len(one.histograms), len(one.exemplars)) for one in series] == [(1, 0), (1, 0), (0, 1)]
