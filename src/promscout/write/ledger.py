"""What is remembered of the records of one segment, as columns: who waits in it, and what is settled."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.write.record import KINDS, Rows
from promscout.write.status import Kind

_KEPT: Final = ("number", "stream", "count", "kind")
_FIRST_CAPACITY: Final = 256


Indices: TypeAlias = NDArray[np.intp]


class Counts(msgspec.Struct, frozen=True):
    """Records by stream, and the samples, histograms and exemplars in them."""

    streams: dict[int, int] = {}
    kinds: dict[Kind, int] = {}


class Ledger:
    """Records of one segment in order of their numbers, each settled or not; 22 bytes a record.

    Records whose number is not higher than the last one's before count as settled from the start: they are there twice.
    """

    def __init__(self, after: int) -> None:
        self._after = after
        self._size = 0
        self._columns = {
            name: np.empty(_FIRST_CAPACITY, kind) for name, kind in zip(_KEPT, ("i8", "u8", "u4", "u1"), strict=True)
        }
        self._settled = np.empty(_FIRST_CAPACITY, dtype=np.bool_)
        self._frames = array("q")  # where each begins in the file
        self._first_rows = array("q")  # of each frame
        self.unsettled = 0
        self.oldest_ms: int | None = None
        """When the first record came."""
        self.newest_ms = 0
        """When the last one came."""

    def __len__(self) -> int:
        return self._size

    @property
    def last(self) -> int:
        """The highest number so far, here or before."""
        return self._after

    @property
    def frames(self) -> array[int]:
        """Where each frame begins in the file."""
        return self._frames

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Of all records."""
        return self._columns["number"][: self._size]

    @property
    def settled(self) -> NDArray[np.bool_]:
        """Of all records; to be changed by ``settle`` only."""
        return self._settled[: self._size]

    def add(self, offset: int, rows: Rows, settled: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """A frame was written or found at ``offset``, with these records, some of which may be settled; which are."""
        self._reserve(len(rows))
        start, stop = self._size, self._size + len(rows)
        for name, column in self._columns.items():
            column[start:stop] = rows[name]
        numbers = self._columns["number"][start:stop]
        done = numbers <= self._after
        if settled is not None:
            done |= settled
        self._settled[start:stop] = done
        self._size = stop
        self.unsettled += len(rows) - int(np.count_nonzero(done))
        self._frames.append(offset)
        self._first_rows.append(start)
        self._after = max(self._after, int(numbers[-1]))
        self.newest_ms = max(self.newest_ms, int(rows["since"].max()))
        if self.oldest_ms is None:
            self.oldest_ms = int(rows["since"][0])
        return done

    def settle(self, numbers: NDArray[np.int64]) -> None:
        """Settle what is here of ``numbers``."""
        rows = np.searchsorted(self.numbers, numbers)
        inside = rows < self._size
        rows = rows[inside]
        rows = np.unique(rows[self.numbers[rows] == numbers[inside]])
        self.unsettled -= int(np.count_nonzero(~self._settled[rows]))
        self._settled[rows] = True

    def settled_ranges(self) -> NDArray[np.int64]:
        """First and last number of every run of settled records, one after the other."""
        edges = np.diff(self.settled, prepend=False, append=False)
        at = np.flatnonzero(edges)
        at[1::2] -= 1
        return self.numbers[at]

    def next_row(self, after: int) -> int | None:
        """The first unsettled record with a number above ``after``."""
        start = int(np.searchsorted(self.numbers, after, side="right"))
        waiting = ~self.settled[start:]
        if not len(waiting):
            return None
        found = int(np.argmax(waiting))
        return start + found if waiting[found] else None

    def frame_of(self, row: int) -> int:
        """The frame that has the record."""
        return bisect_right(self._first_rows, row) - 1

    def rows_of(self, frame: int) -> range:
        """The records of a frame."""
        is_last = frame + 1 == len(self._first_rows)
        return range(self._first_rows[frame], self._size if is_last else self._first_rows[frame + 1])

    def waiting(self, rows: range | None = None) -> Indices:
        """The unsettled ones of some neighbouring records, or of all."""
        rows = range(self._size) if rows is None else rows
        return np.flatnonzero(~self._settled[rows.start : rows.stop]) + rows.start

    def numbers_of(self, at: Indices) -> list[int]:
        """The numbers of some records."""
        numbers: list[int] = self._columns["number"][at].tolist()
        return numbers

    def count(self, at: Indices, tally: Counts) -> None:
        """Add some records to ``tally``."""
        streams, records = np.unique(self._columns["stream"][at], return_counts=True)
        for stream, number in zip(streams.tolist(), records.tolist(), strict=True):
            tally.streams[stream] = tally.streams.get(stream, 0) + number
        kinds, counts = self._columns["kind"][at], self._columns["count"][at]
        for kind in np.unique(kinds).tolist():
            name = KINDS[kind]
            tally.kinds[name] = tally.kinds.get(name, 0) + int(counts[kinds == kind].sum(dtype=np.int64))

    def shrink(self) -> None:
        """Give back the room for more records."""
        self._resize(self._size)

    def _reserve(self, more: int) -> None:
        if self._size + more > len(self._settled):
            self._resize(max(2 * len(self._settled), self._size + more))

    def _resize(self, capacity: int) -> None:
        for name, column in self._columns.items():
            self._columns[name] = np.resize(column, capacity)
        self._settled = np.resize(self._settled, capacity)
