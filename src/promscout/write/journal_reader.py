"""Reads the segments of a journal, and accounts for what cannot be read."""

from __future__ import annotations

import errno
import os
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.write.ledger import Counts, Ledger
from promscout.write.record import DamagedError, KnownTemplates, Record
from promscout.write.segment import Extent, SegmentFile
from promscout.write.settled import Settled

_TRANSIENT: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOMEM))
"""Errors of the process, not of the file: what cannot be read because of one is not lost."""


class Segment(msgspec.Struct, eq=False):
    """A segment of a journal. ``size`` is in bytes."""

    path: Path
    ledger: Ledger
    size: int


class _Decoded(NamedTuple):
    path: Path
    offset: int
    records: Mapping[int, Record]


class JournalReader:
    """Reads segments; has one file open at a time, and the records of one frame."""

    def __init__(self, templates: KnownTemplates) -> None:
        self._templates = templates
        self._file: SegmentFile | None = None
        self._decoded: _Decoded | None = None
        self._extents: list[Extent] = []
        self._reported: set[Extent] = set()
        self._lost: list[tuple[Ledger, NDArray[np.intp]]] = []

    def scan(self, path: Path, last: int, settled: Settled) -> tuple[Segment | None, int | None]:
        """A segment as found, and when its oldest unsettled record came; None where nothing of it can be read.

        ``last`` is the highest number before it. A damaged end is cut off, and what is nothing else removed.

        Raises:
            OSError: when files cannot be opened at present.
        """
        ledger, oldest = Ledger(last), None
        try:
            with SegmentFile(path, self._templates) as file:
                for found in file.scan():
                    done = ledger.add(found.offset, found.rows, settled.covers(found.rows["number"]))
                    since = found.rows["since"][~done]
                    if len(since):
                        oldest = int(since.min() if oldest is None else min(oldest, since.min()))
                size = file.size
        except OSError as error:
            if error.errno in _TRANSIENT:
                raise
            self.report([Extent(path, 0, 0, reason(error))])
            return None, None
        self.report(file.damage)
        is_torn = bool(file.damage) and file.damage[-1].stop == size
        with suppress(OSError):
            if not len(ledger):
                path.unlink()
            elif is_torn:
                os.truncate(path, file.damage[-1].start)
                size = file.damage[-1].start
        ledger.shrink()
        return (Segment(path, ledger, size) if len(ledger) else None), oldest

    def records(self, segment: Segment, rows: range) -> Mapping[int, Record]:
        """The records of a frame, which has these rows, by their numbers; what cannot be read is lost.

        Raises:
            OSError: when files cannot be opened at present; nothing is lost then.
        """
        ledger = segment.ledger
        offset = ledger.frames[ledger.frame_of(rows.start)]
        if self._decoded is not None and self._decoded[:2] == (segment.path, offset):
            return self._decoded.records
        found: list[Record | None] = []
        try:
            found = self._opened(segment.path).frame(offset, ledger.frames)
        except OSError as error:
            if error.errno in _TRANSIENT:
                raise
            self.lose_all(segment, reason(error))
            return {}
        except DamagedError:
            pass
        self.report(self._file.damage if self._file is not None else ())
        records = {record.number: record for record in found if record is not None}
        numbers = ledger.numbers[rows.start : rows.stop]
        self._lose(ledger, rows, numbers[[number not in records for number in numbers.tolist()]])
        self._decoded = _Decoded(segment.path, offset, records)
        return records

    def forget_frame(self) -> None:
        """Let the records go that were read last."""
        self._decoded = None

    def close(self, path: Path | None = None) -> None:
        """Close the file that is open, or only this one."""
        if self._file is not None and path in (None, self._file.path):
            self._file.close()
            self._file = self._decoded = None

    def lose_all(self, segment: Segment, why: str) -> None:
        """Nothing of the segment can be read any more."""
        if segment.ledger.unsettled:
            self.report([Extent(segment.path, 0, segment.size, why)])
            self._lose(segment.ledger, range(len(segment.ledger)), segment.ledger.numbers)

    def report(self, extents: Iterable[Extent]) -> None:
        """Remember what was skipped, each place once."""
        for extent in extents:
            if extent not in self._reported:
                self._reported.add(extent)
                self._extents.append(extent)

    def damage(self, held: Container[int]) -> tuple[list[Extent], Counts]:
        """What was skipped and lost since the last call; records in ``held`` are not lost."""
        extents, self._extents = self._extents, []
        lost, counts = self._lost, Counts()
        self._lost = []
        for ledger, at in lost:
            is_lost = [number not in held for number in ledger.numbers_of(at)]
            ledger.count(at[np.array(is_lost, dtype=np.bool_)], counts)
        return extents, counts

    def _opened(self, path: Path) -> SegmentFile:
        if self._file is None or self._file.path != path:
            self.close()
            self._file = SegmentFile(path, self._templates)
        return self._file

    def _lose(self, ledger: Ledger, rows: range, numbers: NDArray[np.int64]) -> None:
        """These records will never be read: they are settled, and counted if they were not."""
        if len(numbers):
            at = ledger.waiting(rows)
            self._lost.append((ledger, at[np.isin(ledger.numbers[at], numbers)]))
            ledger.settle(numbers)


def reason(error: OSError) -> str:
    """Why, without the path."""
    return error.strerror or str(error)
