"""The local store in the agent: an appender with a journal."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, ParamSpec, TypeAlias, TypeVar

import msgspec

from promscout.logs import EventLog
from promscout.model.clock import Clock
from promscout.model.series import ExemplarBatch, HistogramBatch, SampleBatch
from promscout.store.child import fold_in_child
from promscout.store.layout import Layout
from promscout.store.order import Folded, Order, Retention, Usage
from promscout.store.status import StoreStatus
from promscout.write.disk_thread import DiskThread
from promscout.write.journal import Journal
from promscout.write.limited_log import LimitedLog
from promscout.write.portion import AnyPortion
from promscout.write.record import Record
from promscout.write.templates import Templates

FIRST_FOLD_SECONDS: Final = 30.0
FOLD_SECONDS: Final = 600.0
"""How old samples are, at most, when they get into a Parquet file; at first less, and each time twice as old.

Each time makes a file, in which a series takes the less the more samples it has in it.
"""

FOLD_BYTES: Final = 16 << 20
"""Bytes of the journal from which on it is folded earlier: some ten million samples."""

MAX_PENDING_BYTES: Final = 64 << 20
"""Memory for what cannot be written to the journal; beyond it the oldest goes."""

MAX_JOURNAL_BYTES: Final = 1 << 30
"""Bytes that the journal may have while it cannot be folded; beyond it the oldest goes."""

P = ParamSpec("P")
T = TypeVar("T")

Fold: TypeAlias = Callable[[Order], Awaitable[Folded]]

_log = EventLog(__name__)


class StoreOptions(msgspec.Struct, frozen=True):
    """Where the store is and how much it keeps."""

    root: Path
    retention: Retention
    flush_seconds: float = 1.0
    """How long samples are in memory only: what a crash costs at most."""


class _Pending(NamedTuple):
    since_ms: int
    portion: AnyPortion


class LocalStore:
    """An ``Appender`` whose batches get into Parquet files.

    Guarantees: what was appended is in the journal after ``flush_seconds``, and in a Parquet file within
    ``FOLD_SECONDS``, once each, also when the process is killed in between. Nothing is ever read or written on the
    event loop, and no error of the disk gets out: it is told in the status and the log, and what could not be written
    is tried again while there is room for it. While it is not ``active``, batches are ignored, and nothing is made on
    disk before it has been active.
    """

    def __init__(
        self,
        options: StoreOptions,
        clock: Clock,
        fold: Fold = fold_in_child,
        make_thread: Callable[[str], Executor] = DiskThread,
    ) -> None:
        self._options = options
        self._layout = Layout(options.root)
        self._clock = clock
        self._fold = fold
        self._templates = Templates({}, ())
        self._pending: deque[_Pending] = deque()
        self._pending_bytes = 0
        self._journal = Journal(self._layout.journal)
        self._disk = make_thread("local store")
        self._opened = False
        self._wanted = False  # whether there is a journal to open though nothing is pending
        self._next = 0
        self._in_journal_since: int | None = None
        self._folding_since: int | None = None
        self._stopping = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self._warn = LimitedLog(_log)
        self._samples_in = 0
        self._written = 0
        self._dropped: dict[str, int] = {}
        self._usage = Usage()
        self._failures = 0
        self._errors: dict[str, str] = {}
        self.active = False
        """Whether batches are taken. May be changed at any time."""

    @property
    def path(self) -> Path:
        """The directory of the store."""
        return self._options.root

    @property
    def samples_in(self) -> int:
        """Samples taken since the start."""
        return self._samples_in

    def append(self, batch: SampleBatch) -> None:
        """Take a batch of samples."""
        if self.active and len(batch):
            self._samples_in += len(batch)
            self._take(self._templates.portion(batch))

    def append_histograms(self, batch: HistogramBatch) -> None:
        """Take a batch of native histograms."""
        if self.active and len(batch):
            self._take(self._templates.histograms(batch))

    def append_exemplars(self, batch: ExemplarBatch) -> None:
        """Take a batch of exemplars."""
        if self.active and len(batch):
            self._take(self._templates.exemplars(batch))

    def _take(self, portion: AnyPortion) -> None:
        self._pending.append(_Pending(self._clock.now_ms(), portion))
        self._pending_bytes += portion.memory
        self._bound_pending()

    def _bound_pending(self) -> None:
        while self._pending_bytes > MAX_PENDING_BYTES and len(self._pending) > 1:
            oldest = self._pending.popleft().portion
            self._pending_bytes -= oldest.memory
            self._drop("buffer_full", len(oldest))

    def status(self) -> StoreStatus:
        """The store at this moment."""
        waiting = [self._folding_since, self._in_journal_since, self._pending[0].since_ms if self._pending else None]
        oldest = min((since for since in waiting if since is not None), default=None)
        return StoreStatus(
            path=self._options.root,
            active=self.active,
            samples_in=self._samples_in,
            samples_written=self._written,
            dropped=dict(self._dropped),
            pending=sum(len(one.portion) for one in self._pending),
            journal_bytes=self._journal.bytes,
            lag=0.0 if oldest is None else max(0, self._clock.now_ms() - oldest) / 1000,
            usage=self._usage,
            failures=self._failures,
            error="; ".join(self._errors.values()),
        )

    async def run(self) -> None:
        """Write until ``stop``. Cancellation ends it at once; what is pending then is lost."""
        self._running = asyncio.current_task()
        try:
            self._wanted = await self._on_disk(self._layout.journal.is_dir)  # of the process before
            await self._flush()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_flushing(), name="store journal")
                group.create_task(self._keep_folding(), name="store files")
            await self._fold_journal()
        finally:
            self._disk.submit(self._journal.close)
            self._disk.shutdown(wait=False)

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109 - running out of time is a normal end
        """Write what is pending, to the journal first, and to files as far as time allows; then ``run`` ends."""
        self._stopping.set()
        if self._running is None:
            return
        _, late = await asyncio.wait([self._running], timeout=timeout)
        if late:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _on_disk(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What ``work`` returns, in the thread that has the journal to itself."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, partial(work, *args, **kwargs))

    async def _keep_flushing(self) -> None:
        while not await self._stops_within(self._options.flush_seconds):
            await self._flush()
        await self._flush()

    async def _keep_folding(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()  # at once, for what the process before has left
        wait = FIRST_FOLD_SECONDS
        while not await self._stops_within(self._options.flush_seconds):
            if loop.time() >= due or self._journal.bytes >= FOLD_BYTES:
                await self._fold_journal()
                due = loop.time() + wait
                wait = min(2 * wait, FOLD_SECONDS)

    async def _stops_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        return self._stopping.is_set()

    async def _flush(self) -> None:
        """Write what is pending to the journal; what cannot be written stays pending."""
        if not self._pending and (self._opened or not self._wanted):
            return
        taken, self._pending, self._pending_bytes = self._pending, deque(), 0
        try:
            if not self._opened:
                await self._open()
            records = [Record(self._next + index, *one) for index, one in enumerate(taken)]
            await self._on_disk(self._journal.append, records)
        except OSError as error:
            for one in reversed(taken):
                self._pending.appendleft(one)
                self._pending_bytes += one.portion.memory
            self._bound_pending()
            self._failed("journal", f"{self._layout.journal}: {error.strerror or error}")
            return
        self._errors.pop("journal", None)
        if taken:
            self._next += len(taken)
            if self._in_journal_since is None:
                self._in_journal_since = taken[0].since_ms

    async def _open(self) -> None:
        backlog, damage = await self._on_disk(self._journal.open)
        self._opened = True
        # Files remember numbers: should the journal have lost them, those of the clock are higher.
        self._next = max(backlog.next_number, self._clock.now_ms())
        self._in_journal_since = backlog.oldest_ms
        for one in damage:
            _log.warning(
                "a damaged part of the journal was skipped",
                path=one.path,
                start=one.start,
                stop=one.stop,
                reason=one.reason,
            )

    async def _fold_journal(self) -> None:
        """Turn what is in the journal into Parquet; what cannot be stays in the journal."""
        if not self._opened:
            return
        if self._folding_since is None:
            self._folding_since = self._in_journal_since
        self._in_journal_since = None
        segments = await self._on_disk(self._rotate)
        if not segments:
            return
        order = Order(str(self.path), tuple(map(str, segments)), self._options.retention, self._clock.now_ms())
        folded = await self._fold(order)
        for one in folded.damaged:
            _log.warning("a damaged part of the store was skipped", what=one)
        self._written += folded.samples
        for reason, number in folded.dropped.items():
            self._drop(reason, number)
        self._usage = folded.usage
        if folded.error:
            self._failed("files", folded.error)
        else:
            self._errors.pop("files", None)
        await self._discard([] if folded.error else segments)

    def _rotate(self) -> list[Path]:
        self._journal.rotate()
        return self._journal.closed()

    async def _discard(self, folded: Sequence[Path]) -> None:
        """Delete segments that are in files now, or without any the oldest of a journal that has grown too large."""
        try:
            # First that their numbers are used up, then that they are gone.
            await self._on_disk(self._journal.commit)
            for path in folded:
                await self._on_disk(self._journal.remove, path)
            oldest = self._clock.now_ms() - self._options.retention.milliseconds
            lost = await self._on_disk(self._journal.trim, MAX_JOURNAL_BYTES, oldest, ())
        except OSError as error:
            self._failed("discarding", f"{self._layout.journal}: {error.strerror or error}")
            return
        self._errors.pop("discarding", None)
        for number in lost.kinds.values():
            self._drop("expired", number)
        if folded:
            self._folding_since = None

    def _failed(self, where: str, reason: str) -> None:
        self._failures += 1
        self._errors[where] = reason
        self._warn("the local store cannot be written, and will be tried again", reason=reason)

    def _drop(self, reason: str, number: int) -> None:
        self._dropped[reason] = self._dropped.get(reason, 0) + number
