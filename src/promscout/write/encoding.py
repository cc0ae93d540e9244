"""Samples as remote write 1.0 requests: ``prometheus.WriteRequest`` messages, compressed as one snappy block.

All series of a table are encoded once, as a *template*: their ``TimeSeries`` messages back to back, each with room
for one sample of a fixed size. A request is a copy of the templates with values and time stamps patched in by numpy,
so no Python object exists per sample.

Source: prometheus v3.x prompb/remote.proto WriteRequest, prompb/types.proto TimeSeries, Sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.model.series import Timestamps, Values, encode_varint

# The sample of a TimeSeries message: field 2, its size; value: field 1, 8 bytes; timestamp: field 2, a varint.
_SAMPLE_HEAD: Final = b"\x12\x10\x09"
_SAMPLE_SIZE: Final = 18
_VALUE_AT: Final = 3
_TIMESTAMP_AT: Final = 12
_SAMPLE_ROOM: Final = _SAMPLE_HEAD + bytes(8) + b"\x10" + bytes(6)

# Milliseconds whose varint takes 6 bytes, the room in a template: February 1971 to May 2109.
_FIRST_TIMESTAMP: Final = 1 << 35
_LAST_TIMESTAMP: Final = (1 << 42) - 1

_PORTION_OVERHEAD: Final = 400  # bytes: the portion, its array's header, its place in a queue

Bytes = NDArray[np.uint8]


class SeriesTemplate:
    """The encoded ``TimeSeries`` messages of some series of one stream, without values and time stamps.

    About 30 bytes more for each series than its encoded label set.
    """

    __slots__ = ("body", "sample_at", "stream")

    def __init__(self, stream: int, encoded_label_sets: Sequence[bytes]) -> None:
        self.stream = stream
        pieces: list[bytes] = []
        sizes = []
        for labels in encoded_label_sets:
            head = b"\x0a" + encode_varint(len(labels) + _SAMPLE_SIZE)
            pieces += (head, labels, _SAMPLE_ROOM)
            sizes.append(len(head) + len(labels) + _SAMPLE_SIZE)
        self.body: Bytes = np.frombuffer(b"".join(pieces), np.uint8)
        # Where each sample starts. Native integers: numpy converts all others at each use.
        self.sample_at: NDArray[np.intp] = np.cumsum(sizes, dtype=np.intp) - _SAMPLE_SIZE

    def __len__(self) -> int:
        return len(self.sample_at)

    def start(self, index: int) -> int:
        """Where series ``index`` starts in the body; for ``len(self)``, where the body ends."""
        return int(self.sample_at[index - 1]) + _SAMPLE_SIZE if index else 0

    def encoded_labels(self, index: int) -> bytes:
        """The encoded label set of series ``index``."""
        message = self.body[self.start(index) : self.sample_at[index]].tobytes()
        at = 1
        while message[at] & 0x80:
            at += 1
        return message[at + 1 :]


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
    """Encodes and compresses requests, reusing its buffers from one to the next."""

    __slots__ = ("_compressed", "_message")

    def __init__(self) -> None:
        self._message: Bytes = np.empty(0, np.uint8)
        self._compressed: Bytes = np.empty(0, np.uint8)

    def encode(self, portions: Sequence[Portion]) -> bytes:
        """The samples of ``portions``, in this order, as a compressed request body."""
        message = self._encode(portions)
        room = cramjam.snappy.compress_raw_max_len(message.data)
        if len(self._compressed) < room:
            self._compressed = np.empty(room, np.uint8)
        size = cramjam.snappy.compress_raw_into(message.data, self._compressed.data)
        return self._compressed[:size].tobytes()

    def _encode(self, portions: Sequence[Portion]) -> Bytes:
        if not all(map(_fits_template, portions)):
            return np.frombuffer(b"".join(map(_encode_singly, portions)), np.uint8)
        ranges = [(one.template.start(one.first), one.template.start(one.first + len(one))) for one in portions]
        size = sum(stop - start for start, stop in ranges)
        if len(self._message) < size:
            self._message = np.empty(size, np.uint8)
        at = 0
        for portion, (start, stop) in zip(portions, ranges, strict=True):
            _fill(self._message[at : at + stop - start], portion, start, stop)
            at += stop - start
        return self._message[:size]


def encode_message(portions: Sequence[Portion]) -> bytes:
    """The samples of ``portions``, in this order, as a ``WriteRequest`` message, not compressed."""
    return RequestEncoder()._encode(portions).tobytes()  # noqa: SLF001 - same module


def _fits_template(portion: Portion) -> bool:
    stamps = portion.timestamps
    if isinstance(stamps, int):
        return _FIRST_TIMESTAMP <= stamps <= _LAST_TIMESTAMP
    return len(stamps) == 0 or bool(stamps.min() >= _FIRST_TIMESTAMP and stamps.max() <= _LAST_TIMESTAMP)


def _fill(out: Bytes, portion: Portion, start: int, stop: int) -> None:
    """Write the messages of ``portion``, which are ``start`` to ``stop`` of its template, to ``out``."""
    template, count = portion.template, len(portion)
    if not count:
        return
    out[:] = template.body[start:stop]
    at = template.sample_at[portion.first : portion.first + count] - start
    # Views in which entry i is the field of a sample that starts at byte i: overlapping, so a start is an index.
    starts = (stop - start - _SAMPLE_SIZE + 1,)
    # As integers, because a float's copy may lose the bits of a NaN.
    np.ndarray(starts, "<u8", out, _VALUE_AT, (1,))[at] = portion.values.view(np.uint64)
    np.ndarray(starts, "V6", out, _TIMESTAMP_AT, (1,))[at] = _six_byte_varints(portion.timestamps)


def _six_byte_varints(numbers: int | Timestamps) -> NDArray[np.void]:
    if isinstance(numbers, int):
        return np.frombuffer(encode_varint(numbers), "V6")
    packed = np.zeros(len(numbers), dtype="<i8")
    for index in range(6):
        seven_bits = numbers >> (7 * index) & 0x7F
        packed |= (seven_bits | (0x80 if index < 5 else 0)) << (8 * index)
    return np.ndarray((len(packed),), "V6", packed, 0, (8,))


def _encode_singly(portion: Portion) -> bytes:
    """The same messages for any time stamps, one series after the other."""
    stamps = portion.timestamps
    pieces = []
    raw_values = portion.values.astype("<f8", copy=False).tobytes()
    for index in range(len(portion)):
        stamp = encode_varint((stamps if isinstance(stamps, int) else int(stamps[index])) & (1 << 64) - 1)
        sample = b"\x09" + raw_values[8 * index : 8 * index + 8] + b"\x10" + stamp
        labels = portion.template.encoded_labels(portion.first + index)
        body = labels + b"\x12" + encode_varint(len(sample)) + sample
        pieces.append(b"\x0a" + encode_varint(len(body)) + body)
    return b"".join(pieces)
