"""Scraping's own metrics, under Prometheus's names where the meaning is the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from promscout.model.duration import Duration
from promscout.scrape.own_times import Admitted

LATE: Final = 0.05
"""Seconds after its slot from which on a scrape counts as late."""


class ScrapeMetrics:
    """Counters of scraping. Source: prometheus v3.x scrape/metrics.go."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pools = Counter(
            "prometheus_target_scrape_pools", "Total number of scrape pool creation attempts.", registry=registry
        )
        self.pool_reloads = Counter(
            "prometheus_target_scrape_pool_reloads", "Total number of scrape pool reloads.", registry=registry
        )
        self.reload_length = Summary(
            "prometheus_target_reload_length_seconds",
            "Actual interval to reload the scrape pool with a given configuration.",
            ["interval"],
            registry=registry,
        )
        self.pool_targets = Gauge(
            "prometheus_target_scrape_pool_targets",
            "Current number of targets in this scrape pool.",
            ["scrape_job"],
            registry=registry,
        )
        self.pool_target_limit = Gauge(
            "prometheus_target_scrape_pool_target_limit",
            "Maximum number of targets allowed in this scrape pool.",
            ["scrape_job"],
            registry=registry,
        )
        self.target_limit_exceeded = Counter(
            "prometheus_target_scrape_pool_exceeded_target_limit",
            "Total number of times scrape pools hit the target limit, during sync or config reload.",
            registry=registry,
        )
        self.pool_duplicates = Gauge(
            "promscout_target_scrape_pool_duplicates",
            "Discovered targets of this scrape pool that are equal to another one, which is scraped for them.",
            ["scrape_job"],
            registry=registry,
        )
        self.pool_syncs = Counter(
            "prometheus_target_scrape_pool_sync",
            "Total number of syncs that were executed on a scrape pool.",
            ["scrape_job"],
            registry=registry,
        )
        self.sync_length = Summary(
            "prometheus_target_sync_length_seconds",
            "Interval to sync the scrape pool.",
            ["scrape_job"],
            registry=registry,
        )
        self.sync_failed = Counter(
            "prometheus_target_sync_failed", "Total number of target sync failures.", ["scrape_job"], registry=registry
        )
        interval_length = Summary(
            "prometheus_target_interval_length_seconds",
            "Actual intervals between scrapes.",
            ["interval"],
            registry=registry,
        )
        # Looking a child up costs more than observing it, and there are few intervals.
        self.interval_length: Callable[[Duration], Summary] = lru_cache(
            lambda interval: interval_length.labels(str(interval))
        )
        self.body_too_large = Counter(
            "prometheus_target_scrapes_exceeded_body_size_limit",
            "Total number of scrapes that hit the body size limit.",
            registry=registry,
        )
        self.too_many_samples = Counter(
            "prometheus_target_scrapes_exceeded_sample_limit",
            "Total number of scrapes that hit the sample limit and were rejected.",
            registry=registry,
        )
        self.label_limits_exceeded = Counter(
            "prometheus_target_scrape_pool_exceeded_label_limits",
            "Total number of scrapes that hit one of the label limits and were rejected.",
            registry=registry,
        )
        self.duplicate_samples = Counter(
            "prometheus_target_scrapes_sample_duplicate_timestamp",
            "Total number of samples rejected due to duplicate timestamps but different values.",
            registry=registry,
        )
        self.out_of_order_samples = Counter(
            "prometheus_target_scrapes_sample_out_of_order",
            "Total number of samples rejected due to not being out of the expected order.",
            registry=registry,
        )
        self.out_of_bounds_samples = Counter(
            "prometheus_target_scrapes_sample_out_of_bounds",
            "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            registry=registry,
        )
        self.too_many_buckets = Counter(
            "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit",
            "Total number of scrapes that hit the native histogram bucket limit and were rejected.",
            registry=registry,
        )
        self.lateness = Histogram(
            "promscout_target_scrape_lateness_seconds",
            "Time from a target's slot until its scrape began.",
            buckets=(0.001, 0.005, 0.01, 0.025, LATE, 0.1, 0.25, 0.5, 1.0, 5.0),
            registry=registry,
        )
        self.late = Counter(
            "promscout_target_scrapes_late",
            f"Total number of scrapes that began more than {LATE * 1000:g} ms after their slot.",
            registry=registry,
        )
        self.first_scrape = Histogram(
            "promscout_target_first_scrape_seconds",
            "Time from the sync that found a target until its first scrape has ended.",
            buckets=(0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0),
            registry=registry,
        )
        self.missed = Counter(
            "promscout_target_scrapes_missed",
            "Total number of slots in which a target was not scraped because its last scrape was still under way.",
            registry=registry,
        )
        self.samples = Counter("promscout_scraped_samples", "Total number of samples scraped.", registry=registry)

    def started(self, lateness: float) -> None:
        """A scrape began that many seconds after its slot."""
        self.lateness.observe(max(0.0, lateness))
        if lateness > LATE:
            self.late.inc()

    def refused(self, admitted: Admitted) -> None:
        """Samples were left out because of their time stamps."""
        if admitted.out_of_order:
            self.out_of_order_samples.inc(admitted.out_of_order)
        if admitted.duplicates:
            self.duplicate_samples.inc(admitted.duplicates)
        if admitted.out_of_bounds:
            self.out_of_bounds_samples.inc(admitted.out_of_bounds)

    def forget(self, job: str) -> None:
        """Drop the series of a job that exists no more."""
        for metric in (
            self.pool_targets,
            self.pool_target_limit,
            self.pool_duplicates,
            self.pool_syncs,
            self.sync_length,
            self.sync_failed,
        ):
            try:
                metric.remove(job)
            except KeyError:
                continue
