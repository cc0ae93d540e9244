"""Discoverers that ask for everything again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, Summary

from promscout.discovery.discoverer import Publish
from promscout.errors import PromscoutError
from promscout.logs import EventLog
from promscout.model.group import TargetGroup

Refresh: TypeAlias = Callable[[], Awaitable[Iterable[TargetGroup]]]
"""Finds all groups that there are now."""

_BUCKETS: Final = (0.01, 0.1, 1.0, 10.0)

_log = EventLog("promscout.discovery.refresh")


class RefreshFailed(PromscoutError):  # noqa: N818 - reads as what it is
    """What there is now cannot be found out. The text is fit for users and has no secret in it."""


class RefreshMetrics:
    """How refreshes go, by mechanism. Source: prometheus v3.5 discovery/metrics_refresh.go."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "prometheus_sd_refresh_failures",
            "Number of refresh failures for the given SD mechanism.",
            ["mechanism"],
            registry=registry,
        )
        self.duration = Summary(
            "prometheus_sd_refresh_duration_seconds",
            "The duration of a refresh in seconds for the given SD mechanism.",
            ["mechanism"],
            registry=registry,
        )
        self.duration_histogram = Histogram(
            "prometheus_sd_refresh_duration_histogram_seconds",
            "The duration of a refresh for the given SD mechanism.",
            ["mechanism"],
            buckets=_BUCKETS,
            registry=registry,
        )


class Refresher:
    """Runs a refresh at once and then every ``interval`` seconds.

    Guarantees: what a refresh finds replaces what the one before found: a source that is there no more becomes an empty
    group; a refresh that fails publishes nothing, is logged and counted, and the next one comes as usual; refreshes do
    not overlap, and one that takes longer than the interval is followed by the next at once. ``last_error`` says why
    the last one failed; it is empty after one that did not.

    Source: prometheus v3.x discovery/refresh/refresh.go Discovery.
    """

    def __init__(self, mechanism: str, interval: float, metrics: RefreshMetrics) -> None:
        self.last_error = ""
        self._interval = interval
        self._failures = metrics.failures.labels(mechanism)
        self._observers = (metrics.duration.labels(mechanism), metrics.duration_histogram.labels(mechanism))
        self._log = _log.bind(mechanism=mechanism)

    async def run(self, refresh: Refresh, publish: Publish) -> None:
        """Refresh until cancelled."""
        loop = asyncio.get_running_loop()
        before: set[str] = set()
        due = loop.time()
        while True:
            groups = await self._refresh(refresh)
            if groups is not None:
                sources = {group.source for group in groups}
                publish([*groups, *map(TargetGroup, before - sources)])
                before = sources
            due = max(due + self._interval, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _refresh(self, refresh: Refresh) -> list[TargetGroup] | None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            groups = list(await refresh())
        except RefreshFailed as error:
            self._failures.inc()
            self.last_error = str(error)
            self._log.error("refresh failed, targets stay as they are", error=str(error))
        except Exception as error:  # noqa: BLE001 - a plug-in may fail with anything; its targets stay
            self._failures.inc()
            self.last_error = type(error).__name__  # its text may have anything in it
            self._log.exception("refresh failed, targets stay as they are")
        else:
            self.last_error = ""
            return groups
        finally:
            for observer in self._observers:
                observer.observe(loop.time() - started)
        return None
