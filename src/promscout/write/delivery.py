"""One receiver's queue: decides when to send, sends, tries again, and counts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import count
from random import uniform
from typing import Final

from promscout.logs import EventLog
from promscout.model.clock import Clock
from promscout.model.metadata import Families
from promscout.model.series import ExemplarBatch, HistogramBatch, SampleBatch
from promscout.write.config import ProtobufMessage, RemoteWriteConfig
from promscout.write.intake import Intake
from promscout.write.limited_log import LimitedLog
from promscout.write.metadata import MetadataSender
from promscout.write.packer import Packer
from promscout.write.portion import AnyPortion
from promscout.write.queue import Pending, Shipment, arrival, as_facts, by_kind
from promscout.write.sender import Outcome, Reject, Request, Retry, Sender, Sent, Unsupported, Written
from promscout.write.spill import MOST_MEMORY, Disk, SpillQueue
from promscout.write.spool import Buffer, Spool
from promscout.write.status import Counters, Kind, QueueStatus

_LEAST_BACKOFF: Final = 0.01  # seconds; a configured 0 must not become a busy loop

_log = EventLog(__name__)


class RemoteWriteQueue:
    """The samples for one receiver, from ``append`` until the receiver has decided about them.

    Samples of one series are sent in the order in which they were appended, each only after the request with the one
    before it is settled. A request goes out as soon as it is full, or when its oldest sample has
    waited for ``batch_send_deadline``. A request that fails is sent again after a pause, which doubles from
    ``min_backoff`` to ``max_backoff`` and is shortened at random by up to half, or which the receiver asked for.
    Pending samples are references to batches; encoded bytes exist only for requests in flight.

    With a ``buffer``, samples that wait are kept on disk, too (``Spool``): what is not settled when ``run`` ends is
    sent by the next queue with the same directory. Without, at most ``MOST_MEMORY`` bytes wait, or 8 bytes for each of
    ``capacity`` times ``max_shards`` samples if that is more; the oldest are dropped first.

    How many requests may be in flight grows by one with each answer while enough samples for a full request are
    pending, falls by one with each answer while not, and falls by half with each failure, within ``min_shards`` and
    ``max_shards``.

    A receiver that does not know remote write 2.0 gets the same samples, and all later ones, by 1.0. A request with
    samples of a process before, which the receiver may have, is sent again in parts if it is rejected: receivers of 1.0
    refuse all of it because of one.
    """

    def __init__(
        self,
        name: str,
        config: RemoteWriteConfig,
        external_labels: Mapping[str, str],
        clock: Clock,
        observe_duration: Callable[[float], None],
        *,
        buffer: Buffer | None = None,
        families: Callable[[], Iterable[Families]] = tuple,
    ) -> None:
        self.name = name
        self.config = config
        self.external_labels = dict(external_labels)
        self.buffer = buffer
        self.counters = Counters()
        log = _log.bind(remote_name=name, url=str(config.url))
        self._warn = LimitedLog(log)
        self._options = options = config.queue_config
        self._intake = Intake(config, external_labels, self.counters)
        self._packer = Packer(config, self.counters, clock)
        self._queue = SpillQueue(
            self._count_full,
            disk=Disk.OPENING if buffer else Disk.ABSENT,
            most_memory=max(MOST_MEMORY, 8 * options.capacity * options.max_shards),
        )
        self._spool = Spool(buffer, self._queue, self.counters, clock, log) if buffer else None
        self._metadata = MetadataSender(name, config, families, lambda: self._packer.message)
        self._observe_duration = observe_duration
        self._limit = options.min_shards
        self._in_flight: dict[Shipment, tuple[Pending, ...]] = {}
        self._sender: Sender | None = None
        self._requests: asyncio.TaskGroup | None = None
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        self._flushing = False
        self._takes_v1 = False
        self._given_way = 0  # of the requests in flight
        self._ending = asyncio.Event()
        self._closing = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def append(self, batch: SampleBatch) -> None:
        """Take one batch. What relabelling drops, or what does not fit into memory, is counted."""
        self._take(self._intake.samples(batch))

    def append_histograms(self, batch: HistogramBatch) -> None:
        """Take one batch, if the section asks for histograms."""
        self._take(self._intake.histograms(batch))

    def append_exemplars(self, batch: ExemplarBatch) -> None:
        """Take one batch, if the section asks for exemplars."""
        self._take(self._intake.exemplars(batch))

    def _take(self, portion: AnyPortion | None) -> None:
        if portion is None:
            return
        self.counters.highest_timestamp = max(self.counters.highest_timestamp, portion.newest)
        if dropped := self._queue.append(portion, _now()):
            self._warn("the oldest pending samples were dropped, because the receiver is too slow", samples=dropped)
        self._idle.clear()
        if self._timer is None or self._queue.has_ready(self._options.max_samples_per_send):
            self._dispatch()

    def _count_full(self, dropped: AnyPortion) -> None:
        self.counters.of(dropped.kind).drop("queue_full", len(dropped))

    async def run(self, sender: Sender) -> None:
        """Deliver until ``close``; then end when requests in flight are settled or about to pause.

        However it ends, what is not settled is brought to the buffer, if there is one.
        """
        self._sender = sender
        try:
            async with asyncio.TaskGroup() as requests:
                self._requests = requests
                if self._spool is not None:
                    requests.create_task(self._spool.run(self._dispatch), name=f"remote write buffer {self.name}")
                metadata = requests.create_task(self._metadata.run(sender), name=f"remote write metadata {self.name}")
                try:
                    self._dispatch()
                    await self._closing.wait()
                finally:
                    metadata.cancel()
                    self._requests = None
                    self._disarm()
                    if self._spool is not None:
                        self._spool.stop()
        finally:
            if self._spool is not None:
                await self._spool.close()

    async def flush(self, timeout: float) -> bool:  # noqa: ASYNC109 - running out of time is a normal end
        """Send without waiting for full requests until nothing is left in memory, then close.

        What is on disk stays there; and so does, where there is a disk, what the receiver does not take at once. False
        when ``timeout`` seconds were not enough.
        """
        self._flushing = True
        if self._queue.disk is Disk.WORKING:
            self._ending.set()
        if self._spool is not None:
            self._spool.stop_reading()
        self._dispatch()
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return False
        finally:
            self.close()
        return True

    def close(self) -> None:
        """Begin no more requests, and let ``run`` end."""
        self._intake.closed = True
        self._closing.set()
        self._ending.set()
        self._idle.set()

    def leftover(self) -> list[Pending]:
        """What was neither delivered nor brought to disk, oldest first. Only once, and while ``run`` does not run."""
        in_flight, self._in_flight = self._in_flight, {}
        if self._spool is not None:
            return self._queue.leftover()
        unsettled = sorted((entry for entries in in_flight.values() for entry in entries), key=arrival)
        # A portion that was divided has its number in both; the part in flight comes first.
        return sorted([*unsettled, *self._queue.drain()], key=arrival)

    def expect(self) -> None:
        """Announce that ``adopt`` follows: until then ``flush`` waits."""
        self._idle.clear()

    def adopt(self, entries: list[Pending]) -> None:
        """Deliver ``entries``, oldest first, before everything appended so far. Only before ``run``."""
        self._queue.prepend(entries)
        self._settle_idle()

    def status(self) -> QueueStatus:
        """The queue at this moment."""
        counters, oldest, now = self.counters, self._queue.oldest, _now()
        pending = self._queue.pending()
        return QueueStatus(
            name=self.name,
            url=str(self.config.url),
            pending_samples=pending[Kind.SAMPLES],
            pending_bytes=self._queue.memory,
            max_pending_bytes=self._queue.most_memory,
            oldest_pending_age=0.0 if oldest is None else now - oldest,
            in_flight_samples=self._in_requests(Kind.SAMPLES),
            requests=len(self._in_flight),
            shards=self._limit,
            min_shards=self._options.min_shards,
            max_shards=self._options.max_shards,
            max_samples_per_send=self._options.max_samples_per_send,
            attempted=counters.attempted,
            sent=counters.sent,
            failed=counters.failed,
            retried=counters.retried,
            dropped=dict(counters.dropped),
            histograms=counters.status_of(
                Kind.HISTOGRAMS, pending[Kind.HISTOGRAMS] + self._in_requests(Kind.HISTOGRAMS)
            ),
            exemplars=counters.status_of(Kind.EXEMPLARS, pending[Kind.EXEMPLARS] + self._in_requests(Kind.EXEMPLARS)),
            bytes_sent=counters.bytes_sent,
            highest_timestamp=counters.highest_timestamp,
            highest_sent_timestamp=counters.highest_sent_timestamp,
            last_error=counters.last_error,
            batch_send_deadline=float(self._options.batch_send_deadline),
            failing_for=0.0 if counters.failing_since is None else now - counters.failing_since,
            next_attempt_in=max(0.0, counters.next_attempt - now),
            protobuf_message=self._packer.message,
            metadata=self._metadata.status(),
            metadata_bytes_sent=self._metadata.bytes_sent,
            buffer=self._spool.status() if self._spool is not None else None,
        )

    def _in_requests(self, kind: Kind) -> int:
        return sum(by_kind(entries).get(kind, 0) for entries in self._in_flight.values())

    def _dispatch(self) -> None:
        """Begin every request that is due, and see to it that this happens again in time."""
        if self._requests is None or self._sender is None or self._given_way or self._closing.is_set():
            return
        while len(self._in_flight) < self._limit:
            shipment = self._queue.take(self._options.max_samples_per_send, self._is_due)
            if shipment is None:
                break
            self._in_flight[shipment] = shipment.entries
            self._requests.create_task(self._deliver(shipment, self._sender), name=f"remote write {self.name}")
        self._arm()

    def _is_due(self, since: float) -> bool:
        return self._flushing or since + self._options.batch_send_deadline <= _now()

    def _arm(self) -> None:
        oldest = self._queue.oldest_ready
        if oldest is None or len(self._in_flight) >= self._limit:
            self._disarm()  # the end of a request dispatches
            return
        when = oldest + self._options.batch_send_deadline
        # The handle itself does not tell on uvloop, whose handle of a time that has come has no ``when``.
        if self._timer is None or self._timer_at > when:
            self._disarm()
            self._timer, self._timer_at = asyncio.get_running_loop().call_at(when, self._on_timer), when

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self._dispatch()

    async def _deliver(self, shipment: Shipment, sender: Sender) -> None:
        parcels = deque([shipment.entries])
        while parcels:
            if not await self._send(shipment, parcels, sender):
                return
        del self._in_flight[shipment]
        self._queue.done(shipment)
        self._dispatch()
        self._settle_idle()
        if self._spool is not None:
            self._spool.wake()

    async def _send(self, shipment: Shipment, parcels: deque[tuple[Pending, ...]], sender: Sender) -> bool:
        """Send the first of ``parcels`` until the receiver has decided, and take it out.

        False when others are to go on with what is in ``_in_flight``.
        """
        request: Request | None = None
        fell_back = False
        pause = max(float(self._options.min_backoff), _LEAST_BACKOFF)
        for attempt in count():
            entries = self._packer.fitting(parcels[0])
            if entries is not parcels[0] or (request is not None and request.message is not self._packer.message):
                request = None
            parcels[0] = entries
            self._in_flight[shipment] = tuple(entry for parcel in parcels for entry in parcel)
            if not entries:
                parcels.popleft()
                return True
            if request is None:
                request = self._packer.request(entries)
            outcome = await self._attempt(sender, request, attempt, by_kind(entries))
            if isinstance(outcome, Unsupported):
                self._packer.fall_back()
                fell_back = True
            elif isinstance(outcome, Retry):
                self._limit = max(self._options.min_shards, self._limit // 2)
                # Shortened at random, so that senders that failed together do not come back together.
                wait = uniform(0.5, 1.0) * pause if outcome.after is None else outcome.after  # noqa: S311 - no secret
                pause = min(2 * pause, max(float(self._options.max_backoff), _LEAST_BACKOFF))
                self.counters.will_retry(_now(), wait)
                if await self._ends_within(wait):
                    self._given_way += 1
                    self._settle_idle()
                    return False
            else:
                self._note_message(outcome, request, fell_back=fell_back)
                self._settle(parcels, outcome, request)
                return True
        return False

    def _note_message(self, outcome: Sent | Reject, request: Request, *, fell_back: bool) -> None:
        """Stay with 1.0 once it was taken; a receiver that refuses both messages had another reason."""
        if request.message is ProtobufMessage.V1:
            self._takes_v1 |= isinstance(outcome, Sent)
            if fell_back and not self._takes_v1:
                self._packer.restore()

    def _settle_idle(self) -> None:
        if len(self._in_flight) > self._given_way or not (self._given_way or self._queue.is_empty):
            self._idle.clear()
        else:
            self._idle.set()

    async def _attempt(self, sender: Sender, request: Request, attempt: int, numbers: Mapping[Kind, int]) -> Outcome:
        begin = _now()
        self.counters.count("attempted", numbers)
        if attempt:
            self.counters.count("retried", numbers)
        outcome = await sender.send(request, attempt)
        self._observe_duration(_now() - begin)
        if isinstance(outcome, Unsupported) and request.message is ProtobufMessage.V1:
            outcome = Reject(outcome.reason)
        if not isinstance(outcome, Retry):
            self.counters.failing_since = None
        if isinstance(outcome, Sent):
            self.counters.last_error = ""
            return outcome
        self.counters.last_error = outcome.reason
        if isinstance(outcome, Retry):
            if self.counters.failing_since is None:
                self.counters.failing_since = begin
            self._warn("sending samples failed and will be tried again", reason=outcome.reason, attempt=attempt)
        elif isinstance(outcome, Unsupported):
            self._warn("the receiver does not know remote write 2.0, it gets 1.0", reason=outcome.reason)
        else:
            self._warn("the receiver rejected samples, they are dropped", reason=outcome.reason, **as_facts(numbers))
        return outcome

    def _settle(self, parcels: deque[tuple[Pending, ...]], outcome: Sent | Reject, request: Request) -> None:
        """Count what became of the first of ``parcels``, and take it out."""
        entries = parcels.popleft()
        self.counters.bytes_sent += len(request.body)
        if isinstance(outcome, Reject) and len(entries) > 1 and self._queue.may_be_repeated(entries):
            parcels.extendleft((entry,) for entry in reversed(entries))
            return
        numbers = by_kind(entries)
        sent = _sent_of(outcome, numbers)
        self.counters.count("sent", sent)
        self.counters.count("failed", {kind: number - sent[kind] for kind, number in numbers.items()})
        if isinstance(outcome, Sent):
            newest = max(entry.portion.newest for entry in entries)
            self.counters.highest_sent_timestamp = max(self.counters.highest_sent_timestamp, newest)
            if sent != numbers:
                self._warn("the receiver did not store all samples of a request", **as_facts(numbers))
        if self._queue.samples >= self._options.max_samples_per_send:
            self._limit = min(self._limit + 1, self._options.max_shards)
        else:
            self._limit = max(self._limit - 1, self._options.min_shards)

    async def _ends_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        return self._ending.is_set()


def _sent_of(outcome: Sent | Reject, numbers: Mapping[Kind, int]) -> dict[Kind, int]:
    """How much of a request with ``numbers`` the receiver has taken."""
    if isinstance(outcome, Sent) and outcome.written is None:
        return dict(numbers)
    written = outcome.written or Written()
    stored = {
        Kind.SAMPLES: written.samples,
        Kind.HISTOGRAMS: written.histograms,
        Kind.EXEMPLARS: written.exemplars,
    }
    return {kind: min(number, stored[kind]) for kind, number in numbers.items()}


def _now() -> float:
    return asyncio.get_running_loop().time()
