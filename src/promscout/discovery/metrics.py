"""Discovery's own metrics, under Prometheus's names where the meaning is the same."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

ROLES: Final = ("endpoints", "endpointslice", "ingress", "node", "pod", "service")


class DiscoveryMetrics:
    """Counters of discovery. ``kubernetes_events`` are by role and event (add, update, delete).

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
        self._kubernetes_failures = Counter(
            "prometheus_sd_kubernetes_failures",
            "The number of failed WATCH/LIST requests.",
            registry=registry,
        )

    def failed(self, resource: str) -> None:  # noqa: ARG002 - the metric that Prometheus has knows no resource
        """A list or watch failed."""
        self._kubernetes_failures.inc()
