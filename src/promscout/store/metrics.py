"""The local store in promscout's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from promscout.store.status import StoreStatus

_PREFIX: Final = "promscout_store_"
_COUNTERS: Final[tuple[tuple[str, str, Callable[[StoreStatus], float]], ...]] = (
    ("samples_in_total", "Samples handed to the local store.", lambda s: s.samples_in),
    ("samples_written_total", "Samples written to Parquet files.", lambda s: s.samples_written),
    ("failures_total", "Failed attempts to write to the journal or to Parquet files.", lambda s: s.failures),
)
_GAUGES: Final[tuple[tuple[str, str, Callable[[StoreStatus], float]], ...]] = (
    ("active", "Whether the local store takes what is scraped.", lambda s: s.active),
    ("samples_pending", "Samples that are in memory only.", lambda s: s.pending),
    ("journal_bytes", "Bytes of the journal.", lambda s: s.journal_bytes),
    ("lag_seconds", "Age of the oldest sample that is not in a Parquet file; 0 without any.", lambda s: s.lag),
    ("files", "Parquet files.", lambda s: s.usage.files),
    ("bytes", "Bytes of all Parquet files.", lambda s: s.usage.bytes),
)


class StoreMetrics(Collector):
    """The metrics of the local store. They are read from its status when they are asked for."""

    def __init__(self, registry: CollectorRegistry, status: Callable[[], StoreStatus]) -> None:
        self._status = status
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """The families without samples of the store."""
        return _families(StoreStatus(path=Path(), active=False))

    def collect(self) -> Iterable[Metric]:
        """The families at this moment."""
        return _families(self._status())


def _families(status: StoreStatus) -> Iterator[Metric]:
    for name, text, fact in _COUNTERS:
        yield CounterMetricFamily(_PREFIX + name, text, value=float(fact(status)))
    for name, text, fact in _GAUGES:
        yield GaugeMetricFamily(_PREFIX + name, text, value=float(fact(status)))
    dropped = CounterMetricFamily(
        f"{_PREFIX}samples_dropped_total", "Samples that are in no file, by reason.", labels=("reason",)
    )
    for reason, number in status.dropped.items():
        dropped.add_metric((reason,), number)
    yield dropped
