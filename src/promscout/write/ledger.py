"""What is remembered of the records of one segment, as columns: who waits in it, and what is settled."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promscout.write.record import Rows

_KEPT: Final = ("number", "stream", "count", "kind")
_FIRST_CAPACITY: Final = 256


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

    def waiting(self, rows: range | None = None) -> Iterator[tuple[int, int, int, int]]:
        """Number, stream, number of a kind and count of every unsettled record."""
        rows = range(self._size) if rows is None else rows
        at = np.flatnonzero(~self._settled[rows.start : rows.stop]) + rows.start
        columns = [self._columns[name][at].tolist() for name in ("number", "stream", "kind", "count")]
        return zip(*columns, strict=True)

    def _reserve(self, more: int) -> None:
        if self._size + more <= len(self._settled):
            return
        capacity = max(2 * len(self._settled), self._size + more)
        for name, column in self._columns.items():
            self._columns[name] = np.resize(column, capacity)
        self._settled = np.resize(self._settled, capacity)
