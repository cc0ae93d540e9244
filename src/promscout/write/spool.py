"""Keeps what waits for one receiver on disk: when to write, what to read back, and what goes wrong with the disk."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

import msgspec

from promscout.logs import EventLog
from promscout.model.clock import Clock
from promscout.write.disk_thread import DiskThread
from promscout.write.journal import Backlog, Journal, Lost
from promscout.write.queue import Pending, as_facts
from promscout.write.record import Record
from promscout.write.segment import Extent
from promscout.write.spill import READ_AHEAD, Disk, SpillQueue, Stored
from promscout.write.status import BufferStatus, Counters, Kind

T = TypeVar("T")

_WRITE_AT_ONCE: Final = 16 << 20
"""Bytes of samples written in one piece."""

_RETRY: Final = 5.0
"""Seconds until a disk that failed is tried again."""

_CLOSE_TIMEOUT: Final = 1.0
"""Seconds that the disk may take when the queue ends: the whole stop of the agent takes at most five."""

_SLOW: Final = 5.0
"""Seconds after which a disk that does not answer counts as failing."""

_NO_LIMIT: Final = 1 << 62


class BufferLimits(msgspec.Struct, frozen=True):
    """How what waits for a receiver is kept on disk."""

    flush_interval: float = 1.0
    """Seconds after which a sample that waits is on disk: a crash loses no older ones."""
    max_bytes: int = 4 << 30
    """For each receiver; beyond that the oldest samples are dropped."""
    max_age: float = 24 * 3600.0
    """Seconds; samples that came before that are dropped. 0: none are."""


class Buffer(msgspec.Struct, frozen=True):
    """The directory of one receiver, and how it is used."""

    directory: Path
    limits: BufferLimits = BufferLimits()
    make_thread: Callable[[str], Executor] = DiskThread


class _Written(NamedTuple):
    """What came of one visit to the disk."""

    done: bool
    error: OSError | None
    lost: dict[str, Lost]
    extents: Sequence[Extent] = ()


class Spool:
    """The disk side of a ``SpillQueue``.

    Guarantees: what has waited for ``flush_interval`` is on disk, as long as that works; what the queue has settled is
    removed; what is on disk only comes back in order, and no faster than it is sent. All I/O is in a thread. A disk
    that fails, in whatever way, changes nothing but that: it is reported once and tried again every few seconds.
    Damaged places are skipped, reported and counted as dropped with reason ``damaged``; what is beyond the limits with
    reasons ``buffer_full`` and ``buffer_age``.
    """

    def __init__(self, buffer: Buffer, queue: SpillQueue, counters: Counters, clock: Clock, log: EventLog) -> None:
        self._limits = buffer.limits
        self._directory = buffer.directory
        self._journal = Journal(buffer.directory)
        self._thread = buffer.make_thread(f"disk {buffer.directory.name}")
        self._queue = queue
        self._counters = counters
        self._clock = clock
        self._log = log
        self._opened = False
        self._next_record = 0
        self._cursor = -1
        self._error = ""
        self._skipped = 0
        self._reading = True
        self._wake = asyncio.Event()
        self._closing = False
        self._hanging = False
        self._running: asyncio.Task[None] | None = None

    async def run(self, changed: Callable[[], None]) -> None:
        """Write and read until ``stop``; then end when the work under way is done.

        ``changed`` is called when there may be more to send.
        """
        self._running = asyncio.current_task()
        interval = self._limits.flush_interval / 2
        while not self._closing:
            began = _now()
            if self._opened or await self._open():
                await self._flush(began - interval / 2)
                changed()
            next_flush = began + (interval if self._queue.disk is not Disk.FAILING else _RETRY)
            while not self._closing and await self._wait(next_flush):
                await self._read()
                changed()

    def wake(self) -> None:
        """Something of the queue has been sent: there may be room to read more."""
        if not self._wake.is_set() and self._reading and self._queue.wants_read:
            self._wake.set()

    def stop_reading(self) -> None:
        """Leave on disk what is there."""
        self._reading = False

    def stop(self) -> None:
        """Let ``run`` end. A disk that does not answer is not waited for."""
        self._closing = True
        self._wake.set()
        if self._running is not None:
            asyncio.get_running_loop().call_later(0 if self._hanging else _CLOSE_TIMEOUT, self._running.cancel)

    async def close(self) -> None:
        """Write everything that is not on disk, if that is possible soon; then let go of the directory."""
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self._hanging else _CLOSE_TIMEOUT):
                if self._opened or await self._open():
                    while self._queue.disk is Disk.WORKING and self._queue.has_unwritten:
                        await self._flush(math.inf)
                    await self._flush(math.inf)
                await self._do(self._journal.close)
                if kept := self._queue.kept:
                    self._log.info("samples that were not delivered are kept on disk", samples=kept)
        self._thread.shutdown(wait=False)

    def status(self) -> BufferStatus:
        """What is on disk at this moment."""
        waiting = self._queue.on_disk
        return BufferStatus(
            path=str(self._directory),
            samples=waiting[Kind.SAMPLES],
            histograms=waiting[Kind.HISTOGRAMS],
            exemplars=waiting[Kind.EXEMPLARS],
            bytes=self._journal.bytes,
            max_bytes=self._limits.max_bytes,
            max_age=self._limits.max_age,
            segments=self._journal.segments,
            skipped_bytes=self._skipped,
            error=self._error,
        )

    async def _do(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def _wait(self, until: float) -> bool:
        """Whether there is something to read before that time."""
        self._wake.clear()
        if self._can_read():
            await asyncio.sleep(0)
            return _now() < until
        with suppress(TimeoutError):
            async with asyncio.timeout_at(until):
                await self._wake.wait()
        return not self._closing and _now() < until

    def _can_read(self) -> bool:
        return self._reading and self._opened and self._queue.disk is Disk.WORKING and self._queue.wants_read

    async def _open(self) -> bool:
        try:
            backlog, extents = await self._do(self._journal.open)
        except OSError as error:
            self._failed(error)
            return False
        self._opened = True
        self._next_record = backlog.next_number
        self._works()
        self._queue.opened(backlog.streams, backlog.kinds, backlog.next_number)
        self._report(extents)
        if backlog.records:
            self._tell(backlog)
        return True

    async def _flush(self, before: float) -> None:
        """Bring to disk what came at or before that time, and remove what is settled or beyond the limits."""
        queue = self._queue
        queue.release()
        entries = queue.to_write(before, _WRITE_AT_ONCE)
        settled = queue.settled()
        if not entries and not settled and not self._journal.bytes and queue.disk is Disk.WORKING:
            return
        first = self._next_record
        records = [Record(first + number, self._stamp(entry), entry.portion) for number, entry in enumerate(entries)]
        held, oldest = queue.in_memory(), self._oldest_kept()
        slow = asyncio.get_running_loop().call_later(_SLOW, self._hangs)
        try:
            written = await self._do(lambda: self._write(records, settled, held, oldest))
            self._hanging = False
        finally:
            slow.cancel()
        self._report(written.extents)
        for reason, lost in written.lost.items():
            self._count_lost(lost, reason)
        if written.done:
            self._next_record += len(records)
            queue.written(entries, first)
        if written.error is not None:
            self._failed(written.error)
        else:
            self._works()

    def _write(self, records: list[Record], settled: list[int], held: frozenset[int], oldest_ms: int) -> _Written:
        """In the thread: everything that ``_flush`` has to do."""
        journal, lost, done = self._journal, {}, False
        try:
            journal.settle(settled)
            lost["buffer_full"] = journal.trim(self._limits.max_bytes, 0, held)
            lost["buffer_age"] = journal.trim(_NO_LIMIT, oldest_ms, held)
            if records:
                journal.append(records)
            done = True
            journal.commit()
        except OSError as error:
            return _Written(done, error, lost)
        extents, lost["damaged"] = journal.damage(held.union(record.number for record in records))
        return _Written(done, None, lost, extents)

    async def _read(self) -> None:
        held, cursor = self._queue.in_memory(), self._cursor
        try:
            records, self._cursor = await self._do(lambda: self._journal.read(cursor, held, READ_AHEAD))
        except OSError as error:
            self._failed(error)
            return
        extents, lost = await self._do(lambda: self._journal.damage(held))
        self._report(extents)
        self._count_lost(lost, "damaged")
        behind = _now() - self._clock.now_ms() / 1000
        self._queue.read(Stored(one.number, one.since_ms / 1000 + behind, one.portion) for one in records)
        if not records and self._cursor >= self._next_record - 1:
            self._count_dropped(self._queue.nothing_on_disk(), "damaged")
            self._queue.release()

    def _stamp(self, entry: Pending) -> int:
        return self._clock.now_ms() - round((_now() - entry.since) * 1000)

    def _oldest_kept(self) -> int:
        return self._clock.now_ms() - round(self._limits.max_age * 1000) if self._limits.max_age else 0

    def _count_lost(self, lost: Lost, reason: str) -> None:
        self._queue.lost(lost.streams, lost.kinds)
        self._count_dropped(lost.kinds, reason)

    def _count_dropped(self, kinds: dict[Kind, int], reason: str) -> None:
        for kind, number in kinds.items():
            self._counters.of(kind).drop(reason, number)
        if any(kinds.values()):
            self._log.warning("samples on disk were dropped", reason=reason, **as_facts(kinds))

    def _report(self, extents: Sequence[Extent]) -> None:
        for extent in extents:
            self._skipped += extent.stop - extent.start
            self._log.warning(
                "a damaged place of a buffer was skipped",
                path=str(extent.path),
                start=extent.start,
                stop=extent.stop,
                reason=extent.reason,
            )

    def _tell(self, backlog: Backlog) -> None:
        self._log.info("samples from before are on disk and will be sent", **as_facts(backlog.kinds))

    def _failed(self, error: OSError) -> None:
        reason = f"{error.strerror or error}"
        if self._queue.disk is not Disk.FAILING:
            self._log.error(
                "samples that wait cannot be kept on disk, they wait in memory",
                path=str(self._directory),
                reason=reason,
            )
        self._queue.disk = Disk.FAILING
        self._error = reason
        self._queue.release()

    def _hangs(self) -> None:
        self._hanging = True
        self._failed(OSError(0, f"the disk has not answered for {_SLOW:g} s"))

    def _works(self) -> None:
        if self._queue.disk is Disk.FAILING:
            self._log.info("samples that wait are kept on disk again", path=str(self._directory))
        if self._opened:
            self._queue.disk = Disk.WORKING
        self._error = ""


def _now() -> float:
    return asyncio.get_running_loop().time()
