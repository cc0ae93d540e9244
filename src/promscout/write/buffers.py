"""Where on disk each receiver's buffer is."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from concurrent.futures import Executor
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from promscout.write.disk_thread import DiskThread
from promscout.write.spool import Buffer, BufferLimits

_DIRECTORY: Final = "remote-write"


class Buffers(msgspec.Struct, frozen=True):
    """The buffers of all receivers, in one data directory.

    A receiver is known by its URL, so that what waits for it is sent after a restart whatever else was changed in its
    section. Receivers with the same URL take turns in the order of their sections.
    """

    data_dir: Path
    limits: BufferLimits = BufferLimits()
    make_thread: Callable[[str], Executor] = DiskThread

    def buffer_of(self, url: str, taken: Container[Path]) -> Buffer:
        """The first buffer of the receiver at ``url`` whose directory is not ``taken``."""
        name = sha256(url.encode()).hexdigest()[:16]
        paths = (self.data_dir / _DIRECTORY / (f"{name}-{number}" if number else name) for number in count())
        path = next(path for path in paths if path not in taken)
        return Buffer(path, self.limits, self.make_thread)

    def others(self, known: Container[Path]) -> Iterator[Path]:
        """Directories of buffers that are not ``known``: of receivers that are no longer configured.

        Raises:
            OSError: the directory cannot be read.
        """
        directory = self.data_dir / _DIRECTORY
        if directory.is_dir():
            yield from (path for path in sorted(directory.iterdir()) if path.is_dir() and path not in known)
