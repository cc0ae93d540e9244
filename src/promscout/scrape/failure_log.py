"""Files that failed scrapes are logged to."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec

from promscout.logs import EventLog
from promscout.model.clock import rfc3339

_log = EventLog("promscout.scrape")

_MOST_WAITING: Final = 10_000
"""Lines that wait for one file; more are left out: a disk that hangs must not cost memory."""

_LAST_WORDS: Final = 1.0
"""Seconds that ``close`` gives to what is still being written."""


class FailureLog:
    """Appends a line of JSON per failed scrape to the file that its job names.

    Guarantees: ``failed`` never waits, and writing happens in a thread; lines of one file come in the order of the
    failures, whatever jobs share it; the file is opened for every few lines, so one that is moved away or deleted is
    made anew; a file that cannot be written is told once, and costs its lines, no scrape.

    Source: prometheus v3.x scrape/manager.go ApplyConfig, util/logging/file.go JSONFileLogger.
    """

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def failed(self, file: str, job: str, url: str, error: str, at_ms: int) -> None:
        """A scrape of ``url`` failed, at that time of the wall clock; with an empty ``file`` nothing is logged."""
        if not file:
            return
        line = {"time": rfc3339(at_ms), "level": "ERROR", "msg": error, "job_name": job, "target": url}
        if file not in self._files:
            self._files[file] = _File(Path(file))
        self._files[file].append(msgspec.json.encode(line) + b"\n")

    async def close(self) -> None:
        """Wait until everything is written, but no longer than a second."""
        writing = [one.writing for one in self._files.values() if one.writing is not None]
        if writing:
            await asyncio.wait(writing, timeout=_LAST_WORDS)
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)


class _File:
    """One file, and the lines that wait for it."""

    def __init__(self, path: Path) -> None:
        self.writing: asyncio.Task[None] | None = None
        self._path = path
        self._waiting: list[bytes] = []
        self._left_out = 0
        self._problem = ""

    def append(self, line: bytes) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._left_out += 1
            return
        self._waiting.append(line)
        if self.writing is None:
            self.writing = asyncio.create_task(self._write_all(), name=f"failure log {self._path}")

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                lines, self._waiting = self._waiting, []
                problem = await asyncio.to_thread(_append, self._path, b"".join(lines))
                self._tell(problem)
        finally:
            self.writing = None

    def _tell(self, problem: str) -> None:
        """Say when writing begins to fail, and when it works again."""
        if problem and not self._problem:
            _log.error("scrape failures cannot be logged", file=str(self._path), error=problem)
        elif self._problem and not problem:
            _log.info("scrape failures are logged again", file=str(self._path))
        self._problem = problem
        if self._left_out:
            _log.warning("scrape failures were left out of their log", file=str(self._path), count=self._left_out)
            self._left_out = 0


def _append(path: Path, data: bytes) -> str:
    """Append ``data``; why that is impossible, or nothing."""
    try:
        with open(path, "ab", opener=_open_at_once) as file:
            file.write(data)
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _open_at_once(path: str, flags: int) -> int:
    """Open a file for writing; a pipe that nobody reads is an error at once, not something to wait for."""
    return os.open(path, flags | os.O_NONBLOCK, 0o666)
