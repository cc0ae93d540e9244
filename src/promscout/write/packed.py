"""Series encoded and compressed ahead of their values, so that a request needs no compressor.

A snappy block is a list of elements: literals, and copies of what stands a given distance before. So the elements of
a table's messages are made once, with values and time stamps as literals in which they are replaced, and label sets
as copies from those before. Because distances are relative and none reaches beyond the first message, such lists may
follow each other in one block, in any order.

Source: the snappy format description, and prometheus v3.x prompb/types.proto TimeSeries, Sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promscout.model.series import Timestamps, Values, encode_varint, end_of_label

FIRST_TIMESTAMP: Final = 1 << 35
LAST_TIMESTAMP: Final = (1 << 42) - 1
"""Milliseconds whose varint takes 6 bytes, as in packed series: February 1971 to May 2109."""

MAX_LABELS: Final = 60_000
"""Bytes of an encoded label set that can be packed: copies reach back less than 64 KiB."""

_SAMPLE_HEAD: Final = b"\x12\x10\x09"  # of a sample: field 2, 16 bytes; value: field 1, 8 bytes
_LABEL_TAG: Final = 0x0A
_VALUE: Final = bytes(8)
_STAMP: Final = b"\x10" + bytes(6)  # timestamp: field 2, a varint
_REST: Final = len(_VALUE + _STAMP)  # of a message, from the value on
_SHORTEST_COPY: Final = 5  # bytes; less is not worth to interrupt a literal for
_LONGEST_DISTANCE: Final = 0xFFFF


class PackedSeries:
    """The messages of some series, at least one, as snappy elements with room for one sample each.

    Either all samples have one time stamp, or with ``own_time`` each its own; all within ``FIRST_TIMESTAMP`` and
    ``LAST_TIMESTAMP``. ``size`` is the size of the messages; ``body`` holds the elements, 20 to 30 bytes for each
    series, and 7 more with its own time.
    """

    __slots__ = ("_stamp_at", "_value_at", "body", "size")

    def __init__(self, label_sets: Sequence[bytes], *, own_time: bool) -> None:
        composer = _Composer()
        room, tail = (_VALUE + _STAMP, 0) if own_time else (_VALUE, len(_STAMP))
        pieces: list[bytes] = []
        value_at, at = [], 0
        for number, labels in enumerate(label_sets):
            # The first message has its time stamp as a literal; all others copy it from the one before, in one
            # element with the start of the next message.
            after = room if number else _VALUE + _STAMP
            step = composer.step(labels, tail if number > 1 else 0, len(after))
            pieces += (step, after)
            at += len(step)
            value_at.append(at)
            at += len(after)
        if tail and len(label_sets) > 1:
            pieces.append(_copy(tail, composer.last_size))
        self.body = b"".join(pieces)
        self.size = composer.size
        self._stamp_at = value_at[0] + len(_VALUE) + 1
        # Native integers: numpy converts all others at each use.
        self._value_at: NDArray[np.intp] = np.array(value_at, dtype=np.intp)

    @property
    def memory(self) -> int:
        """Bytes of the arrays."""
        return len(self.body) + self._value_at.nbytes

    def fill(self, out: bytearray, at: int, values: Values, timestamps: int | Timestamps) -> None:
        """Put values and time stamps into the copy of ``body`` that starts at ``at`` of ``out``."""
        # Views in which entry i is the field that starts at byte i: overlapping, so a place is an index.
        places = (len(self.body) - len(_VALUE) + 1,)
        # As integers, because a float's copy may lose the bits of a NaN.
        np.ndarray(places, "<u8", out, at, (1,))[self._value_at] = values.view(np.uint64)
        if isinstance(timestamps, int):
            at += self._stamp_at
            out[at : at + 6] = encode_varint(timestamps)
        else:
            places = (len(self.body) - _REST + 1,)
            stamps = np.ndarray(places, "V6", out, at + len(_VALUE) + 1, (1,))
            stamps[self._value_at] = _six_byte_varints(timestamps)


class _Composer:
    """Describes one message after the other by copies from those before, label by label.

    What a label is copied from: where all labels from it to the last were the same; else what follows the last copy's
    place; else where this label was last. One that never was there is compared with the label after the last copy's
    place, which mostly has the same name.
    """

    def __init__(self) -> None:
        self.last_size = 0
        """Of the last message."""
        self._last_labels_at = 0
        self._stream = bytearray()
        self._labels: dict[bytes, int] = {}  # where each label was last
        self._rests: dict[bytes, int] = {}  # where what is in a message from a label up to the value was last

    @property
    def size(self) -> int:
        """Of all messages."""
        return len(self._stream)

    def step(self, labels: bytes, tail: int, room: int) -> bytes:
        """The elements of the next message up to its value.

        They begin with the ``tail`` bytes that end the message before, and end with the tag of a literal of which
        ``room`` bytes follow.
        """
        head = _message_tag(len(labels)) + labels + _SAMPLE_HEAD
        labels_at = len(head) - len(labels) - len(_SAMPLE_HEAD)
        parts = _labels(head, labels_at)
        runs = self._runs(head, [(0, labels_at), *parts]) if self._stream else []
        self._note(head, parts)
        pieces: list[bytes] = []
        done = -tail
        for start, size, distance in runs:
            begin = start or -tail  # every message starts with the same tag, so with a tail the first run is at 0
            if start + size - begin < _SHORTEST_COPY:
                continue
            if begin > done:
                pieces += (_literal_tag(begin - done), head[done:begin])
            done = start + size
            pieces.append(_copy(done - begin, distance))
        pieces += (_literal_tag(len(head) - done + room), head[done:])
        return b"".join(pieces)

    def _note(self, head: bytes, parts: list[tuple[int, int]]) -> None:
        here, labels, rests = len(self._stream), self._labels, self._rests
        for at, end in parts:
            labels[head[at:end]] = rests[head[at:]] = here + at
        self._stream += head + _VALUE + _STAMP
        self.last_size = len(head) + _REST
        self._last_labels_at = parts[0][0] if parts else 0

    def _runs(self, head: bytes, parts: list[tuple[int, int]]) -> list[tuple[int, int, int]]:
        """What of ``head`` was there before, in order: place, bytes, distance."""
        here, stream, labels, rests = len(self._stream), self._stream, self._labels, self._rests
        source = here - self.last_size
        runs: list[tuple[int, int, int]] = []

        def add(at: int, size: int, place: int) -> None:
            distance = here + at - place
            if runs and runs[-1][2] == distance and sum(runs[-1][:2]) == at:
                runs[-1] = (runs[-1][0], runs[-1][1] + size, distance)
            else:
                runs.append((at, size, distance))

        for at, end in parts:
            part = head[at:end]
            place = rests.get(head[at:], -1) if at else -1
            if here + at - place <= _LONGEST_DISTANCE and place >= 0:
                add(at, len(head) - at, place)
                return runs
            if stream.startswith(part, source):
                place = source
            else:
                place = labels.get(part, -1)
                if place < 0 or here + at - place > _LONGEST_DISTANCE:
                    other = self._label_at(source) if at else bytes(stream[source : source + self._last_labels_at])
                    for from_, to, size in _common_runs(other, part):
                        add(at + to, size, source + from_)
                    source += len(other)
                    continue
            add(at, end - at, place)
            source = place + end - at
        add(len(head) - len(_SAMPLE_HEAD), len(_SAMPLE_HEAD), here - _REST - len(_SAMPLE_HEAD))
        return runs

    def _label_at(self, source: int) -> bytes:
        """The label there; empty where a message has no more."""
        if self._stream[source] != _LABEL_TAG:
            return b""
        return bytes(self._stream[source : end_of_label(self._stream, source)])


def _labels(head: bytes, at: int) -> list[tuple[int, int]]:
    """Where the labels of a message are that start at ``at``."""
    found, stop = [], len(head) - len(_SAMPLE_HEAD)
    while at < stop:
        size = head[at + 1]
        end = at + 2 + size if size < 0x80 else end_of_label(head, at)
        found.append((at, end))
        at = end
    return found


def _common_runs(one: bytes, other: bytes) -> list[tuple[int, int, int]]:
    """What two texts have in common, counted from their starts and then from their ends: both places, and the size."""
    shorter = min(len(one), len(other))
    if not shorter:
        return []
    runs, at = [], 0
    different = int.from_bytes(one[:shorter], "little") ^ int.from_bytes(other[:shorter], "little")
    while different:
        equal = ((different & -different).bit_length() - 1) >> 3
        if equal >= _SHORTEST_COPY or not at:
            runs.append((at, at, equal))
        at += equal
        different >>= 8 * equal
        while different & 0xFF:
            different >>= 8
            at += 1
    if at < shorter:
        runs.append((at, at, shorter - at))
    if len(one) != len(other):
        done = sum(runs[-1][1:])
        different = int.from_bytes(one[-shorter:], "little") ^ int.from_bytes(other[-shorter:], "little")
        size = min(shorter - ((different.bit_length() + 7) >> 3), shorter - done)
        runs.append((len(one) - size, len(other) - size, size))
    return runs


def _literal_tag(size: int) -> bytes:
    if size <= 60:
        return bytes((size - 1 << 2,))
    if size <= 256:
        return bytes((0xF0, size - 1))
    return b"\xf4" + (size - 1).to_bytes(2, "little")


@lru_cache(1024)
def _message_tag(labels: int) -> bytes:
    """What a message with so many bytes of labels starts with."""
    return b"\x0a" + encode_varint(labels + len(_SAMPLE_HEAD) + _REST)


@lru_cache(4096)
def _copy(size: int, distance: int) -> bytes:
    """Elements that copy ``size`` bytes, at least 4."""
    out = b""
    while size > 64:
        part = 64 if size >= 68 else 60  # what is left is no shorter than 4
        out += bytes((part - 1 << 2 | 2,)) + distance.to_bytes(2, "little")
        size -= part
    if 4 <= size <= 11 and distance < 2048:
        return out + bytes((distance >> 8 << 5 | size - 4 << 2 | 1, distance & 0xFF))
    return out + bytes((size - 1 << 2 | 2,)) + distance.to_bytes(2, "little")


def _six_byte_varints(numbers: Timestamps) -> NDArray[np.void]:
    packed = np.zeros(len(numbers), dtype="<i8")
    for index in range(6):
        seven_bits = numbers >> (7 * index) & 0x7F
        packed |= (seven_bits | (0x80 if index < 5 else 0)) << (8 * index)
    return np.ndarray((len(packed),), "V6", packed, 0, (8,))
