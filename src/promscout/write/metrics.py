"""Remote write in promscout's own metrics, under the names that Prometheus gives to the same facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from promscout.write.status import KindStatus, QueueStatus, RemoteWriteStatus

_PREFIX: Final = "prometheus_remote_storage_"
_LABELS: Final = ("remote_name", "url")
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300)

_Fact: TypeAlias = tuple[str, str, Callable[[QueueStatus], float]]

_COUNTERS: Final[tuple[_Fact, ...]] = (
    ("samples_total", "Samples sent to the receiver, those of every attempt.", lambda q: q.attempted),
    ("samples_failed_total", "Samples that the receiver rejected for good.", lambda q: q.failed),
    ("samples_retried_total", "Samples sent again after a failure that may pass.", lambda q: q.retried),
    ("bytes_total", "Bytes of requests after compression.", lambda q: q.bytes_sent),
)
_GAUGES: Final[tuple[_Fact, ...]] = (
    ("samples_pending", "Samples waiting or in flight.", lambda q: q.pending_samples + q.in_flight_samples),
    ("shards", "Requests that may be in flight at present.", lambda q: q.shards),
    ("shards_min", "Least number of requests that may be in flight.", lambda q: q.min_shards),
    ("shards_max", "Greatest number of requests that may be in flight.", lambda q: q.max_shards),
    ("max_samples_per_send", "Most samples in one request.", lambda q: q.max_samples_per_send),
    (
        "queue_highest_timestamp_seconds",
        "Newest time stamp appended to the queue; 0 before the first.",
        lambda q: q.highest_timestamp / 1000,
    ),
    (
        "queue_highest_sent_timestamp_seconds",
        "Newest time stamp taken by the receiver; 0 before the first.",
        lambda q: q.highest_sent_timestamp / 1000,
    ),
)

_KINDS: Final[tuple[tuple[str, Callable[[QueueStatus], KindStatus]], ...]] = (
    ("histograms", lambda q: q.histograms),
    ("exemplars", lambda q: q.exemplars),
)


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
    yield CounterMetricFamily(
        f"{_PREFIX}samples_in_total", "Samples handed to remote write.", value=float(status.samples_in)
    )
    yield CounterMetricFamily(
        f"{_PREFIX}histograms_in_total", "Histograms handed to remote write.", value=float(status.histograms_in)
    )
    yield CounterMetricFamily(
        f"{_PREFIX}exemplars_in_total", "Exemplars handed to remote write.", value=float(status.exemplars_in)
    )
    yield GaugeMetricFamily(
        f"{_PREFIX}highest_timestamp_in_seconds",
        "Newest time stamp handed to remote write; 0 before the first.",
        value=status.highest_timestamp / 1000,
    )
    for name, text, fact in _COUNTERS:
        counter = CounterMetricFamily(_PREFIX + name, text, labels=_LABELS)
        for queue in status.queues:
            counter.add_metric((queue.name, queue.url), fact(queue))
        yield counter
    for name, text, fact in _GAUGES:
        gauge = GaugeMetricFamily(_PREFIX + name, text, labels=_LABELS)
        for queue in status.queues:
            gauge.add_metric((queue.name, queue.url), fact(queue))
        yield gauge
    dropped = CounterMetricFamily(
        f"{_PREFIX}samples_dropped_total", "Samples never sent, by reason.", labels=(*_LABELS, "reason")
    )
    for queue in status.queues:
        for reason, samples in queue.dropped.items():
            dropped.add_metric((queue.name, queue.url, reason), samples)
    yield dropped
    for kind, of in _KINDS:
        yield from _kind_families(kind, [((queue.name, queue.url), of(queue)) for queue in status.queues])


def _kind_families(kind: str, queues: Sequence[tuple[tuple[str, str], KindStatus]]) -> Iterator[Metric]:
    name = f"{_PREFIX}{kind}"
    text = kind.capitalize()
    sent = CounterMetricFamily(f"{name}_total", f"{text} sent to the receiver, those of every attempt.", labels=_LABELS)
    failed = CounterMetricFamily(f"{name}_failed_total", f"{text} that the receiver rejected for good.", labels=_LABELS)
    retried = CounterMetricFamily(f"{name}_retried_total", f"{text} sent again after a failure.", labels=_LABELS)
    pending = GaugeMetricFamily(f"{name}_pending", f"{text} waiting or in flight.", labels=_LABELS)
    dropped = CounterMetricFamily(
        f"{name}_dropped_total", f"{text} never sent, by reason.", labels=(*_LABELS, "reason")
    )
    for labels, status in queues:
        sent.add_metric(labels, status.attempted)
        failed.add_metric(labels, status.failed)
        retried.add_metric(labels, status.retried)
        pending.add_metric(labels, status.pending)
        for reason, number in status.dropped.items():
            dropped.add_metric((*labels, reason), number)
    yield from (sent, failed, retried, pending, dropped)
