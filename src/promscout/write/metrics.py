"""Remote write in promscout's own metrics, under the names that Prometheus gives to the same facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from promscout.write.status import BufferStatus, KindStatus, QueueStatus, RemoteWriteStatus

_PREFIX: Final = "prometheus_remote_storage_"
_OWN: Final = "promscout_remote_write_"
_LABELS: Final = ("remote_name", "url")
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300)

_Fact: TypeAlias = tuple[str, str, Callable[[QueueStatus], float]]
_BufferFact: TypeAlias = tuple[str, str, Callable[[BufferStatus], float]]


def _shards_desired(queue: QueueStatus) -> int:
    """One more than there are while samples for a further request wait, so that it can be above ``shards_max``."""
    return queue.shards + (queue.pending_samples >= queue.max_samples_per_send)


_COUNTERS: Final[tuple[_Fact, ...]] = (
    (f"{_PREFIX}bytes_total", "Bytes of requests after compression.", lambda q: q.bytes_sent),
    (
        f"{_PREFIX}metadata_bytes_total",
        "Bytes of requests with metadata after compression.",
        lambda q: q.metadata_bytes_sent,
    ),
)
_GAUGES: Final[tuple[_Fact, ...]] = (
    (f"{_PREFIX}shards", "Requests that may be in flight at present.", lambda q: q.shards),
    (f"{_PREFIX}shards_min", "Least number of requests that may be in flight.", lambda q: q.min_shards),
    (f"{_PREFIX}shards_max", "Greatest number of requests that may be in flight.", lambda q: q.max_shards),
    (
        f"{_PREFIX}shards_desired",
        "Requests wanted in flight: one more than there may be while samples for it wait, in memory or on disk.",
        _shards_desired,
    ),
    (f"{_PREFIX}max_samples_per_send", "Most samples in one request.", lambda q: q.max_samples_per_send),
    (
        f"{_PREFIX}queue_highest_timestamp_seconds",
        "Newest time stamp appended to the queue; 0 before the first.",
        lambda q: q.highest_timestamp / 1000,
    ),
    (
        f"{_PREFIX}queue_highest_sent_timestamp_seconds",
        "Newest time stamp taken by the receiver; 0 before the first.",
        lambda q: q.highest_sent_timestamp / 1000,
    ),
    (f"{_OWN}pending_bytes", "Memory that samples take which wait.", lambda q: q.pending_bytes),
    (f"{_OWN}pending_bytes_max", "Most memory that samples may take which wait.", lambda q: q.max_pending_bytes),
    (
        f"{_OWN}oldest_pending_age_seconds",
        "How long the oldest sample has waited; 0 when none does.",
        lambda q: q.oldest_pending_age,
    ),
    (
        f"{_OWN}failing_seconds",
        "For how long attempts have failed that will be made again; 0 when the last one worked.",
        lambda q: q.failing_for,
    ),
)
_BUFFER_COUNTERS: Final[tuple[_BufferFact, ...]] = (
    (f"{_OWN}buffer_skipped_bytes_total", "Bytes of damaged segments that were skipped.", lambda b: b.skipped_bytes),
)
_BUFFER_GAUGES: Final[tuple[_BufferFact, ...]] = (
    (f"{_OWN}buffer_samples", "Samples that wait on disk only.", lambda b: b.samples),
    (f"{_OWN}buffer_histograms", "Histograms that wait on disk only.", lambda b: b.histograms),
    (f"{_OWN}buffer_exemplars", "Exemplars that wait on disk only.", lambda b: b.exemplars),
    (f"{_OWN}buffer_bytes", "Bytes of all segments on disk.", lambda b: b.bytes),
    (f"{_OWN}buffer_bytes_max", "Bytes on disk beyond which the oldest segments are dropped.", lambda b: b.max_bytes),
    (f"{_OWN}buffer_segments", "Segments on disk.", lambda b: b.segments),
    (f"{_OWN}buffer_error", "Whether nothing can be written to disk at present: 1, or 0.", lambda b: bool(b.error)),
)

_KINDS: Final[tuple[tuple[str, Callable[[QueueStatus], KindStatus]], ...]] = (
    (
        "samples",
        lambda q: KindStatus(
            pending=q.pending_samples + q.in_flight_samples,
            attempted=q.attempted,
            failed=q.failed,
            retried=q.retried,
            dropped=q.dropped,
        ),
    ),
    ("histograms", lambda q: q.histograms),
    ("exemplars", lambda q: q.exemplars),
    ("metadata", lambda q: q.metadata),
)
_ONLY_COUNTED: Final = "metadata"
"""The kind of which none waits or is dropped: what was not sent comes again with the next interval."""


class RemoteWriteMetrics(Collector):
    """The metrics of one remote write manager. They are read from its status when they are asked for.

    Source: prometheus v3.x storage/remote/queue_manager.go newQueueManagerMetrics, write.go NewWriteStorage.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._status: Callable[[], RemoteWriteStatus] = RemoteWriteStatus
        self._durations = Histogram(
            f"{_PREFIX}sent_batch_duration_seconds",
            "Duration of attempts to send a request.",
            _LABELS,
            buckets=_BUCKETS,
            registry=registry,
        )
        registry.register(self)

    def read_from(self, status: Callable[[], RemoteWriteStatus]) -> None:
        """Report what ``status`` says."""
        self._status = status

    def duration_observer(self, name: str, url: str) -> Callable[[float], None]:
        """Where a queue reports how many seconds each attempt took."""
        return self._durations.labels(name, url).observe

    def forget(self, name: str, url: str) -> None:
        """Report nothing about this queue any more."""
        self._durations.remove(name, url)

    def describe(self) -> Iterable[Metric]:
        """The families without samples."""
        return _families(RemoteWriteStatus())

    def collect(self) -> Iterable[Metric]:
        """The families at this moment."""
        return _families(self._status())


