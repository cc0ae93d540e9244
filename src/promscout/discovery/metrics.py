"""Discovery's own metrics, under Prometheus's names where the meaning is the same."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary

from promscout.discovery.kubernetes.metrics import WorkQueueCollector
from promscout.kube.workqueue import QueueStats

ROLES: Final = ("endpoints", "endpointslice", "ingress", "node", "pod", "service")

MANAGER: Final = "scrape"
"""The discovery manager's name in metrics: Prometheus has another one, for Alertmanagers."""

_SECONDS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class DiscoveryMetrics:
    """Counters of discovery.

    ``kubernetes_events`` are by role and event (add, update, delete), ``event_to_group`` by role.

    The time from an event to a target's first scrape is the sum of three histograms: event to group, change wait, and
    first scrape (of the scrape loops).

    Source: prometheus v3.x discovery/metrics.go, discovery/metrics_k8s_client.go, discovery/kubernetes/metrics.go.
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
            ["name"],
            registry=registry,
        ).labels(MANAGER)
        self.received_updates = Counter(
            "prometheus_sd_received_updates",
            "Total number of update events received from the SD providers.",
            ["name"],
            registry=registry,
        ).labels(MANAGER)
        self.updates = Counter(
            "prometheus_sd_updates",
            "Total number of update events sent to the SD consumers.",
            ["name"],
            registry=registry,
        ).labels(MANAGER)
        self.updates_delayed = Counter(
            "prometheus_sd_updates_delayed",
            "Total number of update events that waited to be sent together with later ones.",
            ["name"],
            registry=registry,
        ).labels(MANAGER)
        events = Counter(
            "prometheus_sd_kubernetes_events",
            "The number of Kubernetes events handled.",
            ["role", "event"],
            registry=registry,
        )
        self.kubernetes_events = {
            role: {event: events.labels(role, event) for event in ("add", "update", "delete")} for role in ROLES
        }
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
        self.event_to_group = {role: seconds.labels(role) for role in ROLES}
        self._queues: dict[str, QueueStats] = {}
        registry.register(WorkQueueCollector(self._queues))
        self._kubernetes_failures = Counter(
            "prometheus_sd_kubernetes_failures",
            "The number of failed WATCH/LIST requests.",
            registry=registry,
        )

        self._requests = Counter(
            "prometheus_sd_kubernetes_http_request",
            "HTTP requests to Kubernetes API servers, by status code; <error> where no answer came.",
            ["status_code"],
            registry=registry,
        )
        self._request_seconds = Summary(
            "prometheus_sd_kubernetes_http_request_duration_seconds",
            "How long requests for lists took, by endpoint.",
            ["endpoint"],
            registry=registry,
        )

    def kubernetes_queue(self, role: str) -> QueueStats:
        """The statistics that all work queues of a role share."""
        return self._queues.setdefault(role, QueueStats())

    def requested(self, status_code: str) -> None:
        """A request to an API server was answered with this status, or ``<error>`` was all that came of it."""
        self._requests.labels(status_code).inc()

    def took(self, endpoint: str, seconds: float) -> None:
        """A request for a list, or a page of it, is over."""
        self._request_seconds.labels(endpoint).observe(seconds)

    def failed(self, resource: str) -> None:  # noqa: ARG002 - the metric that Prometheus has knows no resource
        """A list or watch failed."""
        self._kubernetes_failures.inc()
