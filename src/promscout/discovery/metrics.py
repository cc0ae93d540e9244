"""Discovery's own metrics, under Prometheus's names where the meaning is the same."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class DiscoveryMetrics:
    """Counters of discovery. Source: prometheus v3.x discovery/metrics.go, discovery/kubernetes/metrics.go."""

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
        self._kubernetes_events = Counter(
            "prometheus_sd_kubernetes_events",
            "The number of Kubernetes events handled.",
            ["role", "event"],
            registry=registry,
        )
        self._kubernetes_failures = Counter(
            "prometheus_sd_kubernetes_failures",
            "The number of failed WATCH/LIST requests.",
            registry=registry,
        )

    def kubernetes_event(self, role: str, event: str) -> None:
        """One event (add, update or delete) of an object of ``role``."""
        self._kubernetes_events.labels(role, event).inc()

    def failed(self, resource: str) -> None:  # noqa: ARG002 - the metric that Prometheus has knows no resource
        """A list or watch failed."""
        self._kubernetes_failures.inc()
