"""Native histograms and exemplars as parts of a remote write request.

Unlike those of samples, these messages have no fixed size, so each is encoded anew.

Source: prometheus v3.x prompb/types.proto TimeSeries, Histogram, Exemplar; prompb/codec.go FromIntHistogram,
FromFloatHistogram; prompb/io/prometheus/write/v2/types.proto Histogram, Exemplar.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from promscout.model.histogram import Exemplar, Histogram, Span
from promscout.model.series import encode_label_set, encode_varint

_UINT64 = (1 << 64) - 1


def encode_histogram_series(encoded_labels: bytes, histogram: Histogram, timestamp: int) -> bytes:
    """A ``timeseries`` field of a ``WriteRequest``: one series with one histogram.

    ``encoded_labels`` is as of :func:`~promscout.model.series.encode_label_set`, ``timestamp`` in milliseconds. The
    bits of a sum that is a staleness marker are kept. Custom bounds are written where the histogram has some, although
    a sender of remote write 1.0 should not send such histograms: whether it does is the caller's choice.
    """
    return _field(b"\x0a", encoded_labels + _field(b"\x22", encode_histogram(histogram, timestamp)))


def encode_exemplar_series(encoded_labels: bytes, exemplar: Exemplar) -> bytes:
    """A ``timeseries`` field of a ``WriteRequest``: one series with one exemplar, which has a time stamp."""
    message = encode_exemplar(encode_label_set(exemplar.labels), exemplar)
    return _field(b"\x0a", encoded_labels + _field(b"\x1a", message))


def encode_exemplar(encoded_labels: bytes, exemplar: Exemplar) -> bytes:
    """An ``Exemplar`` message of 1.0 or 2.0; ``encoded_labels`` are its labels as that version has them."""
    message = encoded_labels + _double(b"\x11", exemplar.value)
    return message if exemplar.timestamp is None else message + b"\x18" + _varint(exemplar.timestamp)


def encode_histogram(histogram: Histogram, timestamp: int) -> bytes:
    """A ``Histogram`` message, which is the same in 1.0 and 2.0."""
    if histogram.is_float:
        counts = (_double(b"\x11", histogram.count), _double(b"\x39", histogram.zero_count))
        negative = _packed_doubles(b"\x52", histogram.negative_buckets)
        positive = _packed_doubles(b"\x6a", histogram.positive_buckets)
    else:
        counts = (b"\x08" + _varint(int(histogram.count)), b"\x30" + _varint(int(histogram.zero_count)))
        negative = _packed_deltas(b"\x4a", histogram.negative_buckets)
        positive = _packed_deltas(b"\x62", histogram.positive_buckets)
    return b"".join(
        [
            counts[0],
            _double(b"\x19", histogram.sum),
            b"\x20" + _zigzag(histogram.schema),
            _double(b"\x29", histogram.zero_threshold),
            counts[1],
            _spans(b"\x42", histogram.negative_spans),
            negative,
            _spans(b"\x5a", histogram.positive_spans),
            positive,
            b"\x70%c" % histogram.counter_reset.value,
            b"\x78" + _varint(timestamp),
            _packed_doubles(b"\x82\x01", histogram.custom_values),
        ]
    )


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + encode_varint(len(content)) + content


def _varint(number: int) -> bytes:
    # A negative number is written as its two's complement in 64 bits.
    return encode_varint(number & _UINT64)


def _zigzag(number: int) -> bytes:
    return encode_varint((number << 1 ^ number >> 63) & _UINT64)


def _double(tag: bytes, number: float) -> bytes:
    return tag + struct.pack("<d", number)


def _spans(tag: bytes, spans: Iterable[Span]) -> bytes:
    return b"".join(
        [_field(tag, b"\x08" + _zigzag(span.offset) + b"\x10" + encode_varint(span.length)) for span in spans]
    )


def _packed_deltas(tag: bytes, deltas: Sequence[float]) -> bytes:
    return _field(tag, b"".join([_zigzag(int(delta)) for delta in deltas])) if deltas else b""


def _packed_doubles(tag: bytes, numbers: Sequence[float]) -> bytes:
    return _field(tag, struct.pack(f"<{len(numbers)}d", *numbers)) if numbers else b""
