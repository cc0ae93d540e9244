"""Which records of a journal are settled, as a small file."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

_MAGIC: Final = b"\xff\xfeprsd\x01\n"
_HEAD: Final = len(_MAGIC) + 4  # with the checksum of what follows

Ranges: TypeAlias = NDArray[np.int64]
"""First and last number of each, one after the other, ascending."""


class Settled(NamedTuple):
    """``high`` is the highest number that there was; ``ranges`` are those that are settled."""

    high: int
    ranges: Ranges

    def covers(self, numbers: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of ``numbers`` are settled."""
        if not len(self.ranges):
            return np.zeros(len(numbers), dtype=np.bool_)
        at = np.searchsorted(self.ranges[::2], numbers, side="right") - 1
        return (at >= 0) & (numbers <= self.ranges[1::2][at])


NOTHING: Final = Settled(0, np.empty(0, dtype=np.int64))


class SettledFile:
    """The file ``settled`` of a directory: there is always the old one or the new one, whole."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "settled"
        self._written = b""

    def read(self) -> tuple[Settled, int]:
        """What is settled, and how many bytes had to be skipped; nothing is settled where there is no file.

        Raises:
            OSError: when the file is there and cannot be read.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            content = b""
        self._written = content
        body = content[_HEAD:]
        head = _MAGIC + crc32(body).to_bytes(4, "little")
        if content[:_HEAD] != head or len(body) % 16 != 8:
            return NOTHING, len(content)
        numbers = np.frombuffer(body, dtype="<i8").astype(np.int64)
        return Settled(int(numbers[0]), numbers[1:]), 0

    def write(self, settled: Settled) -> None:
        """Replace the file, unless it has this already; it is on disk when this returns.

        Raises:
            OSError: when that cannot be done; the file is as it was.
        """
        body = np.concatenate((np.array([settled.high], dtype="<i8"), settled.ranges.astype("<i8"))).tobytes()
        content = _MAGIC + crc32(body).to_bytes(4, "little") + body
        if content == self._written and self.path.exists():
            return
        new = self.path.with_suffix(".new")
        try:
            with new.open("wb") as file:
                file.write(content)
                file.flush()
                os.fdatasync(file.fileno())
            new.replace(self.path)
        except OSError:
            with suppress(OSError):
                new.unlink(missing_ok=True)
            raise
        sync_directory(self.path.parent)
        self._written = content


def sync_directory(path: Path) -> None:
    """Return when the names in the directory are on disk."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
