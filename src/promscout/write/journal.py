"""What of a queue is on disk: records in segments, and which of them are settled."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np

from promscout.write.frame import in_frames
from promscout.write.journal_reader import JournalReader, Segment, reason
from promscout.write.ledger import Counts, Ledger
from promscout.write.record import KnownTemplates, Record, Rows
from promscout.write.segment import SUFFIX, Extent, SegmentWriter
from promscout.write.settled import NOTHING, Settled, SettledFile, sync_directory
from promscout.write.status import Kind


class Backlog(msgspec.Struct, frozen=True):
    """What waits in a journal that was opened."""

    records: int
    streams: dict[int, int]
    """Stream → records that wait."""
    kinds: dict[Kind, int]
    """Samples, histograms and exemplars that wait."""
    next_number: int
    """Higher than every number that the journal has or had."""
    oldest_ms: int | None
    """When the oldest record came that waits."""


Lost: TypeAlias = Counts
"""What is gone for good without having been settled."""


class Journal:
    """Records that survive the process, in order of their numbers, until they are settled.

    What ``append`` was given is on disk when it returns, and is read again, by this process or the next one, until it
    is settled, trimmed or damaged. What is settled is not read again by this process, and after ``commit`` not by the
    next one. Damaged bytes cost the records in them, and those whose template was in them, no others.

    All methods block, and one thread at a time may use the journal. In memory it has some 22 bytes a record.
    """

    def __init__(self, directory: Path, *, segment_bytes: int = 16 << 20) -> None:
        self.directory = directory
        self._segment_bytes = segment_bytes
        self._templates = KnownTemplates()
        self._segments: list[Segment] = []
        self._writer: SegmentWriter | None = None
        self._reader = JournalReader(self._templates)
        self._settled = SettledFile(directory)
        self._sequence = 0
        self._last = 0

    def open(self) -> tuple[Backlog, list[Extent]]:
        """Make the directory if it is missing and look at what is in it; what waits, and what was skipped.

        Of the contents no error comes: what is damaged is skipped. A damaged end of a segment is cut off.

        Raises:
            OSError: when the directory cannot be made or listed.
        """
        self.close()
        self._segments.clear()
        self._reader = JournalReader(self._templates)
        self._make_directory()
        paths = sorted(path for path in self.directory.iterdir() if path.suffix == SUFFIX and path.stem.isdecimal())
        self._sequence = int(paths[-1].stem) if paths else 0
        settled = self._read_settled()
        oldest = None
        last = 0
        for path in paths:
            segment, since = self._reader.scan(path, last, settled)
            if segment is not None:
                self._segments.append(segment)
                last = segment.ledger.last
                oldest = oldest if since is None else since if oldest is None else min(oldest, since)
        self._last = max(settled.high, last)
        waiting = Counts()
        for segment in self._segments:
            segment.ledger.count(segment.ledger.waiting(), waiting)
        records = sum(segment.ledger.unsettled for segment in self._segments)
        return Backlog(records, waiting.streams, waiting.kinds, self._last + 1, oldest), self.damage()[0]

    def append(self, records: Sequence[Record]) -> None:
        """Write records, whose numbers ascend and are higher than all before; they are on disk when this returns.

        A directory or a segment that has been removed is made anew; what was in it is ``damage``.

        Raises:
            ValueError: when numbers do not ascend.
            OSError: when it cannot be done; the journal is as before, and the same call may be made again.
        """
        if not records:
            return
        numbers = [self._last, *(record.number for record in records)]
        if any(one >= other for one, other in pairwise(numbers)):
            raise ValueError("numbers of records ascend")
        self._look_for_writer()
        opened: list[SegmentWriter] = []
        written: list[tuple[SegmentWriter, int, Rows]] = []
        writer = self._writer
        try:
            for part in in_frames(records):
                if writer is None or writer.is_full(self._segment_bytes):
                    writer = self._new_writer()
                    opened.append(writer)
                written.append((writer, *writer.write(part)))
            for one in dict.fromkeys(writer for writer, *_ in written):
                one.sync()
            if opened:
                sync_directory(self.directory)
        except BaseException:
            self._undo(opened)
            raise
        self._accept(written, opened)

    def settle(self, numbers: Iterable[int]) -> None:
        """These records need not be read again; those that are not in the journal are ignored."""
        array = np.unique(np.fromiter(numbers, dtype=np.int64))
        if len(array):
            for segment in self._segments:
                segment.ledger.settle(array)

    def commit(self) -> None:
        """Make durable what is settled, and remove segments in which everything is.

        Raises:
            OSError: when that cannot be done; what was not done is done at the next call.
        """
        spent = [segment for segment in self._segments if not segment.ledger.unsettled]
        if len(spent) < len(self._segments):
            # The one that is written stays for what comes next, while there are others.
            spent = [segment for segment in spent if self._writer is None or segment.path != self._writer.path]
        for segment in spent:
            self._remove(segment)
        ranges = [segment.ledger.settled_ranges() for segment in self._segments]
        self._make_directory()
        self._settled.write(Settled(self._last, np.concatenate(ranges) if ranges else NOTHING.ranges))

    def read(self, after: int, held: Container[int], max_bytes: int) -> tuple[list[Record], int]:
        """Unsettled records with a number above ``after`` that are not in ``held``, oldest first.

        They take about ``max_bytes`` of memory; it is at least one if there is one. The number is that up to which
        the journal has been looked through. What cannot be read is skipped and is ``damage``.

        Raises:
            OSError: when files cannot be opened at present, because there are too many; nothing is skipped then.
        """
        found: list[Record] = []
        room = max_bytes
        for segment in list(self._segments):
            ledger = segment.ledger
            while (row := ledger.next_row(after)) is not None:
                frame = ledger.rows_of(ledger.frame_of(row))
                wanted = ledger.waiting(range(row, frame.stop))
                numbers = [number for number in ledger.numbers_of(wanted) if number not in held]
                records = self._reader.records(segment, frame) if numbers else {}
                for number in numbers:
                    record = records.get(number)
                    if record is None:
                        continue
                    found.append(record)
                    room -= record.portion.memory
                    if room <= 0:
                        return found, number
                after = int(ledger.numbers[frame.stop - 1])
                self._reader.forget_frame()
        if not found:
            self._reader.close()
        return found, max(after, self._last)

    def trim(self, max_bytes: int, oldest_ms: int, held: Container[int]) -> Lost:
        """Remove the oldest segments while all have more than ``max_bytes``, and those that are older than allowed.

        A segment is as old as its newest record. What is lost is what was not settled and is not in ``held``.

        Raises:
            OSError: when a segment cannot be removed; it stays, and nothing was lost.
        """
        lost = Lost()
        for segment in list(self._segments):
            if self.bytes <= max_bytes and segment.ledger.newest_ms >= oldest_ms:
                continue
            try:
                self._remove(segment)
            except OSError:
                if lost.streams:
                    break
                raise
            at = segment.ledger.waiting()
            is_lost = [number not in held for number in segment.ledger.numbers_of(at)]
            segment.ledger.count(at[np.array(is_lost, dtype=np.bool_)], lost)
        return lost

    def damage(self, held: Container[int] = ()) -> tuple[list[Extent], Lost]:
        """What was skipped since the last call, and the unsettled records that were in it, as far as they are known.

        Those in ``held`` are somewhere else, too, and do not count.
        """
        return self._reader.damage(held)

    def rotate(self) -> None:
        """Write the next records to a new segment."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def closed(self) -> list[Path]:
        """The segments that are not written any more, oldest first. ``SegmentFile.records`` reads one."""
        active = self._writer and self._writer.path
        return [segment.path for segment in self._segments if segment.path != active]

    def remove(self, path: Path) -> None:
        """Remove a segment with all that is in it.

        Raises:
            OSError: when that cannot be done.
        """
        for segment in [segment for segment in self._segments if segment.path == path]:
            self._remove(segment)

    @property
    def bytes(self) -> int:
        """Of all segments."""
        return sum(segment.size for segment in self._segments)

    @property
    def segments(self) -> int:
        """How many there are."""
        return len(self._segments)

    def close(self) -> None:
        """Close all files. What is settled since the last ``commit`` is forgotten."""
        self.rotate()
        self._reader.close()

    def _make_directory(self) -> None:
        if not self.directory.is_dir():
            self.directory.mkdir(parents=True, exist_ok=True)
            sync_directory(self.directory.parent)

    def _read_settled(self) -> Settled:
        try:
            settled, skipped = self._settled.read()
        except OSError as error:
            self._reader.report([Extent(self._settled.path, 0, 0, reason(error))])
            return NOTHING
        if skipped:
            self._reader.report([Extent(self._settled.path, 0, skipped, "checksum")])
        return settled

    def _look_for_writer(self) -> None:
        """Notice when files were removed, and forget what was in them."""
        if self._writer is None or self._writer.is_there():
            return
        self.rotate()
        for segment in self._segments:
            if not segment.path.exists():
                self._reader.lose_all(segment, "removed")

    def _new_writer(self) -> SegmentWriter:
        self._make_directory()
        self._sequence += 1
        return SegmentWriter(self.directory / f"{self._sequence:08}{SUFFIX}", self._templates)

    def _undo(self, opened: Sequence[SegmentWriter]) -> None:
        """Nothing was appended: what is written begins a new segment, whatever became of the bytes in this one."""
        for writer in opened:
            writer.discard()
        if self._writer is not None:
            self._writer.cut(self._segments[-1].size)
            self._writer = None

    def _accept(self, written: Sequence[tuple[SegmentWriter, int, Rows]], opened: Sequence[SegmentWriter]) -> None:
        for writer, offset, rows in written:
            if not self._segments or self._segments[-1].path != writer.path:
                self._segments.append(Segment(writer.path, Ledger(self._last), 0))
            segment = self._segments[-1]
            segment.ledger.add(offset, rows)
            segment.size = writer.size
            self._last = segment.ledger.last
        for writer in opened:
            self.rotate()
            self._writer = writer

    def _remove(self, segment: Segment) -> None:
        segment.path.unlink(missing_ok=True)
        self._segments.remove(segment)
        if self._writer is not None and self._writer.path == segment.path:
            self.rotate()
        self._reader.close(segment.path)
