"""All remote write queues: one for each ``remote_write`` section, kept across reloads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from hashlib import sha256
from typing import Final, TypeAlias

from promscout.logs import EventLog
from promscout.model.clock import Clock
from promscout.model.metadata import Families
from promscout.model.series import ExemplarBatch, HistogramBatch, SampleBatch
from promscout.write.buffers import Buffers
from promscout.write.client import RemoteWriteClient
from promscout.write.config import RemoteWriteConfig
from promscout.write.delivery import RemoteWriteQueue
from promscout.write.metrics import RemoteWriteMetrics
from promscout.write.queue import as_facts, by_kind
from promscout.write.sender import Sender
from promscout.write.spool import Buffer
from promscout.write.status import RemoteWriteStatus

FLUSH_TIMEOUT: Final = 60.0
"""Seconds that the queue of a removed section has for its last samples: Prometheus's storage.remote.flush-deadline."""

Connect: TypeAlias = Callable[[RemoteWriteConfig], AbstractAsyncContextManager[Sender]]

_log = EventLog(__name__)


class RemoteWriteManager:
    """An ``Appender`` that delivers every batch to every receiver.

    Receivers do not wait for each other. A reload keeps the queues whose section and external labels are equal. Where
    a section of the same URL has changed, its new queue takes over what is pending, with the labels it had, and begins
    when the requests of the old one have ended, so that nothing is lost or overtaken. A queue whose section is gone has
    ``FLUSH_TIMEOUT`` to deliver the rest. With ``buffers``, what is not delivered by then, or when the manager stops,
    waits on disk for a queue with the same URL.

    Source: prometheus v3.x storage/remote/write.go WriteStorage.ApplyConfig.
    """

    def __init__(
        self,
        metrics: RemoteWriteMetrics,
        clock: Clock,
        connect: Connect = RemoteWriteClient,
        *,
        buffers: Buffers | None = None,
        families: Callable[[], Iterable[Families]] = tuple,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._connect = connect
        self._buffers = buffers
        self._families = families
        self._queues: list[RemoteWriteQueue] = []
        self._retired: set[RemoteWriteQueue] = set()
        self._succeeded: set[RemoteWriteQueue] = set()
        self._serving: dict[RemoteWriteQueue, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._stopping = asyncio.Event()
        self._samples_in = 0
        self._histograms_in = 0
        self._exemplars_in = 0
        self._highest_timestamp = 0
        metrics.read_from(self.status)

    def append(self, batch: SampleBatch) -> None:
        """Take one batch for all receivers."""
        self._samples_in += len(batch)
        if len(batch):
            newest = batch.timestamps if isinstance(batch.timestamps, int) else int(batch.timestamps.max())
            self._highest_timestamp = max(self._highest_timestamp, newest)
        for queue in self._queues:
            queue.append(batch)

    def append_histograms(self, batch: HistogramBatch) -> None:
        """Take one batch for all receivers whose section asks for histograms."""
        self._histograms_in += len(batch)
        for queue in self._queues:
            queue.append_histograms(batch)

    def append_exemplars(self, batch: ExemplarBatch) -> None:
        """Take one batch for all receivers whose section asks for exemplars."""
        self._exemplars_in += len(batch)
        for queue in self._queues:
            queue.append_exemplars(batch)

    def apply_config(self, configs: Sequence[RemoteWriteConfig], external_labels: Mapping[str, str]) -> None:
        """Deliver to the receivers of ``configs`` from now on."""
        self.prepare(configs, external_labels)()

    def prepare(self, configs: Sequence[RemoteWriteConfig], external_labels: Mapping[str, str]) -> Callable[[], None]:
        """Make everything for ``configs`` that could fail; what is returned puts them into force."""
        labels = dict(external_labels)
        old, retired = list(self._queues), list(self._retired)
        kept = [self._equal(old, config, labels) for config in configs]
        names = {queue.name for queue in kept if queue} | {config.name for config in configs}
        queues: list[tuple[RemoteWriteQueue, RemoteWriteQueue | None]] = []
        for config, same in zip(configs, kept, strict=True):
            if same is not None:
                queues.append((same, None))
                continue
            predecessor = _take_same_url(old, config) or _take_same_url(retired, config)
            name = config.name or _unused_name(config, names)
            names.add(name)
            others = [queue for queue in (*kept, *old, *retired, *(one for one, _ in queues)) if queue is not None]
            buffer = self._buffer(config, predecessor, others)
            observe = self._metrics.duration_observer(name, str(config.url))
            queue = RemoteWriteQueue(name, config, labels, self._clock, observe, buffer=buffer, families=self._families)
            queues.append((queue, predecessor))
        return lambda: self._use(queues, old)

    def _use(
        self, queues: Sequence[tuple[RemoteWriteQueue, RemoteWriteQueue | None]], old: Sequence[RemoteWriteQueue]
    ) -> None:
        """Go on with ``queues``, each with the one whose place it takes; ``old`` are gone."""
        before, self._queues = self._queues, [queue for queue, _ in queues]
        for queue, predecessor in queues:
            if queue not in before:
                self._start(queue, predecessor)
        for queue in old:
            self._retired.add(queue)
            if self._group is not None:
                self._flush(self._group, queue)
        known = {(queue.name, str(queue.config.url)) for queue in self._queues}
        for name, url in {(queue.name, str(queue.config.url)) for queue in before} - known:
            self._metrics.forget(name, url)

    async def run(self) -> None:
        """Deliver until ``stop``. Cancellation ends it at once; without buffers what is pending then is lost."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            if self._buffers is not None:
                group.create_task(self._tell_forsaken(self._buffers), name="remote write buffers of others")
            try:
                for queue in (*self._queues, *self._retired):
                    self._serve(group, queue, None)
                for queue in self._retired:
                    self._flush(group, queue)
                await self._stopping.wait()
            finally:
                self._group = None

    async def stop(self, timeout: float) -> None:  # noqa: ASYNC109 - running out of time is a normal end
        """Deliver what is pending, but for no longer than ``timeout`` seconds; then ``run`` ends.

        What could not be delivered waits in its buffer, or is counted as dropped with reason ``shutdown``. Batches that
        are appended while it waits are delivered, too.
        """
        await asyncio.gather(*(self._finish(queue, timeout) for queue in (*self._queues, *self._retired)))
        self._stopping.set()

    def status(self) -> RemoteWriteStatus:
        """All queues at this moment, in the order of their sections."""
        return RemoteWriteStatus(
            samples_in=self._samples_in,
            histograms_in=self._histograms_in,
            exemplars_in=self._exemplars_in,
            highest_timestamp=self._highest_timestamp,
            queues=tuple(queue.status() for queue in self._queues),
        )

    def _buffer(
        self, config: RemoteWriteConfig, predecessor: RemoteWriteQueue | None, others: Sequence[RemoteWriteQueue]
    ) -> Buffer | None:
        """That of ``predecessor``, or one that none of ``others`` uses."""
        if predecessor is not None or self._buffers is None:
            return predecessor.buffer if predecessor is not None else None
        taken = {queue.buffer.directory for queue in (*others, *self._succeeded) if queue.buffer is not None}
        return self._buffers.buffer_of(config.url.reveal(), taken)

    @staticmethod
    def _equal(
        queues: list[RemoteWriteQueue], config: RemoteWriteConfig, labels: Mapping[str, str]
    ) -> RemoteWriteQueue | None:
        """Take the queue of an equal section out of ``queues``."""
        for queue in queues:
            if queue.config == config and queue.external_labels == labels:
                queues.remove(queue)
                return queue
        return None

    def _start(self, queue: RemoteWriteQueue, predecessor: RemoteWriteQueue | None) -> None:
        if predecessor is not None:
            self._succeeded.add(predecessor)
            predecessor.close()
        if self._group is not None:
            self._serve(self._group, queue, predecessor)
        elif predecessor is not None:
            self._take_over(queue, predecessor)

    def _flush(self, group: asyncio.TaskGroup, queue: RemoteWriteQueue) -> None:
        task = group.create_task(self._finish(queue, FLUSH_TIMEOUT), name=f"flush remote write {queue.name}")
        task.add_done_callback(lambda _: self._retired.discard(queue))

    def _serve(self, group: asyncio.TaskGroup, queue: RemoteWriteQueue, predecessor: RemoteWriteQueue | None) -> None:
        if predecessor is not None:
            queue.expect()
        task = group.create_task(self._deliver(queue, predecessor), name=f"remote write {queue.name}")
        self._serving[queue] = task
        task.add_done_callback(lambda _: self._serving.pop(queue, None))

    async def _deliver(self, queue: RemoteWriteQueue, predecessor: RemoteWriteQueue | None) -> None:
        if predecessor is not None:
            try:
                await self._end(predecessor)
            finally:
                self._take_over(queue, predecessor)
        async with self._connect(queue.config) as sender:
            await queue.run(sender)

    async def _tell_forsaken(self, buffers: Buffers) -> None:
        known = {queue.buffer.directory for queue in self._queues if queue.buffer is not None}
        now = self._clock.now_ms() / 1000
        for one in await asyncio.to_thread(buffers.forsaken, known, now):
            what = "were too old and are removed" if one.removed else "wait on disk"
            _log.warning(f"samples for a receiver that is not configured {what}", path=str(one.path), bytes=one.bytes)

    def _take_over(self, queue: RemoteWriteQueue, predecessor: RemoteWriteQueue) -> None:
        self._succeeded.discard(predecessor)
        queue.adopt(predecessor.leftover())

    async def _end(self, queue: RemoteWriteQueue) -> None:
        """Wait for what serves ``queue``; cut it short when cancelled."""
        task = self._serving.get(queue)
        if task is None:
            return
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
            raise

    async def _finish(self, queue: RemoteWriteQueue, timeout: float) -> None:  # noqa: ASYNC109 - see stop
        """Flush ``queue`` and end what serves it; count what is left."""
        task = self._serving.get(queue)
        if task is None:
            queue.close()
        else:
            if not await queue.flush(timeout):
                task.cancel()
            await asyncio.wait([task])
        if queue in self._succeeded:
            return  # whatever is left is its successor's
        lost = by_kind(queue.leftover())
        for kind, number in lost.items():
            queue.counters.of(kind).drop("shutdown", number)
        if lost:
            _log.warning("samples could not be delivered in time", remote_name=queue.name, **as_facts(lost))


def _take_same_url(queues: list[RemoteWriteQueue], config: RemoteWriteConfig) -> RemoteWriteQueue | None:
    """Take the first queue for the same URL out of ``queues``."""
    for queue in queues:
        if queue.config.url == config.url:
            queues.remove(queue)
            return queue
    return None


def _unused_name(config: RemoteWriteConfig, names: set[str]) -> str:
    """Six digits, the same at every start: Prometheus names a queue without a name by a hash of its section."""
    digests = (sha256(f"{index} {config.url}".encode()).hexdigest()[:6] for index in range(len(names) + 1))
    return next(name for name in digests if name not in names)
