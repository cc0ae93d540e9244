"""Where on disk each receiver's buffer is."""

from __future__ import annotations

from collections.abc import Callable, Container
from concurrent.futures import Executor
from contextlib import suppress
from hashlib import sha256
from itertools import count
from pathlib import Path
from shutil import rmtree
from typing import Final

import msgspec

from promscout.write.disk_thread import DiskThread
from promscout.write.segment import SUFFIX
from promscout.write.spool import Buffer, BufferLimits

_DIRECTORY: Final = "remote-write"


class Forsaken(msgspec.Struct, frozen=True):
    """What waits on disk for a receiver that is no longer configured."""

    path: Path
    bytes: int
    removed: bool


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

    def forsaken(self, known: Container[Path], now: float) -> list[Forsaken]:
        """What there is of receivers that are not ``known``; what is older than ``limits.max_age`` is removed.

        ``now`` is in seconds since the epoch. What cannot be looked at is left out. Blocks.
        """
        directory = self.data_dir / _DIRECTORY
        found = []
        with suppress(OSError):
            for path in sorted(path for path in directory.iterdir() if path.is_dir() and path not in known):
                segments = [file.stat() for file in path.glob(f"*{SUFFIX}")]
                newest = max((one.st_mtime for one in segments), default=0.0)
                is_old = not segments or bool(self.limits.max_age and newest < now - self.limits.max_age)
                if is_old:
                    rmtree(path, ignore_errors=True)
                if segments:
                    found.append(Forsaken(path, sum(one.st_size for one in segments), removed=is_old))
        return found
