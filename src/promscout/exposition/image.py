"""A text body beside the one before it: same series, so only the values that changed are read.

This is the hot path of scraping. A target's body is nearly always the previous one with other numbers in it. Both are
compared as whole buffers, and what differs is looked at; there is no Python object per line. The plain way to the same
result is to parse the body anew, which every caller falls back to and the tests compare with.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.exposition.columns import canonical
from promscout.exposition.samples import NO_TIMESTAMP, Exposition

_LINE_FEED: Final = 0x0A
_BLANK: Final = 0x20
_HASH: Final = 0x23
_DECODE: Final = msgspec.json.Decoder(list[float | None]).decode
_PLAIN_BYTES: Final = b"0123456789.\n"
_NUMBER_BYTES: Final = _PLAIN_BYTES + b"+-eE"
_LONGEST_TIMESTAMP: Final = 18  # digits that surely fit into 64 bits

_Places = NDArray[np.intp]
_Kept = NDArray[np.int32]  # half the memory of native ones
_LONGEST: Final = (1 << 31) - 2  # bytes of a body whose places they can hold


class TextImage:
    """The last body of one target, and where in it the numbers stand.

    A *tail* is what follows the blank after a series text: a value, possibly a blank and a time stamp. ``update`` reads
    a further body in which nothing but tails differs.
    """

    __slots__ = ("_body", "_ends", "_rows", "_stamped", "_tail_begins", "_tail_ends", "_timestamps", "_values")

    def __init__(self, body: bytes, exposition: Exposition, ends: _Places, rows: _Places, begins: _Places) -> None:
        stamps = exposition.timestamps
        self._body = body
        self._ends: _Kept = ends.astype(np.int32)  # where each line ends
        self._rows: _Kept = rows.astype(np.int32)  # which lines are samples
        self._tail_begins: _Kept = begins.astype(np.int32)
        self._tail_ends: _Kept = self._ends[rows]
        self._values = exposition.values
        self._timestamps = stamps
        self._stamped = None if stamps is None else stamps != NO_TIMESTAMP  # None: none has a time stamp

    @classmethod
    def of(cls, body: bytes, exposition: Exposition) -> TextImage | None:
        """The image of ``body``, which ``exposition`` was read from; None where lines are written in unusual ways."""
        if exposition.exemplars or exposition.histograms is not None or not exposition.keys or len(body) > _LONGEST:
            return None
        if exposition.in_seconds and exposition.timestamps is not None:
            return None  # an update takes time stamps for milliseconds
        body = _with_last_line_feed(body)
        ends = _line_ends(body)
        starts = _starts(ends)
        data = np.frombuffer(body, np.uint8)
        full = np.flatnonzero(ends > starts)
        rows = full[data[starts[full]] != _HASH]
        keys = exposition.keys
        if len(rows) != len(keys):
            return None
        heads = np.fromiter(map(len, keys), np.intp, len(keys)) + 1
        begins = starts[rows]
        tails = ends[rows] - begins - heads
        if tails.min() < 1 or _joined_keys(keys) != _gather(data, begins, heads):
            return None
        stamps = exposition.timestamps
        blanks = np.count_nonzero(_gathered(data, begins + heads, tails) == _BLANK)
        if blanks != (0 if stamps is None else np.count_nonzero(stamps != NO_TIMESTAMP)):
            return None
        return cls(body, exposition, ends, rows, begins + heads)

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def body(self) -> bytes:
        """The last body, with a line feed at its end."""
        return self._body

    @property
    def values(self) -> NDArray[np.float64]:
        """The values of the last body. Another array after each update that changed one."""
        return self._values

    @property
    def timestamps(self) -> NDArray[np.int64] | None:
        """The time stamps of the last body, as in :class:`Exposition`."""
        return self._timestamps

    def keys(self) -> list[bytes]:
        """The series texts of the body, made at each call."""
        body, begins, stops = self._body, _starts(self._ends.astype(np.intp))[self._rows], self._tail_begins - 1
        return [body[start:stop] for start, stop in zip(begins.tolist(), stops.tolist(), strict=True)]

    def update(self, body: bytes) -> bool:
        """Take ``body`` as the last one if it is the one before with other numbers.

        False, and nothing changes, where it is not, or where its numbers are written in unusual ways.
        """
        if len(body) > _LONGEST:
            return False
        body = _with_last_line_feed(body)
        if body == self._body:
            return True
        ends, begins, tail_ends = self._ends, self._tail_begins, self._tail_ends
        changed = self._changed_in_place(body) if len(body) == len(self._body) else None
        if changed is None:  # also where as many bytes are gone as there are new ones
            ends = _line_ends(body).astype(np.int32)
            if len(ends) != len(self._ends):
                return False
            ends_moved = ends - self._ends
            starts_moved = np.empty_like(ends_moved)
            starts_moved[0] = 0
            starts_moved[1:] = ends_moved[:-1]
            begins = begins + starts_moved[self._rows]
            tail_ends = ends[self._rows]
            changed = self._changed(body, (ends_moved != starts_moved).nonzero()[0], begins, tail_ends)
            if changed is None:
                return False
        begins_changed = begins[changed].astype(np.intp)
        text = _gather(np.frombuffer(body, np.uint8), begins_changed, tail_ends[changed] - begins_changed + 1)
        if not self._read(text, changed, None if self._stamped is None else self._stamped[changed]):
            return False
        self._body, self._ends, self._tail_begins, self._tail_ends = body, ends, begins, tail_ends
        return True

    def _changed_in_place(self, body: bytes) -> _Places | None:
        """The samples whose tails differ, if every line is where it was; None if something else differs, too."""
        before = np.frombuffer(self._body, np.uint8)
        places: _Places = (before != np.frombuffer(body, np.uint8)).nonzero()[0]
        if not len(places):
            return places
        ends = self._tail_ends
        samples = ends.searchsorted(places)
        if samples[-1] == len(ends) or (ends[samples] == places).any():
            return None  # what follows the last sample differs, or a line feed became something else
        firsts = _firsts(samples)
        changed: _Places = samples[firsts]
        # The first difference decides: all others of the line come after it. What lies before the line is a comment.
        return None if (places[firsts] < self._tail_begins[changed]).any() else changed

    def _changed(self, body: bytes, lines: _Places, begins: _Kept, tail_ends: _Kept) -> _Places | None:
        """The samples whose tails differ, where ``lines`` have another length; None if something else differs, too.

        ``begins`` and ``tail_ends`` are where tails are, if series texts are as long as before.
        """
        resized = self._rows.searchsorted(lines)
        if not len(lines) or resized[-1] == len(self._rows) or (self._rows[resized] != lines).any():
            return None  # a comment has another length
        places = begins[resized], tail_ends[resized]
        if (places[0] >= places[1]).any():
            return None
        aligned = self._aligned(body, places, (self._tail_begins[resized], self._tail_ends[resized]))
        changed = self._changed_in_place(aligned)
        return None if changed is None else np.concatenate((changed, resized))  # no sample is in both

    def _aligned(self, body: bytes, new: tuple[_Kept, _Kept], old: tuple[_Kept, _Kept]) -> bytes:
        """``body`` with the old tails in place of the ``new`` ones, so that every line is where it was."""
        pieces: list[bytes] = []
        at = 0
        for begin, end, old_begin, old_end in zip(*(places.tolist() for places in (*new, *old)), strict=True):
            pieces += (body[at:begin], self._body[old_begin:old_end])
            at = end
        return b"".join((*pieces, body[at:]))

    def _read(self, text: bytes, changed: _Places, stamped: NDArray[np.bool_] | None) -> bool:
        """Read ``text``, the tails of the samples ``changed`` with a line feed after each."""
        timestamps = self._timestamps
        if stamped is not None and stamped.any():
            split = _split_stamps(text, stamped)
            if split is None:
                return False
            text, stamps = split
            timestamps = self._timestamps.copy()  # type: ignore[union-attr]  # there are some
            timestamps[changed[stamped]] = stamps
        numbers = _numbers(text, len(changed))
        if numbers is None:
            return False
        values = self._values.copy()
        # As integers, because a float's copy may lose the bits of a NaN.
        values.view(np.uint64)[changed] = numbers.view(np.uint64)
        self._values, self._timestamps = values, timestamps
        return True


def _with_last_line_feed(body: bytes) -> bytes:
    return body if body.endswith(b"\n") else body + b"\n"


def _line_ends(body: bytes) -> _Places:
    """Where the lines of ``body`` end."""
    ends: _Places = (np.frombuffer(body, np.uint8) == _LINE_FEED).nonzero()[0]
    return ends


def _starts(ends: _Places) -> _Places:
    """Where lines start."""
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1] + 1
    return starts


def _firsts(numbers: _Places) -> NDArray[np.bool_]:
    """Which of the rising ``numbers`` differ from the one before."""
    firsts = np.empty(len(numbers), np.bool_)
    firsts[:1] = True
    np.not_equal(numbers[1:], numbers[:-1], out=firsts[1:])
    return firsts


def _gathered(data: NDArray[np.uint8], begins: _Places, sizes: _Places) -> NDArray[np.uint8]:
    shifts = begins.copy()
    shifts[1:] -= sizes.cumsum()[:-1]
    places = shifts.repeat(sizes)
    places += np.arange(len(places))
    return data[places]


def _gather(data: NDArray[np.uint8], begins: _Places, sizes: _Places) -> bytes:
    """The bytes from each of ``begins`` on, ``sizes`` of them."""
    return _gathered(data, begins, sizes).tobytes()


def _joined_keys(keys: list[bytes]) -> bytes:
    return b" ".join(keys) + b" "


def _split_stamps(text: bytes, stamped: NDArray[np.bool_]) -> tuple[bytes, list[int]] | None:
    """Values only, and the time stamps; None where a tail is anything but a value, one blank and digits."""
    values, stamps = [], []
    tails = text.split(b"\n")
    if len(tails) != len(stamped) + 1:
        return None
    for tail, has_stamp in zip(tails, [*stamped.tolist(), False], strict=True):
        value, blank, digits = tail.partition(b" ")
        if bool(blank) is not has_stamp or (blank and not (digits.isdigit() and len(digits) <= _LONGEST_TIMESTAMP)):
            return None
        values.append(value)
        if blank:
            stamps.append(int(digits))
    return b"\n".join(values), stamps


def _numbers(text: bytes, count: int) -> NDArray[np.float64] | None:
    """The ``count`` numbers of ``text``, one in each line; None where one is not written like in JSON, or as NaN."""
    listed = b"[" + text[:-1].replace(b"\n", b",") + b"]"
    has_nan = False
    if text.translate(None, _PLAIN_BYTES):  # anything but digits and points
        has_nan = b"NaN" in listed
        if has_nan:
            listed = listed.replace(b"NaN", b"null")
            text = text.replace(b"NaN", b"")
        # JSON would allow blanks, and makes 0 of -0.
        if b"-0," in listed or b"-0]" in listed or text.translate(None, _NUMBER_BYTES):
            return None
    try:
        numbers = _DECODE(listed)
    except msgspec.MsgspecError:
        return None
    if len(numbers) != count:
        return None
    array = np.array(numbers, dtype=np.float64)
    return canonical(array) if has_nan else array
