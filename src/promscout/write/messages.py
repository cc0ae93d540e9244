"""Series as ``timeseries`` fields of a remote write 1.0 request, not compressed, without an object for each sample.

Source: prometheus v3.x prompb/remote.proto WriteRequest, prompb/types.proto TimeSeries, Sample.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promscout.model.series import Timestamps, Values, encode_varint

FIRST_TIMESTAMP: Final = 1 << 35
LAST_TIMESTAMP: Final = (1 << 42) - 1
"""Milliseconds whose varint takes ``STAMP_SIZE`` bytes, as in all messages here: February 1971 to May 2109."""

VALUE_SIZE: Final = 8
STAMP_SIZE: Final = 6
STAMP_TAG: Final = b"\x10"  # timestamp: field 2, a varint
ROOM_SIZE: Final = VALUE_SIZE + len(STAMP_TAG) + STAMP_SIZE
"""Bytes of a message from the value on."""

_SAMPLE_HEAD: Final = b"\x12\x10\x09"  # of a sample: field 2, 16 bytes; value: field 1, 8 bytes
_SAMPLE_SIZE: Final = len(_SAMPLE_HEAD) + ROOM_SIZE
# Sizes of a message at which its varint takes one more byte.
_LONGER_VARINT: Final = np.array([1 << 7, 1 << 14, 1 << 21, 1 << 28])

Places = NDArray[np.intp]
"""Where values start. Native integers: numpy converts all others at each use."""


class SeriesMessages:
    """The messages of some series, at least one, each with room for one sample.

    Series ``i`` has the label set ``encoded[edges[i]:edges[i + 1]]``. ``message`` holds all messages; their values are
    zero, their time stamps ``stamp``, a varint of ``STAMP_SIZE`` bytes. The value of series ``i`` starts at
    ``places[i]``, its time stamp after that and a tag.
    """

    __slots__ = ("message", "places")

    def __init__(self, encoded: bytes, edges: NDArray[np.int64], stamp: bytes = bytes(STAMP_SIZE)) -> None:
        sizes = np.diff(edges)
        room = _SAMPLE_HEAD + bytes(VALUE_SIZE) + STAMP_TAG + stamp
        numbers = sizes.tolist()
        # Before each label set stands what ends the message before it, and what starts its own: few different texts.
        between = {size: room + _head(size) for size in set(numbers)}
        pieces = [room] * (2 * len(numbers) + 1)
        pieces[0:-1:2] = [between[size] for size in numbers]
        pieces[1::2] = [encoded[start:end] for start, end in pairwise(edges.tolist())]
        pieces[0] = _head(numbers[0])
        self.message = bytearray().join(pieces)
        sizes += _SAMPLE_SIZE
        self.places: Places = np.cumsum(sizes + np.searchsorted(_LONGER_VARINT, sizes, side="right") + 2) - ROOM_SIZE


@lru_cache(1024)
def _head(labels: int) -> bytes:
    """What a message with so many bytes of labels starts with."""
    return b"\x0a" + encode_varint(labels + _SAMPLE_SIZE)


def put_values(out: bytearray, at: int, places: Places, values: Values) -> None:
    """Put ``values`` into ``out``, where ``places`` are counted from ``at``."""
    # A view in which entry i is the field that starts at byte i: overlapping, so a place is an index.
    fields = (len(out) - at - VALUE_SIZE + 1,)
    # As integers, because a float's copy may lose the bits of a NaN.
    np.ndarray(fields, "<u8", out, at, (1,))[places] = values.view(np.uint64)


def put_stamps(out: bytearray, at: int, places: Places, stamps: NDArray[np.void]) -> None:
    """Put encoded time stamps into ``out``, behind the values at ``places``, which are counted from ``at``."""
    at += VALUE_SIZE + len(STAMP_TAG)
    np.ndarray((len(out) - at - STAMP_SIZE + 1,), stamps.dtype, out, at, (1,))[places] = stamps


def encode_stamps(timestamps: Timestamps) -> NDArray[np.void]:
    """The varints of ``timestamps``, which are between 0 and ``LAST_TIMESTAMP``, with ``STAMP_SIZE`` bytes each.

    Those below ``FIRST_TIMESTAMP`` have padding, which decoders take.
    """
    septets = timestamps.astype("<u8", copy=False)[:, None] >> np.arange(0, 7 * STAMP_SIZE, 7, dtype="<u8")
    encoded = (septets & 0x7F).astype(np.uint8)
    encoded[:, :-1] |= 0x80
    return encoded.view(f"V{STAMP_SIZE}")[:, 0]
