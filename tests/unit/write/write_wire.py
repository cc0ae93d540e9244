"""A plain reading and writing of remote write 1.0 messages, to compare the real ones with."""

import struct

import cramjam
import numpy as np

from promscout.model.series import SampleBatch


def decode_request(body):
    """[(labels, [(bits of the value, timestamp)])] of a compressed request."""
    return decode_message(bytes(cramjam.snappy.decompress_raw(body)))


def decode_message(message):
    series = []
    for number, one in _fields(message):
        assert number == 1, f"WriteRequest has field {number}"
        labels, samples = [], []
        for field, content in _fields(one):
            parts = dict(_fields(content))
            if field == 1:
                labels.append((parts[1].decode(), parts.get(2, b"").decode()))
            else:
                assert field == 2, f"TimeSeries has field {field}"
                samples.append((parts.get(1, 0), _signed(parts.get(2, 0))))
        series.append((tuple(labels), samples))
    return series


def expected_series(batches):
    """What ``decode_message`` gives for these batches, one series with one sample each."""
    return [
        (labels, [(int(bits), stamp)])
        for batch in batches
        for labels, bits, stamp in zip(
            batch.series, batch.values.view(np.uint64).tolist(), stamps_of(batch), strict=True
        )
    ]


def plain_message(batches):
    """A ``WriteRequest`` as the protobuf documentation says, field by field."""
    out = b""
    for labels, samples in expected_series(batches):
        one = b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in labels)
        for bits, stamp in samples:
            one += _field(2, b"\x09" + struct.pack("<Q", bits) + b"\x10" + _varint(stamp % (1 << 64)))
        out += _field(1, one)
    return out


def stamps_of(batch: SampleBatch):
    return [batch.timestamps] * len(batch) if isinstance(batch.timestamps, int) else batch.timestamps.tolist()


def _fields(data):
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        if tag & 7 == 2:
            size, at = _read_varint(data, at)
            assert at + size <= len(data), "a field is cut off"
            yield tag >> 3, data[at : at + size]
            at += size
        elif tag & 7 == 1:
            yield tag >> 3, struct.unpack_from("<Q", data, at)[0]
            at += 8
        else:
            assert tag & 7 == 0, f"wire type {tag & 7}"
            value, at = _read_varint(data, at)
            yield tag >> 3, value


def _read_varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def _signed(number):
    return number - (1 << 64) if number >= 1 << 63 else number


def _varint(number):
    out = b""
    while number > 0x7F:
        out += bytes([number % 128 + 128])
        number //= 128
    return out + bytes([number])


def _field(number, content):
    return bytes([number << 3 | 2]) + _varint(len(content)) + content
