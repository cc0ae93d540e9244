"""What the API and the remote write page say about receivers: each queue's state in a word, and sums over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import StrEnum

import msgspec

from promscout.write.status import KindStatus, QueueStatus, RemoteWriteStatus


class DeliveryState(StrEnum):
    """How a receiver's queue is doing. The first that holds, from the last to the first."""

    IDLE = "idle"  # nothing was sent yet, and nothing waits
    DELIVERING = "delivering"
    BEHIND = "behind"  # the receiver takes samples, but some have waited too long
    REJECTING = "rejecting"  # the last request was refused for good
    FAILING = "failing"  # the last attempt failed and will be made again


class Totals(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All queues together. Samples unless stated otherwise; the fields mean what those of ``QueueStatus`` mean."""

    pending_samples: int
    in_flight_samples: int
    pending_bytes: int
    attempted: int
    sent: int
    failed: int
    retried: int
    dropped: dict[str, int]
    bytes_sent: int
    buffered_samples: int
    """Waiting on disk only."""
    buffer_bytes: int
    histograms: KindStatus
    exemplars: KindStatus
    metadata: KindStatus


class QueueAnswer(QueueStatus, frozen=True, kw_only=True, rename="camel"):
    """A queue at one moment, and its state in a word."""

    state: DeliveryState


class RemoteWriteAnswer(RemoteWriteStatus, frozen=True, kw_only=True, rename="camel"):
    """The data of ``/api/v1/status/remote_write``."""

    queues: tuple[QueueAnswer, ...] = ()
    totals: Totals


def delivery_state(queue: QueueStatus) -> DeliveryState:
    """The state of one queue."""
    if queue.failing_for:
        return DeliveryState.FAILING
    if queue.last_error:
        return DeliveryState.REJECTING
    age = queue.oldest_pending_age
    if age > 2 * queue.batch_send_deadline + 10:
        return DeliveryState.BEHIND
    return DeliveryState.DELIVERING if queue.attempted or age else DeliveryState.IDLE


class KindRow(msgspec.Struct, frozen=True):
    """What became of one kind of things in a queue. Metadata never wait: ``in_memory`` and ``on_disk`` are None."""

    name: str
    sent: int
    in_memory: int | None
    on_disk: int | None
    retried: int
    failed: int
    dropped: dict[str, int]


class Receiver(msgspec.Struct, frozen=True):
    """A receiver as the page shows it. The row of samples is always there, the others if there is anything to say."""

    queue: QueueStatus
    state: DeliveryState
    rows: tuple[KindRow, ...]


def receiver(queue: QueueStatus) -> Receiver:
    """One queue for the page."""
    return Receiver(queue, delivery_state(queue), tuple(_rows(queue)))


def _rows(queue: QueueStatus) -> Iterator[KindRow]:
    buffer = queue.buffer
    on_disk = buffer.samples if buffer else None
    in_memory = queue.pending_samples + queue.in_flight_samples - (on_disk or 0)
    yield KindRow("Samples", queue.sent, in_memory, on_disk, queue.retried, queue.failed, queue.dropped)
    for name, status, on_disk in (
        ("Histograms", queue.histograms, buffer.histograms if buffer else None),
        ("Exemplars", queue.exemplars, buffer.exemplars if buffer else None),
    ):
        if status != KindStatus():
            in_memory = status.pending - (on_disk or 0)
            yield KindRow(name, status.sent, in_memory, on_disk, status.retried, status.failed, status.dropped)
    metadata = queue.metadata
    if metadata != KindStatus():
        yield KindRow("Metadata", metadata.sent, None, None, metadata.retried, metadata.failed, metadata.dropped)


def totals(queues: Iterable[QueueStatus]) -> Totals:
    """The sums over ``queues``."""
    queues = tuple(queues)
    buffers = [queue.buffer for queue in queues if queue.buffer is not None]
    return Totals(
        pending_samples=sum(queue.pending_samples for queue in queues),
        in_flight_samples=sum(queue.in_flight_samples for queue in queues),
        pending_bytes=sum(queue.pending_bytes for queue in queues),
        attempted=sum(queue.attempted for queue in queues),
        sent=sum(queue.sent for queue in queues),
        failed=sum(queue.failed for queue in queues),
        retried=sum(queue.retried for queue in queues),
        dropped=_sum_by_reason(queue.dropped for queue in queues),
        bytes_sent=sum(queue.bytes_sent for queue in queues),
        buffered_samples=sum(buffer.samples for buffer in buffers),
        buffer_bytes=sum(buffer.bytes for buffer in buffers),
        histograms=_sum_of_kind(queue.histograms for queue in queues),
        exemplars=_sum_of_kind(queue.exemplars for queue in queues),
        metadata=_sum_of_kind(queue.metadata for queue in queues),
    )


def remote_write_answer(status: RemoteWriteStatus) -> RemoteWriteAnswer:
    """The status, the state of each queue, and the sums over all."""
    queues = tuple(QueueAnswer(state=delivery_state(queue), **msgspec.structs.asdict(queue)) for queue in status.queues)
    given = msgspec.structs.asdict(status) | {"queues": queues}
    return RemoteWriteAnswer(totals=totals(status.queues), **given)


def _sum_of_kind(statuses: Iterable[KindStatus]) -> KindStatus:
    statuses = tuple(statuses)
    return KindStatus(
        pending=sum(status.pending for status in statuses),
        attempted=sum(status.attempted for status in statuses),
        sent=sum(status.sent for status in statuses),
        failed=sum(status.failed for status in statuses),
        retried=sum(status.retried for status in statuses),
        dropped=_sum_by_reason(status.dropped for status in statuses),
    )


def _sum_by_reason(dropped: Iterable[dict[str, int]]) -> dict[str, int]:
    sums: Counter[str] = Counter()
    for reasons in dropped:
        sums.update(reasons)
    return dict(sums)
