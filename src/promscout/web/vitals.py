"""The agent's own numbers at one moment, read from counters that exist anyway."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import Counter, Histogram
from prometheus_client.samples import Sample

from promscout.web.view import AgentView

_STATM: Final = Path("/proc/self/statm")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_QUANTILE: Final = 0.99


class Vital(StrEnum):
    """What is kept of the last hour. Rates are per second, times in seconds, sizes in bytes."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"
    DROPPED = "dropped"
    SAMPLES = "samples"  # scraped, per second
    LATENESS = "lateness"  # of 99 in 100 scrapes since the value before; NaN without scrapes
    LAG = "lag"  # mean, from an event to the pools, since the value before; NaN without events
    CPU = "cpu"  # cores
    MEMORY = "memory"  # resident
    WAITING = "waiting"  # samples that wait for receivers, all receivers together
    DELIVERED = "delivered"  # samples per second that receivers took
    STORED = "stored"  # samples per second that the local store took


class HealthCounts(msgspec.Struct, frozen=True):
    """The targets of all pools together."""

    up: int = 0
    down: int = 0
    unknown: int = 0
    dropped: int = 0

    @property
    def active(self) -> int:
        """Those that are scraped."""
        return self.up + self.down + self.unknown


def health_counts(view: AgentView) -> HealthCounts:
    """At this moment, without looking at any target."""
    pools = view.scrape.pools.values()
    return HealthCounts(
        sum(pool.health.up for pool in pools),
        sum(pool.health.down for pool in pools),
        sum(pool.health.unknown for pool in pools),
        sum(pool.dropped_count for pool in pools),
    )


class Vitals:
    """Reads them again and again.

    Guarantees: the cost of a reading depends on the number of jobs and receivers, not on that of targets. Whatever is
    per second is since the reading before; the first has none of it.
    """

    def __init__(self, view: AgentView, now: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._now = now
        self._at = now()
        self._counts: dict[str, float] = {}
        self._buckets: dict[float, float] = {}

    def read(self) -> dict[str, float]:
        """The numbers by the names of ``Vital``."""
        before, self._at = self._at, self._now()
        elapsed = self._at - before
        health = health_counts(self._view)
        queues = self._view.remote_write.status().queues
        store = self._view.store
        scraped = self._view.scrape.metrics
        return {
            Vital.UP: health.up,
            Vital.DOWN: health.down,
            Vital.UNKNOWN: health.unknown,
            Vital.DROPPED: health.dropped,
            Vital.SAMPLES: _ratio(self._growth(Vital.SAMPLES, total(scraped.samples)), elapsed),
            Vital.LATENESS: self._lateness(scraped.lateness),
            Vital.LAG: self._lag(),
            Vital.CPU: _ratio(self._growth(Vital.CPU, time.process_time()), elapsed),
            Vital.MEMORY: _resident(),
            Vital.WAITING: sum(queue.pending_samples + queue.in_flight_samples for queue in queues),
            Vital.DELIVERED: _ratio(self._growth(Vital.DELIVERED, sum(queue.sent for queue in queues)), elapsed),
            Vital.STORED: _ratio(self._growth(Vital.STORED, store.samples_in if store is not None else 0), elapsed),
        }

    def _growth(self, name: str, count: float) -> float:
        """How much a count has grown since the reading before: not at all when it began anew, NaN at the first."""
        before = self._counts.get(name, math.nan)
        self._counts[name] = count
        return math.nan if math.isnan(before) else max(0.0, count - before)

    def _lateness(self, histogram: Histogram) -> float:
        now = _buckets(histogram)
        grown = {bound: count - self._buckets.get(bound, 0) for bound, count in now.items()}
        self._buckets = now
        return quantile(_QUANTILE, grown)

    def _lag(self) -> float:
        """The mean time from event to group, where there are events, and that from group to pools on top of it."""
        metrics = self._view.discovery.metrics
        means = [
            self._mean("event to group", metrics.event_to_group.values()),
            self._mean("change wait", [metrics.change_wait]),
        ]
        known = [mean for mean in means if not math.isnan(mean)]
        return sum(known) if known else math.nan

    def _mean(self, name: str, histograms: Iterable[Histogram]) -> float:
        seconds, count = 0.0, 0.0
        for histogram in histograms:
            values = _values(histogram)
            seconds += values["_sum"]
            count += values["_count"]
        return _ratio(self._growth(f"{name} sum", seconds), self._growth(f"{name} count", count))


def quantile(share: float, buckets: dict[float, float]) -> float:
    """The value below which ``share`` of the observations are; NaN without any.

    ``buckets`` are upper bound → observations up to it, in order, the last bound infinite. Within a bucket values are
    taken to be spread evenly.

    Source: prometheus v3.x promql/quantile.go BucketQuantile.
    """
    observed = next(reversed(buckets.values()), 0)
    if not observed:
        return math.nan
    rank = share * observed
    for (low, below), (high, upto) in pairwise([(0.0, 0.0), *buckets.items()]):
        if upto >= rank:
            return low if high == math.inf else low + (high - low) * (rank - below) / ((upto - below) or 1)
    return math.nan


def total(counter: Counter) -> float:
    """What a counter without labels has counted."""
    return next(sample.value for sample in _samples(counter) if sample.name.endswith("_total"))


def _values(histogram: Histogram) -> dict[str, float]:
    return {sample.name[sample.name.rindex("_") :]: sample.value for sample in _samples(histogram)}


def _buckets(histogram: Histogram) -> dict[float, float]:
    return {float(sample.labels["le"]): sample.value for sample in _samples(histogram) if "le" in sample.labels}


def _samples(metric: Counter | Histogram) -> list[Sample]:
    return [sample for family in metric.collect() for sample in family.samples]


def _ratio(amount: float, of: float) -> float:
    return amount / of if of > 0 else math.nan


def _resident() -> float:
    with suppress(OSError):
        return float(_STATM.read_bytes().split()[1]) * _PAGE
    return math.nan
