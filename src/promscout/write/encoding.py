"""Portions as remote write 1.0 requests: ``prometheus.WriteRequest`` messages, compressed as one snappy block.

Series that are sent again are packed: a request is a copy of their packed form with values and time stamps put in, so
no Python object exists per sample and no compressor runs. Others are encoded and compressed each time.

Source: prometheus v3.x prompb/remote.proto WriteRequest, prompb/types.proto TimeSeries, Sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cramjam

from promscout.model.series import encode_varint
from promscout.write.packed import PackedSeries
from promscout.write.portion import PACKED_AS_ONE, AnyPortion, Portion


class RequestEncoder:
    """Encodes and compresses requests."""

    __slots__ = ()

    def encode(self, portions: Sequence[AnyPortion]) -> bytes:
        """What is in ``portions``, in this order, as a compressed request body."""
        block = _Block()
        for portion in portions:
            if not isinstance(portion, Portion) or not portion.has_usual_times:
                block.add_message(encode_message([portion]))
                continue
            own_time, single = not isinstance(portion.timestamps, int), 0
            for start, stop in _parts(portion):
                packed = portion.template.packed(portion.first + start, stop - start, own_time=own_time)
                if packed is None:
                    continue
                if start > single:
                    block.add_message(portion.part(single, start).message())
                block.add_packed(packed, portion.part(start, stop))
                single = stop
            if single < len(portion):
                block.add_message(portion.part(single, len(portion)).message())
        return block.finish()


class _Block:
    """A snappy block that is put together."""

    def __init__(self) -> None:
        self._size = 0
        self._place = 0
        self._pieces: list[bytes] = []
        self._plain: list[bytes | bytearray] = []
        self._filled: list[tuple[PackedSeries, int, Portion]] = []

    def add_message(self, message: bytes | bytearray) -> None:
        """Add what is yet to be compressed."""
        self._plain.append(message)

    def add_packed(self, packed: PackedSeries, portion: Portion) -> None:
        """Add ``packed`` with the samples of ``portion``."""
        self._compress()
        self._filled.append((packed, self._place, portion))
        self._add(packed.body, packed.size)

    def finish(self) -> bytes:
        """The block."""
        self._compress()
        start = encode_varint(self._size)
        block = bytearray().join([start, *self._pieces])
        for packed, place, portion in self._filled:
            packed.fill(block, len(start) + place, portion.values, portion.timestamps)
        return bytes(block)

    def _add(self, elements: bytes, size: int) -> None:
        self._pieces.append(elements)
        self._place += len(elements)
        self._size += size

    def _compress(self) -> None:
        if self._plain:
            message = b"".join(self._plain)
            self._plain.clear()
            block = bytes(cramjam.snappy.compress_raw(message))
            self._add(block[len(encode_varint(len(message))) :], len(message))


def encode_message(portions: Sequence[AnyPortion]) -> bytes:
    """What is in ``portions``, in this order, as a ``WriteRequest`` message, not compressed."""
    return b"".join([message for portion in portions for message in portion.messages()])


def _parts(portion: Portion) -> Iterator[tuple[int, int]]:
    """The parts of ``portion`` that are packed as one: where each starts and stops."""
    start, count = 0, len(portion)
    while start < count:
        stop = min(count, start + PACKED_AS_ONE - (portion.first + start) % PACKED_AS_ONE)
        yield start, stop
        start = stop
