"""Discovery's own metrics, under Prometheus's names where the meaning is the same."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

ROLES: Final = ("endpoints", "endpointslice", "ingress", "node", "pod", "service")

_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class PublishedGroups:
    """One role's work queue: how many keys were worked off, and how long each took from its event."""

    def __init__(self, items: Counter, seconds: Histogram) -> None:
        self._items = items
        self._seconds = seconds

    def observe(self, added: Collection[float], now: float) -> None:
        """Groups were published at ``now`` whose keys were queued at the times ``added``."""
        self._items.inc(len(added))
        for when in added:
            self._seconds.observe(now - when)


class DiscoveryMetrics:
    """Counters of discovery. ``kubernetes_events`` are by role and event (add, update, delete).

    The time from an event to a target's first scrape is the sum of three histograms: event to group, change wait, and
    first scrape (of the scrape loops).

    Source: prometheus v3.x discovery/metrics.go, discovery/kubernetes/metrics.go.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.discovered_targets = Gauge(
            "prometheus_sd_discovered_targets",
            "Current number of discovered targets.",
            ["name", "config"],
            registry=registry,
        )
        self.failed_configs = Gauge(
            "prometheus_sd_failed_configs",
            "Current number of service discovery configurations that cannot be used.",
            registry=registry,
        )
        self.received_updates = Counter(
            "prometheus_sd_received_updates",
            "Total number of update events received from the SD providers.",
            registry=registry,
        )
        self.updates = Counter(
            "prometheus_sd_updates",
            "Total number of update events sent to the SD consumers.",
            registry=registry,
        )
        self.updates_delayed = Counter(
            "prometheus_sd_updates_delayed",
            "Total number of update events that waited to be sent together with later ones.",
            registry=registry,
        )
        events = Counter(
            "prometheus_sd_kubernetes_events",
            "The number of Kubernetes events handled.",
            ["role", "event"],
            registry=registry,
        )
        self.kubernetes_events = {
            role: {event: events.labels(role, event) for event in ("add", "update", "delete")} for role in ROLES
        }
        items = Counter(
            "prometheus_sd_kubernetes_workqueue_items",
            "Total number of items handled by the work queue.",
            ["queue_name"],
            registry=registry,
        )
        seconds = Histogram(
            "promscout_sd_event_to_group_seconds",
            "Time from an event of an object until the group that shows it is published.",
            ["role"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.change_wait = Histogram(
            "promscout_sd_change_wait_seconds",
            "Time from a group's publication until the scrape pools take it.",
            buckets=_SECONDS,
            registry=registry,
        )
        self.kubernetes_published = {role: PublishedGroups(items.labels(role), seconds.labels(role)) for role in ROLES}
        self._kubernetes_failures = Counter(
            "prometheus_sd_kubernetes_failures",
            "The number of failed WATCH/LIST requests.",
            registry=registry,
        )

    def failed(self, resource: str) -> None:  # noqa: ARG002 - the metric that Prometheus has knows no resource
        """A list or watch failed."""
        self._kubernetes_failures.inc()
