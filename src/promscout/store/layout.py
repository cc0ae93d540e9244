"""Where things are in a store's directory.

| path | what |
| --- | --- |
| ``samples/date=2026-11-27/000001.parquet`` | samples of a day (UTC) |
| ``series/date=2026-11-27/000001.parquet`` | the series that have samples on that day |
| ``exemplars``, ``histograms`` | likewise |
| ``journal`` | what is not in Parquet yet |
| ``tmp`` | what is being written or deleted |
| ``damaged`` | Parquet files that could not be read |
"""

from __future__ import annotations

import os
import re
from datetime import date
from pathlib import Path
from typing import Final

import msgspec

STORE: Final = "store"
"""The store's directory in a data directory."""

SAMPLES: Final = "samples"
SERIES: Final = "series"
EXEMPLARS: Final = "exemplars"
HISTOGRAMS: Final = "histograms"
TABLES: Final = (SAMPLES, EXEMPLARS, HISTOGRAMS, SERIES)
"""Those with samples before that with their labels."""

DAY_MS: Final = 86_400_000

_PARTITION: Final = re.compile(r"date=(\d{4}-\d{2}-\d{2})")
_FILE: Final = re.compile(r"(\d{6,})\.parquet")


class Layout(msgspec.Struct, frozen=True):
    """The paths below ``root``. Nothing is made by asking for one."""

    root: Path

    @property
    def journal(self) -> Path:
        """The directory of the journal's segments."""
        return self.root / "journal"

    @property
    def temporary(self) -> Path:
        """The directory of files that are not whole yet, or no longer."""
        return self.root / "tmp"

    @property
    def damaged(self) -> Path:
        """The directory of Parquet files that were set aside."""
        return self.root / "damaged"

    @property
    def lock(self) -> Path:
        """The file that whoever changes Parquet files holds a lock on."""
        return self.root / "fold.lock"

    def partition(self, table: str, day: date) -> Path:
        """The directory of a table's files of one day."""
        return self.root / table / f"date={day.isoformat()}"

    def days(self, table: str) -> list[date]:
        """The days that a table has a partition of, oldest first."""
        names = [_PARTITION.fullmatch(entry.name) for entry in _entries(self.root / table)]
        return sorted(day for name in names if name is not None and (day := _day(name[1])) is not None)

    def files(self, table: str, day: date) -> list[Path]:
        """A table's files of one day, oldest first."""
        partition = self.partition(table, day)
        numbered = [(file_number(Path(entry.name)), entry.name) for entry in _entries(partition)]
        return [partition / name for number, name in sorted(numbered) if number]

    def size(self, day: date) -> int:
        """Bytes of all files of one day."""
        return sum(entry.stat().st_size for table in TABLES for entry in _entries(self.partition(table, day)))


def file_number(path: Path) -> int:
    """The number in a Parquet file's name, 0 for any other file."""
    name = _FILE.fullmatch(path.name)
    return int(name[1]) if name is not None else 0


def file_name(number: int) -> str:
    """The inverse of :func:`file_number`."""
    return f"{number:06}.parquet"


def day_of(timestamp_ms: int) -> date:
    """The day (UTC) of a time stamp within the years that a date can have."""
    return date.fromordinal(_EPOCH + timestamp_ms // DAY_MS)


def start_of(day: date) -> int:
    """The first millisecond of a day."""
    return (day.toordinal() - _EPOCH) * DAY_MS


_EPOCH: Final = date(1970, 1, 1).toordinal()


def sync_directory(path: Path) -> None:
    """Return when names that were added to or removed from a directory are on disk."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
