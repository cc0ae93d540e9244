"""The work queues of Kubernetes discovery as metrics, under client-go's names in Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from promscout.kube.workqueue import QueueStats

_PREFIX: Final = "prometheus_sd_kubernetes_workqueue_"
_LABELS: Final = ("queue_name",)


class WorkQueueCollector(Collector):
    """Reads the queues' statistics, by queue name, when it is asked for them.

    Keys are worked on in batches: the sums of durations are those of the batches, the counts those of keys.

    Source: prometheus v3.x discovery/metrics_k8s_client.go.
    """

    def __init__(self, queues: Mapping[str, QueueStats]) -> None:
        self._queues = queues

    def describe(self) -> Iterable[Metric]:
        """The families, without series."""
        return self._families()

    def collect(self) -> Iterator[Metric]:
        """One series per queue name in each family."""
        depth, items, latency, unfinished, longest, work = families = self._families()
        for name, stats in self._queues.items():
            # Nothing is being worked on when no event loop runs.
            now = asyncio.get_running_loop().time() if stats.running else 0.0
            depth.add_metric((name,), stats.depth)
            items.add_metric((name,), stats.added)
            latency.add_metric((name,), stats.taken, stats.waited)
            unfinished.add_metric((name,), stats.unfinished(now))
            longest.add_metric((name,), stats.longest(now))
            work.add_metric((name,), stats.done, stats.worked)
        yield from families

    @staticmethod
    def _families() -> tuple[
        GaugeMetricFamily,
        CounterMetricFamily,
        SummaryMetricFamily,
        GaugeMetricFamily,
        GaugeMetricFamily,
        SummaryMetricFamily,
    ]:
        return (
            GaugeMetricFamily(_PREFIX + "depth", "Keys that wait in the work queue.", labels=_LABELS),
            CounterMetricFamily(_PREFIX + "items", "Keys added to the work queue.", labels=_LABELS),
            SummaryMetricFamily(_PREFIX + "latency_seconds", "How long a key stays in the work queue.", labels=_LABELS),
            GaugeMetricFamily(
                _PREFIX + "unfinished_work_seconds",
                "How long the keys that are worked on have been so, together.",
                labels=_LABELS,
            ),
            GaugeMetricFamily(
                _PREFIX + "longest_running_processor_seconds",
                "How long the oldest of the keys that are worked on has been so.",
                labels=_LABELS,
            ),
            SummaryMetricFamily(_PREFIX + "work_duration_seconds", "How long working on a key takes.", labels=_LABELS),
        )
