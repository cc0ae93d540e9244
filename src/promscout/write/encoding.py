"""Portions as remote write 1.0 requests: ``prometheus.WriteRequest`` messages, compressed as one snappy block.

Series that are sent again and again are packed: a request is a copy of their packed form with values and time stamps
put in, so no Python object exists per sample and no compressor runs. All others are encoded one by one.

Source: prometheus v3.x prompb/remote.proto WriteRequest, prompb/types.proto TimeSeries, Sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import cramjam

from promscout.model.series import encode_varint
from promscout.write.packed import FIRST_TIMESTAMP, LAST_TIMESTAMP, PackedSeries
from promscout.write.portion import PACKED_AS_ONE, AnyPortion, Portion

# Samples sent for each series that is packed: most tables of a start turn up at once, and must not be packed at once.
_SENT_FOR_ONE_PACKED: Final = 8
_MOST_CREDIT: Final = 2_000  # series packed in one request: some ten milliseconds


class RequestEncoder:
    """Encodes and compresses requests."""

    __slots__ = ("_credit",)

    def __init__(self) -> None:
        self._credit = 0.0
        """Series that may be packed."""

    def encode(self, portions: Sequence[AnyPortion]) -> bytes:
        """What is in ``portions``, in this order, as a compressed request body."""
        self._credit = min(self._credit + sum(map(len, portions)) / _SENT_FOR_ONE_PACKED, _MOST_CREDIT)
        size, at = 0, 0
        bodies: list[bytes] = [b""]
        filled: list[tuple[PackedSeries, int, Portion]] = []
        single: list[AnyPortion] = []
        for portion in _pieces(portions):
            packed = self._packed(portion) if isinstance(portion, Portion) else None
            if packed is None or not isinstance(portion, Portion):
                single.append(portion)
                continue
            if single:
                added, body = _compress(single)
                size, at = size + added, at + len(body)
                bodies.append(body)
                single = []
            filled.append((packed, at, portion))
            bodies.append(packed.body)
            size, at = size + packed.size, at + len(packed.body)
        if single:
            added, body = _compress(single)
            size += added
            bodies.append(body)
        start = bodies[0] = encode_varint(size)
        request = bytearray().join(bodies)
        for packed, place, portion in filled:
            packed.fill(request, len(start) + place, portion.values, portion.timestamps)
        return bytes(request)

    def _packed(self, portion: Portion) -> PackedSeries | None:
        count, stamps = len(portion), portion.timestamps
        if isinstance(stamps, int):
            if not FIRST_TIMESTAMP <= stamps <= LAST_TIMESTAMP:
                return None
        elif stamps.min() < FIRST_TIMESTAMP or stamps.max() > LAST_TIMESTAMP:
            return None
        packed, work = portion.template.packed(
            portion.first, count, own_time=not isinstance(stamps, int), may_pack=self._credit > 0
        )
        self._credit -= work
        return packed


def encode_message(portions: Sequence[AnyPortion]) -> bytes:
    """What is in ``portions``, in this order, as a ``WriteRequest`` message, not compressed."""
    return b"".join([message for portion in portions for message in portion.messages()])


def _pieces(portions: Sequence[AnyPortion]) -> Iterator[AnyPortion]:
    """``portions`` in parts that can be packed as one."""
    for portion in portions:
        if not isinstance(portion, Portion):
            yield portion
            continue
        start, count = 0, len(portion)
        while start < count:
            stop = min(count, start + PACKED_AS_ONE - (portion.first + start) % PACKED_AS_ONE)
            yield portion if stop - start == count else portion.part(start, stop)
            start = stop


def _compress(portions: Sequence[AnyPortion]) -> tuple[int, bytes]:
    """The size of the messages, and their elements in a snappy block."""
    message = encode_message(portions)
    block = bytes(cramjam.snappy.compress_raw(message))
    return len(message), block[len(encode_varint(len(message))) :]
