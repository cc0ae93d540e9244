"""Reads what the patterns of one configuration name."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from promscout.discovery.config import StaticConfig
from promscout.discovery.file.pattern import expand
from promscout.discovery.mechanism import ParseGroups
from promscout.discovery.target_groups import MAX_SIZE, groups_from_json, numbered_groups
from promscout.errors import InvalidValueError, PromscoutError
from promscout.model.group import TargetGroup

FILEPATH: Final = "__meta_filepath"

RACY_SECONDS: Final = 0.1
"""A file that changed so shortly before it was read may change again without a newer time stamp: it is read again."""

Version: TypeAlias = tuple[int, int, int, int]
"""Times of modification and of status change in nanoseconds, size, inode: differs whenever content or access does, also
when a mounted directory is swapped by its symbolic link."""


class FileState(msgspec.Struct, frozen=True):
    """One file as it was last seen.

    ``groups`` and ``mtime`` (in seconds; 0: never) are those of the last time that it was in order.
    """

    version: Version | None = None  # None differs from every version that a file can have
    groups: tuple[TargetGroup, ...] = ()
    mtime: float = 0.0


class Problem(msgspec.Struct, frozen=True):
    """A file or pattern that could not be read."""

    path: str
    reason: str


class Scan(msgspec.Struct, frozen=True):
    """All files that there are, also by pattern; the patterns that fail; what is newly wrong.

    ``read`` says whether the content of any file was asked for.
    """

    files: dict[str, FileState]
    found: dict[str, tuple[str, ...]]
    failing: frozenset[str]
    problems: tuple[Problem, ...]
    read: bool


class TargetFiles:
    """Reads files that list target groups. It blocks, and changes nothing, so that it can run in a thread."""

    def __init__(self, patterns: Iterable[str], parse_groups: ParseGroups) -> None:
        self._patterns = tuple(dict.fromkeys(patterns))
        self._parse_groups = parse_groups

    def scan(self, before: Scan, *, again: bool) -> Scan:
        """Look at all files, and read those that changed since ``before``, or all of them.

        A file that cannot be read, or is broken, keeps its groups; a pattern of which cannot be told what it stands for
        keeps its files. Both are problems once for every change and every time that all are read.
        """
        found: dict[str, tuple[str, ...]] = {}
        failing: set[str] = set()
        problems: list[Problem] = []
        for pattern in self._patterns:
            try:
                found[pattern] = tuple(expand(pattern))
            except OSError as error:
                found[pattern] = before.found.get(pattern, ())
                failing.add(pattern)
                if again or pattern not in before.failing:
                    problems.append(Problem(pattern, _reason(error)))
        files: dict[str, FileState] = {}
        read = again
        for path in dict.fromkeys(path for paths in found.values() for path in paths):
            known = before.files.get(path, FileState())
            version = _version(path)
            if not again and version == known.version:
                files[path] = known
                continue
            read = True
            files[path] = self._read(path, known, problems)
        return Scan(files, found, frozenset(failing), tuple(problems), read)

    def _read(self, path: str, known: FileState, problems: list[Problem]) -> FileState:
        status = None
        try:
            path.encode()
            data, status = _content(path)
            groups = numbered_groups(self._parse(data, path), path, FILEPATH)
        except UnicodeEncodeError:
            reason = "the name is not valid UTF-8"
        except (OSError, PromscoutError) as error:
            reason = _reason(error)
        else:
            return FileState(_settled(status), groups, float(int(status.st_mtime)))
        problems.append(Problem(path, reason))
        return FileState(_settled(status) if status else _version(path), known.groups, known.mtime)

    def _parse(self, data: bytes, path: str) -> Iterable[StaticConfig]:
        if path.lower().endswith(".json"):
            return groups_from_json(data)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidValueError("not valid UTF-8") from None
        return self._parse_groups(text, path)


NOTHING: Final = Scan({}, {}, frozenset(), (), read=False)


def _content(path: str) -> tuple[bytes, os.stat_result]:
    """The content of a file, and its status before that."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - opening a pipe would wait for its writer
        raise InvalidValueError("not a regular file")
    with Path(path).open("rb") as stream:
        status = os.fstat(stream.fileno())
        data = stream.read(MAX_SIZE + 1)
    if len(data) > MAX_SIZE:
        raise InvalidValueError(f"larger than {MAX_SIZE} bytes")
    return data, status


def _version(path: str) -> Version:
    try:
        return _version_of(os.stat(path))  # noqa: PTH116 - once a second for each file
    except OSError as error:  # a link whose file is not there, for example
        return 0, 0, -1, error.errno or 0


def _version_of(status: os.stat_result) -> Version:
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def _settled(status: os.stat_result) -> Version | None:
    return None if abs(time.time() - status.st_mtime) < RACY_SECONDS else _version_of(status)


def _reason(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
