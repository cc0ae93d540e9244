"""What the watches of Kubernetes discovery are doing: for the API, the pages and the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any, Final

import msgspec
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from promscout.discovery.kubernetes.discoverer import KubernetesDiscoverer
from promscout.discovery.provider import Provider
from promscout.kube.informer import Informer


class WatchState(StrEnum):
    """How a watch is doing."""

    OK = "ok"  # listed, and followed since
    SYNCING = "syncing"  # the first list is under way
    FAILING = "failing"  # the last attempt failed; what was listed before is still used
    FORBIDDEN = "forbidden"  # the account may not list or watch this


class WatchStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One watch. ``jobs`` need it for their targets, ``attached_by`` only for further labels.

    ``bytes`` were received so far; ``last_seen_seconds`` is how long ago the last sign of life came, null before the
    first; ``error`` is empty while all is well.
    """

    server: str
    resource: str
    namespace: str
    label_selector: str
    field_selector: str
    state: WatchState
    jobs: tuple[str, ...]
    attached_by: tuple[str, ...]
    objects: int
    bytes: int
    lists: int
    watches: int
    last_seen_seconds: float | None
    error: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Values for ``WATCH_LABELS``."""
        return (self.server, self.resource, self.namespace, self.label_selector, self.field_selector)


class Degradation(msgspec.Struct, frozen=True):
    """A job whose targets lack the labels of ``resource``, and why: ``forbidden``, ``failing`` or ``syncing``."""

    job: str
    resource: str
    reason: WatchState
    error: str


WATCH_LABELS: Final = ("server", "resource", "namespace", "label_selector", "field_selector")


def watch_statuses(providers: Iterable[Provider]) -> tuple[WatchStatus, ...]:
    """Every watch that ``providers`` hold, each once, by server, resource and scope."""
    primary: dict[Informer[Any], set[str]] = {}
    optional: dict[Informer[Any], set[str]] = {}
    for provider in providers:
        discoverer = provider.discoverer
        if isinstance(discoverer, KubernetesDiscoverer) and discoverer.needs is not None:
            for informers, users in ((discoverer.needs.primary, primary), (discoverer.needs.optional, optional)):
                for informer in informers:
                    users.setdefault(informer, set()).update(provider.jobs)
    found = (_status(one, primary.get(one, set()), optional.get(one, set())) for one in {**primary, **optional})
    return tuple(sorted(found, key=lambda status: status.labels))


def degradations(statuses: Iterable[WatchStatus]) -> tuple[Degradation, ...]:
    """Every job that does without the labels of a resource, sorted."""
    return tuple(
        sorted(
            (
                Degradation(job, status.resource, status.state, status.error)
                for status in statuses
                if status.state is not WatchState.OK
                for job in status.attached_by
            ),
            key=lambda one: (one.job, one.resource),
        )
    )


def _status(informer: Informer[Any], jobs: set[str], attached_by: set[str]) -> WatchStatus:
    status, key = informer.status, informer.key
    seen = status.last_seen
    return WatchStatus(
        server=key.access.url,
        resource=key.resource.plural,
        namespace=key.scope.namespace,
        label_selector=key.scope.label_selector,
        field_selector=key.scope.field_selector,
        state=_state(informer),
        jobs=tuple(sorted(jobs)),
        attached_by=tuple(sorted(attached_by)),
        objects=len(informer.store),
        bytes=status.bytes,
        lists=status.lists,
        watches=status.watches,
        last_seen_seconds=None if seen is None else round(asyncio.get_running_loop().time() - seen, 3),
        error=status.last_error,
    )


def _state(informer: Informer[Any]) -> WatchState:
    if informer.status.forbidden:
        return WatchState.FORBIDDEN
    if informer.status.last_error:
        return WatchState.FAILING
    return WatchState.OK if informer.synced else WatchState.SYNCING


class WatchCollector(Collector):
    """The watches as metrics, read when they are asked for."""

    def __init__(self, statuses: Callable[[], Iterable[WatchStatus]]) -> None:
        self._statuses = statuses

    def describe(self) -> Iterable[Metric]:
        """No metric is fixed before the first scrape."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """One series per watch, and one per job and resource that is missing."""
        statuses = tuple(self._statuses())
        objects = GaugeMetricFamily("promscout_sd_watch_objects", "Objects in the watch's store.", labels=WATCH_LABELS)
        received = CounterMetricFamily("promscout_sd_watch_received_bytes", "Bytes received.", labels=WATCH_LABELS)
        silence = GaugeMetricFamily(
            "promscout_sd_watch_silence_seconds", "Time since the last sign of life.", labels=WATCH_LABELS
        )
        for status in statuses:
            objects.add_metric(status.labels, status.objects)
            received.add_metric(status.labels, status.bytes)
            if status.last_seen_seconds is not None:
                silence.add_metric(status.labels, status.last_seen_seconds)
        degraded = GaugeMetricFamily(
            "promscout_sd_degraded",
            "1 for each resource whose labels a job's targets lack.",
            labels=("job", "resource", "reason"),
        )
        for one in dict.fromkeys((one.job, one.resource, one.reason.value) for one in degradations(statuses)):
            degraded.add_metric(one, 1)
        yield from (objects, received, silence, degraded)
