"""Series encoded and compressed ahead of their values, so that a request needs no compressor.

A snappy block is a list of elements: literals, and copies of what stands a given distance before. The messages of some
series are compressed with *marks* as values and time stamps, which no compressor can express by copies. So the marks
are literals, and a request is a copy of the elements with the real ones put in their places. Because distances are
relative and none reaches beyond the first message, such lists may follow each other in one block, in any order.

Nothing depends on how the compressor works: what it made is used only if it decompresses to the right messages with
other marks, too. The marks are such that every byte of them is told from every other by what it is in both.

Source: the snappy format description.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Self

import cramjam
import numpy as np
from numpy.typing import NDArray

from promscout.model.series import Timestamps, Values, encode_varint
from promscout.write.messages import (
    ROOM_SIZE,
    STAMP_SIZE,
    STAMP_TAG,
    VALUE_SIZE,
    Places,
    SeriesMessages,
    encode_stamps,
    put_stamps,
    put_values,
)

MOST_SERIES: Final = 256
"""How many series are packed as one at most: there are as many marks with different first bytes."""

_BLOCK: Final = 1 << 16  # bytes; every compressor begins anew after as many


class _Marks(NamedTuple):
    """What stands for values and time stamps while series are packed: for each series, and for all in common."""

    values: Values
    stamps: NDArray[np.void]
    common: bytes
    series: NDArray[np.intp]
    """By the first byte of a value: which series it is of. All bytes are first ones."""

    @classmethod
    def make(cls, step: int) -> Self:
        """The marks of ``step`` 0, or others that differ from them by an amount that no two bytes of a mark share.

        No two marks have the same byte at the same place, so a copy of what stands before a mark ends there.
        """
        series, byte = np.ogrid[:MOST_SERIES, : VALUE_SIZE + STAMP_SIZE]
        table = (series * (76 * byte + 45) + 29 * byte * byte + 101 + step * (16 * byte + 1)).astype(np.uint8)
        # The start of a copy's element never has 0 in its two lowest bits: bytes in common are told from it.
        common = (np.arange(STAMP_SIZE) * 20 + 0x44 + step * (16 * byte[0, VALUE_SIZE:] + 1)).astype(np.uint8)
        values, stamps = np.split(table, [VALUE_SIZE], axis=1)
        return cls(
            np.ascontiguousarray(values).view(np.float64)[:, 0],
            np.ascontiguousarray(stamps).view(f"V{STAMP_SIZE}")[:, 0],
            common.tobytes(),
            np.argsort(table[:, 0]),
        )

    def put(self, plain: SeriesMessages, *, own_time: bool) -> None:
        """Put them into all messages."""
        count = len(plain.places)
        put_values(plain.message, 0, plain.places, self.values[:count])
        stamps = self.stamps[:count] if own_time else np.frombuffer(self.common, self.stamps.dtype)
        put_stamps(plain.message, 0, plain.places, stamps)

    def places(self, elements: bytes, count: int) -> Places | None:
        """Where the values of the first ``count`` series are; None unless all are, in their order, and no others."""
        first = np.frombuffer(elements, np.uint8, len(elements) - VALUE_SIZE + 1)
        wanted = self.values.view(np.uint64)[self.series][first]
        places = np.flatnonzero(np.ndarray(first.shape, np.uint64, elements, 0, (1,)) == wanted)
        return places if np.array_equal(self.series[first[places]], np.arange(count)) else None


_MARKS: Final = _Marks.make(0)
_OTHER_MARKS: Final = _Marks.make(1)


class PackedSeries:
    """The messages of some series as snappy elements with room for one sample each.

    Either all samples have one time stamp, or with ``own_time`` each its own; all within ``FIRST_TIMESTAMP`` and
    ``LAST_TIMESTAMP``. ``size`` is the size of the messages; ``body`` holds the elements, some 20 bytes for each
    series, and 7 more with its own time.
    """

    __slots__ = ("_places", "_stamps", "body", "size")

    def __init__(self, body: bytes, size: int, places: Places, stamps: Sequence[tuple[int, int]]) -> None:
        self.body = body
        self.size = size
        self._places = places
        self._stamps = stamps
        """Where the common time stamp is in literals, and how many bytes of it: the rest is copied."""

    @classmethod
    def pack(cls, encoded: bytes, edges: NDArray[np.int64], *, own_time: bool) -> Self | None:
        """Series with these label sets, as in ``SeriesMessages``, at most ``MOST_SERIES``.

        None for the very few that cannot be packed: because a label set holds what looks like a mark, or is so large
        that the compressor happens to begin anew where a mark is.
        """
        plain = SeriesMessages(encoded, edges)
        _MARKS.put(plain, own_time=own_time)
        body = _compress(plain)
        places = _MARKS.places(body, len(plain.places))
        if places is None:
            return None
        stamps = () if own_time else _stamp_literals(body, places)
        packed = cls(body, len(plain.message), places, stamps)
        return packed if packed._is_right(plain, own_time=own_time) else None

    @property
    def memory(self) -> int:
        """Bytes of the arrays."""
        return len(self.body) + self._places.nbytes

    def fill(self, out: bytearray, at: int, values: Values, timestamps: int | Timestamps) -> None:
        """Put values and time stamps into the copy of ``body`` that starts at ``at`` of ``out``."""
        put_values(out, at, self._places, values)
        if isinstance(timestamps, int):
            self._put_common(out, at, encode_varint(timestamps))
        else:
            put_stamps(out, at, self._places, encode_stamps(timestamps))

    def _put_common(self, out: bytearray, at: int, stamp: bytes) -> None:
        for place, size in self._stamps:
            out[at + place : at + place + size] = stamp[:size]

    def _is_right(self, plain: SeriesMessages, *, own_time: bool) -> bool:
        """Whether other marks put into ``body`` give the messages of ``plain`` with these."""
        count, body = len(plain.places), bytearray(self.body)
        put_values(body, 0, self._places, _OTHER_MARKS.values[:count])
        if own_time:
            put_stamps(body, 0, self._places, _OTHER_MARKS.stamps[:count])
        else:
            self._put_common(body, 0, _OTHER_MARKS.common)
        _OTHER_MARKS.put(plain, own_time=own_time)
        try:
            message = cramjam.snappy.decompress_raw(encode_varint(self.size) + body)
        except cramjam.DecompressionError:
            return False
        return bytes(message) == plain.message


def _compress(plain: SeriesMessages) -> bytes:
    """The messages as snappy elements, made of as many messages at a time as the compressor sees as one block."""
    ends = plain.places + ROOM_SIZE
    elements: list[bytes] = []
    first = start = 0
    with memoryview(plain.message) as message:
        while first < len(ends):
            first = max(first + 1, int(np.searchsorted(ends, start + _BLOCK, side="right")))
            stop = int(ends[first - 1])
            block = bytes(cramjam.snappy.compress_raw(message[start:stop]))
            elements.append(block[len(encode_varint(stop - start)) :])
            start = stop
    return b"".join(elements)


def _stamp_literals(body: bytes, places: Places) -> list[tuple[int, int]]:
    """Where values are followed by their time stamps, or the first bytes of them, in the same literal."""
    after = places[places + VALUE_SIZE < len(body)] + VALUE_SIZE
    tagged = after[np.frombuffer(body, np.uint8)[after] == STAMP_TAG[0]] + len(STAMP_TAG)
    return [(at, _equal_bytes(body, at)) for at in tagged.tolist()]


def _equal_bytes(body: bytes, at: int) -> int:
    """How much of the common time stamp is at ``at``."""
    size = 0
    while size < STAMP_SIZE and body.startswith(_MARKS.common[: size + 1], at):
        size += 1
    return size
