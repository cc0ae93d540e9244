"""Samples as remote write 1.0 requests: ``prometheus.WriteRequest`` messages, compressed as one snappy block.

Series that are sent again and again are packed: a request is a copy of their packed form with values and time stamps
put in, so no Python object exists per sample and no compressor runs. All others are encoded one by one.

Source: prometheus v3.x prompb/remote.proto WriteRequest, prompb/types.proto TimeSeries, Sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.model.series import Timestamps, Values, encode_varint
from promscout.write.packed import FIRST_TIMESTAMP, LAST_TIMESTAMP, MAX_LABELS, PackedSeries

_PORTION_OVERHEAD: Final = 400  # bytes: the portion, its array's header, its place in a queue

_PACKED_AS_ONE: Final = 2_000  # series; packing one takes some microseconds of the event loop

# Samples sent for each series that is packed: most tables of a start turn up at once, and must not be packed at once.
_SENT_FOR_ONE_PACKED: Final = 8


class SeriesTemplate:
    """Some series of one stream, as encoded label sets, and what was packed of them.

    ``encoded`` and ``offsets`` are as in a ``SeriesTable``, whose they may be. Packed series take about 30 bytes each.
    """

    __slots__ = ("_packed", "encoded", "offsets", "stream")

    def __init__(self, stream: int, encoded: bytes, offsets: NDArray[np.int64]) -> None:
        self.stream = stream
        self.encoded = encoded
        self.offsets = offsets
        self._packed: dict[tuple[int, int, bool], PackedSeries | None] = {}

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def encoded_labels(self, index: int) -> bytes:
        """The encoded label set of series ``index``."""
        return self.encoded[self.offsets[index] : self.offsets[index + 1]]

    def label_sets(self, first: int, stop: int) -> list[bytes]:
        """The encoded label sets of the series from ``first`` up to, not including, ``stop``."""
        edges = self.offsets[first : stop + 1].tolist()
        return [self.encoded[start:end] for start, end in itertools.pairwise(edges)]

    def packed(self, first: int, count: int, *, own_time: bool, may_pack: bool) -> tuple[PackedSeries | None, int]:
        """These series packed, and how many of them that was work for.

        They are packed when asked for a second time, with ``may_pack`` false at a later time. None before, and where a
        label set is too large.
        """
        key = first, count, own_time
        found = self._packed.get(key)
        if found is not None:
            return found, 0
        if key not in self._packed:
            if len(self._packed) > 2 * len(self) // count + 2:
                self._packed.clear()  # portions were divided differently before
            self._packed[key] = None
            return None, 0
        if not may_pack or np.diff(self.offsets[first : first + count + 1]).max() > MAX_LABELS:
            return None, 0
        found = self._packed[key] = PackedSeries(self.label_sets(first, first + count), own_time=own_time)
        return found, count


class Portion(msgspec.Struct, frozen=True, eq=False):
    """One sample for each of some neighbouring series of a template: those from ``first`` on.

    ``timestamps`` are milliseconds since the epoch: one number for all samples, or one per sample.
    """

    template: SeriesTemplate
    first: int
    values: Values
    timestamps: int | Timestamps

    def __len__(self) -> int:
        return len(self.values)

    @property
    def stream(self) -> int:
        """The sequence that the samples belong to."""
        return self.template.stream

    @property
    def memory(self) -> int:
        """Bytes that the portion keeps from being freed, its template not counted."""
        stamps = 0 if isinstance(self.timestamps, int) else self.timestamps.nbytes
        return _PORTION_OVERHEAD + self.values.nbytes + stamps

    @property
    def newest(self) -> int:
        """The highest time stamp."""
        return self.timestamps if isinstance(self.timestamps, int) else int(self.timestamps.max())

    def part(self, start: int, stop: int) -> Portion:
        """The samples from ``start`` up to, not including, ``stop``."""
        stamps = self.timestamps if isinstance(self.timestamps, int) else self.timestamps[start:stop]
        return Portion(self.template, self.first + start, self.values[start:stop], stamps)

    def since(self, oldest: int) -> tuple[Portion, ...]:
        """The samples with a time stamp of ``oldest`` or later."""
        if isinstance(self.timestamps, int):
            return (self,) if self.timestamps >= oldest else ()
        recent = np.zeros(len(self) + 2, dtype=np.int8)
        recent[1:-1] = self.timestamps >= oldest
        edges = np.flatnonzero(np.diff(recent)).tolist()
        if edges == [0, len(self)]:
            return (self,)
        return tuple(self.part(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True))


class RequestEncoder:
    """Encodes and compresses requests."""

    __slots__ = ("_credit",)

    def __init__(self) -> None:
        self._credit = 0.0
        """Series that may be packed."""

    def encode(self, portions: Sequence[Portion]) -> bytes:
        """The samples of ``portions``, in this order, as a compressed request body."""
        self._credit = min(self._credit + sum(map(len, portions)) / _SENT_FOR_ONE_PACKED, _PACKED_AS_ONE)
        size, at = 0, 0
        bodies: list[bytes] = [b""]
        filled: list[tuple[PackedSeries, int, Portion]] = []
        single: list[Portion] = []
        for portion in _pieces(portions):
            packed = self._packed(portion)
            if packed is None:
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


def encode_message(portions: Sequence[Portion]) -> bytes:
    """The samples of ``portions``, in this order, as a ``WriteRequest`` message, not compressed."""
    return b"".join([message for portion in portions for message in _messages(portion)])


def _pieces(portions: Sequence[Portion]) -> Iterator[Portion]:
    """``portions`` without the empty ones and in parts that can be packed as one."""
    for portion in portions:
        if len(portion) <= _PACKED_AS_ONE:
            if len(portion):
                yield portion
        else:
            for start in range(0, len(portion), _PACKED_AS_ONE):
                yield portion.part(start, start + _PACKED_AS_ONE)


def _compress(portions: Sequence[Portion]) -> tuple[int, bytes]:
    """The size of the messages, and their elements in a snappy block."""
    message = encode_message(portions)
    block = bytes(cramjam.snappy.compress_raw(message))
    return len(message), block[len(encode_varint(len(message))) :]


def _messages(portion: Portion) -> Iterator[bytes]:
    """The ``timeseries`` fields of ``portion``, in order."""
    count, stamps = len(portion), portion.timestamps
    raw_values = portion.values.astype("<f8", copy=False).tobytes()
    times = [stamps] * count if isinstance(stamps, int) else stamps.tolist()
    varint = _Varints()
    label_sets = portion.template.label_sets(portion.first, portion.first + count)
    for index, (labels, time) in enumerate(zip(label_sets, times, strict=True)):
        stamp = varint[time]
        size = len(stamp) + 10
        value = raw_values[8 * index : 8 * index + 8]
        yield b"\x0a%b%b\x12%c\x09%b\x10%b" % (varint[len(labels) + size + 2], labels, size, value, stamp)


class _Varints(dict[int, bytes]):
    """Numbers as varints, each encoded once."""

    def __missing__(self, number: int) -> bytes:
        self[number] = encoded = encode_varint(number & (1 << 64) - 1)
        return encoded