def _families(status: RemoteWriteStatus) -> Iterator[Metric]:
    for kind, number in (
        ("samples", status.samples_in),
        ("histograms", status.histograms_in),
        ("exemplars", status.exemplars_in),
    ):
        yield CounterMetricFamily(
            f"{_PREFIX}{kind}_in_total", f"{kind.capitalize()} handed to remote write.", value=float(number)
        )
    yield GaugeMetricFamily(
        f"{_PREFIX}highest_timestamp_in_seconds",
        "Newest time stamp handed to remote write; 0 before the first.",
        value=status.highest_timestamp / 1000,
    )
    queues = [((queue.name, queue.url), queue) for queue in status.queues]
    for name, text, fact in _COUNTERS:
        yield _counter(name, text, [(labels, fact(queue)) for labels, queue in queues])
    for name, text, fact in _GAUGES:
        yield _gauge(name, text, [(labels, fact(queue)) for labels, queue in queues])
    buffers = [(labels, queue.buffer) for labels, queue in queues if queue.buffer is not None]
    for name, text, of_buffer in _BUFFER_COUNTERS:
        yield _counter(name, text, [(labels, of_buffer(buffer)) for labels, buffer in buffers])
    for name, text, of_buffer in _BUFFER_GAUGES:
        yield _gauge(name, text, [(labels, of_buffer(buffer)) for labels, buffer in buffers])
    message = GaugeMetricFamily(
        f"{_OWN}protobuf_message", "Which message is sent: 1 for that one.", labels=(*_LABELS, "message")
    )
    for labels, queue in queues:
        if queue.protobuf_message:
            message.add_metric((*labels, queue.protobuf_message), 1)
    yield message
    for kind, of in _KINDS:
        yield from _kind_families(kind, [(labels, of(queue)) for labels, queue in queues])


def _kind_families(kind: str, queues: Sequence[tuple[tuple[str, str], KindStatus]]) -> Iterator[Metric]:
    name, text = f"{_PREFIX}{kind}", kind.capitalize()
    for suffix, rest, fact in (
        ("total", "sent to the receiver, those of every attempt.", "attempted"),
        ("failed_total", "that the receiver rejected for good.", "failed"),
        ("retried_total", "sent again after a failure that may pass.", "retried"),
    ):
        yield _counter(
            f"{name}_{suffix}", f"{text} {rest}", [(labels, getattr(status, fact)) for labels, status in queues]
        )
    if kind == _ONLY_COUNTED:
        return
    yield _gauge(
        f"{name}_pending",
        f"{text} waiting, in memory or on disk, or in flight.",
        [(labels, status.pending) for labels, status in queues],
    )
    dropped = CounterMetricFamily(
        f"{name}_dropped_total", f"{text} never sent, by reason.", labels=(*_LABELS, "reason")
    )
    for labels, status in queues:
        for reason, number in status.dropped.items():
            dropped.add_metric((*labels, reason), number)
    yield dropped


def _counter(name: str, text: str, values: Iterable[tuple[tuple[str, str], float]]) -> Metric:
    family = CounterMetricFamily(name, text, labels=_LABELS)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _gauge(name: str, text: str, values: Iterable[tuple[tuple[str, str], float]]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=_LABELS)
    for labels, value in values:
        family.add_metric(labels, value)
    return family
