"""The discovery manager: providers from the config, kept over reloads; changed groups per job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from promscout.discovery.channel import DEFAULT_INTERVAL, ChangeChannel
from promscout.discovery.config import SDConfig
from promscout.discovery.discoverer import Factories
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.discovery.provider import Provider
from promscout.model.group import GroupKey, TargetGroup, TargetSetChange
from promscout.supervisor import Supervisor

CONSUMER: Final = "scrape"
"""Prometheus's name for the manager that discovers scrape targets (its other one discovers Alertmanagers)."""


class DiscoveryManager:
    """Runs one provider per distinct SD configuration and tells each job what changed, as an async context manager.

    Guarantees: equal configurations of several jobs share a provider; a provider whose configuration is still wanted
    runs on untouched over ``apply_config``, and a job new to it gets all its groups at once; a provider that nobody
    wants any more is stopped, and jobs that lose a provider get its groups as deletions; changes of a job reach the
    consumer as :class:`ChangeChannel` promises.

    Source: prometheus v3.x discovery/manager.go Manager, discovery/README.md.
    """

    def __init__(self, factories: Factories, metrics: DiscoveryMetrics, *, interval: float = DEFAULT_INTERVAL) -> None:
        self._factories = factories
        self._metrics = metrics
        self._providers: dict[SDConfig, Provider] = {}
        self._channel = ChangeChannel(interval, metrics.change_wait.observe)
        self._supervisor: Supervisor[Provider] = Supervisor("provider")
        self._jobs: frozenset[str] = frozenset()
        self._made = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._supervisor.close()

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Every running provider."""
        return tuple(self._providers.values())

    def apply_config(self, jobs: Mapping[str, Sequence[SDConfig]]) -> None:
        """Make ``jobs`` (job name → its SD configurations) what is discovered from now on."""
        wanted: dict[SDConfig, set[str]] = {}
        for job, configs in jobs.items():
            for config in configs:
                wanted.setdefault(config, set()).add(job)
        for job in self._jobs - jobs.keys():
            self._channel.forget(job)
            self._metrics.discovered_targets.remove(CONSUMER, job)
        self._jobs = frozenset(jobs)
        for config in self._providers.keys() - wanted.keys():
            self._stop(self._providers.pop(config))
        for config, names in wanted.items():
            provider = self._providers.get(config)
            if provider is None:
                self._providers[config] = self._start(config, frozenset(names))
            else:
                self._resubscribe(provider, frozenset(names))
        for job in self._jobs:
            self._count_targets(job)

    async def receive(self) -> TargetSetChange:
        """Wait for changes and take them: job → changed groups, an empty group for each that is gone.

        A job appears, with no groups, also when a provider of it has just found out that there is nothing.
        """
        change = await self._channel.receive()
        self._metrics.updates.inc()
        return change

    def _start(self, config: SDConfig, jobs: frozenset[str]) -> Provider:
        discoverer = self._factories[type(config)](config)
        provider = Provider(f"{config.mechanism}/{self._made}", config, discoverer, self._changed)
        self._made += 1
        provider.jobs = jobs
        self._supervisor.start(provider, provider.run)
        return provider

    def _stop(self, provider: Provider) -> None:
        self._supervisor.stop(provider)
        self._resubscribe(provider, frozenset())

    def _resubscribe(self, provider: Provider, jobs: frozenset[str]) -> None:
        gone = {_key(provider, source): TargetGroup(source) for source in provider.groups}
        for job in (provider.jobs - jobs) & self._jobs:
            self._channel.put(job, gone)
        current = {_key(provider, source): group for source, group in provider.groups.items()}
        for job in jobs - provider.jobs:
            self._channel.put(job, current)
        provider.jobs = jobs

    def _changed(self, provider: Provider, groups: dict[str, TargetGroup]) -> None:
        self._metrics.received_updates.inc()
        keyed = {_key(provider, source): group for source, group in groups.items()}
        for job in provider.jobs:
            if self._channel.put(job, keyed):
                self._metrics.updates_delayed.inc()
            self._count_targets(job)

    def _count_targets(self, job: str) -> None:
        count = sum(provider.target_count for provider in self._providers.values() if job in provider.jobs)
        self._metrics.discovered_targets.labels(CONSUMER, job).set(count)


def _key(provider: Provider, source: str) -> GroupKey:
    return (provider.name, source)
