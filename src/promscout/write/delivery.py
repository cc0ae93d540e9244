"""One receiver's queue: decides when to send, sends, tries again, and counts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from random import uniform
from typing import Final

from promscout.logs import EventLog
from promscout.model.clock import Clock
from promscout.model.series import ExemplarBatch, HistogramBatch, SampleBatch
from promscout.write.config import RemoteWriteConfig
from promscout.write.encoding import RequestEncoder
from promscout.write.intake import Intake
from promscout.write.limited_log import LimitedLog
from promscout.write.portion import AnyPortion
from promscout.write.queue import DEFAULT_MEMORY, Pending, Shipment, StreamQueue, arrival, as_facts, by_kind
from promscout.write.sender import Outcome, Reject, Request, Retry, Sender, Sent, Unsupported
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

    How many requests may be in flight grows by one with each answer while enough samples for a full request are
    pending, falls by one with each answer while not, and falls by half with each failure, within ``min_shards`` and
    ``max_shards``.

    Pending samples take at most ``DEFAULT_MEMORY`` bytes, or 8 bytes for each of ``capacity`` times ``max_shards``
    samples if that is more; the oldest are dropped first.
    """

    def __init__(
        self,
        name: str,
        config: RemoteWriteConfig,
        external_labels: Mapping[str, str],
        clock: Clock,
        observe_duration: Callable[[float], None],
    ) -> None:
        self.name = name
        self.config = config
        self.external_labels = dict(external_labels)
        self.counters = Counters()
        self._options = config.queue_config
        self._intake = Intake(config, external_labels, self.counters)
        self._queue = StreamQueue(
            max(DEFAULT_MEMORY, 8 * self._options.capacity * self._options.max_shards), self._count_full
        )
        self._encoder = RequestEncoder()
        self._clock = clock
        self._observe_duration = observe_duration
        self._limit = self._options.min_shards
        self._in_flight: dict[Shipment, tuple[Pending, ...]] = {}
        self._sender: Sender | None = None
        self._requests: asyncio.TaskGroup | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._flushing = False
        self._closing = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._warn = LimitedLog(_log.bind(remote_name=name, url=str(config.url)))

    def append(self, batch: SampleBatch) -> None:
        """Take one batch. What relabelling drops, or what does not fit into memory, is counted."""
        self._take(self._intake.samples(batch))

    def append_histograms(self, batch: HistogramBatch) -> None:
        """Take one batch, if the section asks for histograms. Those with custom buckets are dropped and counted."""
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
        if self._timer is None or self._queue.ready_samples >= self._options.max_samples_per_send:
            self._dispatch()

    def _count_full(self, dropped: AnyPortion) -> None:
        self.counters.of(dropped.kind).drop("queue_full", len(dropped))

    async def run(self, sender: Sender) -> None:
        """Deliver until ``close``; then end when requests in flight are settled or about to pause."""
        self._sender = sender
        async with asyncio.TaskGroup() as requests:
            self._requests = requests
            try:
                self._dispatch()
                await self._closing.wait()
            finally:
                self._requests = None
                self._disarm()

    async def flush(self, timeout: float) -> bool:  # noqa: ASYNC109 - running out of time is a normal end
        """Send without waiting for full requests until nothing is left, then close.

        False when ``timeout`` seconds were not enough.
        """
        self._flushing = True
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
        self._idle.set()

    def leftover(self) -> list[Pending]:
        """What was not delivered, oldest first; the queue is empty afterwards. Only while ``run`` does not run."""
        unsettled = sorted((entry for entries in self._in_flight.values() for entry in entries), key=arrival)
        self._in_flight.clear()
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
        counters, oldest = self.counters, self._queue.oldest
        return QueueStatus(
            name=self.name,
            url=str(self.config.url),
            pending_samples=self._queue.samples - sum(self._queue.others.values()),
            pending_bytes=self._queue.memory,
            max_pending_bytes=self._queue.max_memory,
            oldest_pending_age=0.0 if oldest is None else _now() - oldest,
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
                Kind.HISTOGRAMS, self._queue.others[Kind.HISTOGRAMS] + self._in_requests(Kind.HISTOGRAMS)
            ),
            exemplars=counters.status_of(
                Kind.EXEMPLARS, self._queue.others[Kind.EXEMPLARS] + self._in_requests(Kind.EXEMPLARS)
            ),
            bytes_sent=counters.bytes_sent,
            highest_timestamp=counters.highest_timestamp,
            highest_sent_timestamp=counters.highest_sent_timestamp,
            last_error=counters.last_error,
        )

    def _in_requests(self, kind: Kind) -> int:
        return sum(by_kind(entries).get(kind, 0) for entries in self._in_flight.values())

    def _dispatch(self) -> None:
        """Begin every request that is due, and see to it that this happens again in time."""
        if self._requests is None or self._sender is None or self._closing.is_set():
            return
        while len(self._in_flight) < self._limit and self._is_due():
            shipment = self._queue.take(self._options.max_samples_per_send)
            if shipment is None:
                break
            self._in_flight[shipment] = shipment.entries
            self._requests.create_task(self._deliver(shipment, self._sender), name=f"remote write {self.name}")
        self._arm()

    def _is_due(self) -> bool:
        oldest = self._queue.oldest_ready
        return oldest is not None and (
            self._flushing
            or self._queue.ready_samples >= self._options.max_samples_per_send
            or oldest + self._options.batch_send_deadline <= _now()
        )

    def _arm(self) -> None:
        oldest = self._queue.oldest_ready
        if oldest is None or len(self._in_flight) >= self._limit:
            self._disarm()  # the end of a request dispatches
            return
        when = oldest + self._options.batch_send_deadline
        if self._timer is None or self._timer.when() > when:
            self._disarm()
            self._timer = asyncio.get_running_loop().call_at(when, self._on_timer)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timer(self) -> None:
        self._timer = None
        self._dispatch()

    async def _deliver(self, shipment: Shipment, sender: Sender) -> None:
        """Send until the receiver has decided, or until others are to go on with what is in ``_in_flight``."""
        body = b""
        pause = max(float(self._options.min_backoff), _LEAST_BACKOFF)
        for attempt in count():
            outdated = self._drop_old(shipment)
            entries = self._in_flight[shipment]
            numbers = by_kind(entries)
            if not numbers:
                break
            if outdated or not body:
                body = self._encoder.encode([entry.portion for entry in entries])
            if attempt:
                self.counters.count("retried", numbers)
            outcome = await self._attempt(sender, Request(body), attempt, numbers)
            if not isinstance(outcome, Retry):
                outcome = Reject(outcome.reason) if isinstance(outcome, Unsupported) else outcome
                self._settle(shipment, outcome, len(body))
                break
            self._limit = max(self._options.min_shards, self._limit // 2)
            # Shortened at random, so that senders that failed together do not come back together.
            wait = uniform(0.5, 1.0) * pause if outcome.after is None else outcome.after  # noqa: S311 - not a secret
            pause = min(2 * pause, max(float(self._options.max_backoff), _LEAST_BACKOFF))
            if await self._closes_within(wait):
                return
        del self._in_flight[shipment]
        self._queue.done(shipment)
        self._dispatch()
        self._settle_idle()

    def _settle_idle(self) -> None:
        if self._in_flight or self._queue.samples:
            self._idle.clear()
        else:
            self._idle.set()

    async def _attempt(self, sender: Sender, request: Request, attempt: int, numbers: Mapping[Kind, int]) -> Outcome:
        begin = _now()
        self.counters.count("attempted", numbers)
        outcome = await sender.send(request, attempt)
        self._observe_duration(_now() - begin)
        if isinstance(outcome, Sent):
            self.counters.last_error = ""
        elif isinstance(outcome, Retry):
            self.counters.last_error = outcome.reason
            self._warn("sending samples failed and will be tried again", reason=outcome.reason, attempt=attempt)
        else:
            self.counters.last_error = outcome.reason
            self._warn("the receiver rejected samples, they are dropped", reason=outcome.reason, **as_facts(numbers))
        return outcome

    def _settle(self, shipment: Shipment, outcome: Sent | Reject, size: int) -> None:
        entries = self._in_flight[shipment]
        self.counters.bytes_sent += size
        if isinstance(outcome, Sent):
            self.counters.count("sent", by_kind(entries))
            newest = max(entry.portion.newest for entry in entries)
            self.counters.highest_sent_timestamp = max(self.counters.highest_sent_timestamp, newest)
        else:
            self.counters.count("failed", by_kind(entries))
        if self._queue.samples >= self._options.max_samples_per_send:
            self._limit = min(self._limit + 1, self._options.max_shards)
        else:
            self._limit = max(self._limit - 1, self._options.min_shards)

    def _drop_old(self, shipment: Shipment) -> bool:
        """Leave out what is older than ``sample_age_limit``; whether there was any."""
        if not self._options.sample_age_limit:
            return False
        oldest = self._clock.now_ms() - self._options.sample_age_limit.milliseconds
        entries = self._in_flight[shipment]
        young = tuple(
            Pending(entry.number, entry.since, part) for entry in entries for part in entry.portion.since(oldest)
        )
        self._in_flight[shipment] = young
        left = by_kind(young)
        dropped = {kind: number - left.get(kind, 0) for kind, number in by_kind(entries).items()}
        for kind, number in dropped.items():
            self.counters.of(kind).drop("too_old", number)
        return any(dropped.values())

    async def _closes_within(self, seconds: float) -> bool:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        return self._closing.is_set()


def _now() -> float:
    return asyncio.get_running_loop().time()
