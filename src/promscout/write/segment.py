"""Segments: files of frames, written once from their beginning, each readable without the others."""

from __future__ import annotations

import os
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

import msgspec
import numpy as np

from promscout.write.frame import (
    FRAME_RECORDS,
    HEADER_BYTES,
    MAGIC,
    Encoder,
    Header,
    Slot,
    decode_data,
    decode_definitions,
    decode_index,
    parse_header,
)
from promscout.write.record import DamagedError, KnownTemplates, Record, Rows

SUFFIX: Final = ".segment"
_WINDOW: Final = 1 << 16  # bytes that are read to find a header; most indexes are in it, too


class Extent(msgspec.Struct, frozen=True):
    """Bytes of a segment that were skipped, from ``start`` up to, not including, ``stop``, and why."""

    path: Path
    start: int
    stop: int
    reason: str


class Found(NamedTuple):
    """A frame whose header and index are whole."""

    offset: int
    header: Header
    rows: Rows


class SegmentFile:
    """A segment that is read; in a context, or closed with ``close``.

    Raises:
        OSError: when the file cannot be opened; the methods, when it cannot be read.
    """

    def __init__(self, path: Path, templates: KnownTemplates) -> None:
        self.path = path
        self.damage: list[Extent] = []
        """What was skipped so far."""
        self._templates = templates
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._slots: list[Slot | None] = []
        self._defined_to = 0  # all frames that begin before have been looked through for templates

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return os.fstat(self._file).st_size

    def scan(self) -> Iterator[Found]:
        """All frames in their order, read as far as their indexes; what is damaged is in ``damage`` in the end.

        Numbers of records ascend: a frame that goes back counts as damaged.
        """
        size, at, last, bad_from, reason = self.size, 0, None, None, ""
        while at < size:
            window = os.pread(self._file, _WINDOW, at)
            header = parse_header(window)
            if header is None or not 0 < header.records <= FRAME_RECORDS or at + header.size > size:
                if bad_from is None:
                    bad_from, reason = at, "no frame" if header is None else "incomplete frame"
                at = self._next_magic(at + 1, size)
                continue
            if bad_from is not None:
                self._skip(bad_from, at, reason)
                bad_from = None
            try:
                rows = self._index(at, header, window)
                numbers = rows["number"]
                if np.any(numbers[1:] <= numbers[:-1]) or (last is not None and numbers[0] <= last):
                    raise DamagedError("numbers do not ascend")
            except DamagedError as error:
                self._skip(at, at + header.size, str(error))
            else:
                last = numbers[-1]
                yield Found(at, header, rows)
            at += header.size
        if bad_from is not None:
            self._skip(bad_from, size, reason)

    def records(self) -> Iterator[Record]:
        """All records that can be read, in order; what cannot is in ``damage`` in the end."""
        for found in self.scan():
            self._define(found.offset, found.header)
            try:
                records = self._decode(found)
            except DamagedError:
                continue
            yield from (record for record in records if record is not None)

    def frame(self, offset: int, frames: array[int]) -> list[Record | None]:
        """The records of the frame at ``offset``; None for one whose template was in a damaged frame.

        ``frames`` are the offsets of all frames, of those at least that are not later.

        Raises:
            DamagedError: when the frame is damaged; ``damage`` says where.
        """
        for earlier in frames[bisect_left(frames, self._defined_to) : bisect_left(frames, offset)]:
            with suppress(DamagedError):
                self._define(earlier, self._header(earlier))
        header = self._header(offset)
        self._define(offset, header)
        try:
            rows = self._index(offset, header, b"")
        except DamagedError as error:
            self._skip(offset, offset + header.size, str(error))
            raise
        return self._decode(Found(offset, header, rows))

    def _define(self, offset: int, header: Header) -> None:
        """Learn the templates that a frame defines."""
        if offset < self._defined_to:
            return
        self._defined_to = offset + header.size
        if not header.definitions_size:
            return
        start = offset + header.definitions_at
        data = os.pread(self._file, header.definitions_size + header.bases_size, start)
        try:
            slots = decode_definitions(header, data, self._templates)
        except DamagedError as error:
            self._skip(start, offset + header.data_at, str(error))
        else:
            self._slots += [None] * (header.first_slot - len(self._slots))
            self._slots[header.first_slot :] = slots

    def _decode(self, found: Found) -> list[Record | None]:
        header, start = found.header, found.offset + found.header.data_at
        data = os.pread(self._file, header.size - header.data_at, start)
        try:
            return decode_data(header, found.rows, data, self._slots)
        except DamagedError as error:
            self._skip(start, found.offset + header.size, str(error))
            raise

    def _header(self, offset: int) -> Header:
        header = parse_header(os.pread(self._file, HEADER_BYTES, offset))
        if header is None:
            self._skip(offset, offset + HEADER_BYTES, "no frame")
            raise DamagedError("no frame")
        return header

    def _index(self, offset: int, header: Header, window: bytes) -> Rows:
        end = header.definitions_at
        if end <= len(window):
            return decode_index(header, window[HEADER_BYTES:end])
        return decode_index(header, os.pread(self._file, header.index_size, offset + HEADER_BYTES))

    def _next_magic(self, at: int, size: int) -> int:
        """Where the next frame may begin, from ``at`` on; the file's end if nowhere."""
        while at < size:
            window = os.pread(self._file, _WINDOW, at)
            if not window:
                break
            found = window.find(MAGIC)
            if found >= 0:
                return at + found
            at += max(1, len(window) - len(MAGIC) + 1)
        return size

    def _skip(self, start: int, stop: int, reason: str) -> None:
        self.damage.append(Extent(self.path, start, stop, reason))


class SegmentWriter:
    """A new segment that is written.

    Raises:
        OSError: when the file is there already, or cannot be made; the methods, when it cannot be written.
    """

    def __init__(self, path: Path, templates: KnownTemplates) -> None:
        self.path = path
        self.size = 0
        """Bytes written."""
        self._encoder = Encoder(templates)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def write(self, records: Sequence[Record]) -> tuple[int, Rows]:
        """Write a frame; where it begins, and what is known about its records without reading it."""
        frame, rows = self._encoder.encode(records)
        offset, rest = self.size, memoryview(frame)
        while rest:
            written = os.pwrite(self._file, rest, self.size)
            self.size += written
            rest = rest[written:]
        return offset, rows

    def sync(self) -> None:
        """Return when everything written is on disk."""
        os.fdatasync(self._file)

    def is_full(self, limit: int) -> bool:
        """Whether the next frame belongs into another segment, when one is to have about ``limit`` bytes.

        A segment that is templates mostly may become four times as large: the next one would have the same again.
        """
        return self.size >= limit and (2 * self._encoder.definitions <= self.size or self.size >= 4 * limit)

    def is_there(self) -> bool:
        """Whether the path still leads to the file."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def cut(self, size: int) -> None:
        """Make the file as it was when it had ``size`` bytes, if that can be done, and close it."""
        with suppress(OSError):
            os.ftruncate(self._file, size)
        self.close()

    def discard(self) -> None:
        """Close the file and remove it, if that can be done."""
        self.close()
        with suppress(OSError):
            self.path.unlink()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
