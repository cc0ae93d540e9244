"""The discovery manager: providers from the config, kept over reloads; changed groups per job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from promscout.discovery.channel import DEFAULT_INTERVAL, ChangeChannel
from promscout.discovery.config import SDConfig
from promscout.discovery.discoverer import Factories
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.discovery.provider import Provider
from promscout.model.group import GroupKey, TargetGroup, TargetSetChange
from promscout.supervisor import Supervisor

HANDOVER_SECONDS: Final = 120.0
"""How long a job keeps the targets of its former configuration while a new one has found nothing out yet."""

CONSUMER: Final = "scrape"
"""Prometheus's name for the manager that discovers scrape targets (its other one discovers Alertmanagers)."""


@dataclass(slots=True)
class _Handover:
    """Groups that a job lost by a new configuration, and the providers whose first groups are to replace them."""

    gone: dict[GroupKey, TargetGroup]
    awaited: set[Provider]
    limit: asyncio.TimerHandle


class DiscoveryManager:
    """Runs one provider per distinct SD configuration and tells each job what changed, as an async context manager.

    Guarantees: equal configurations of several jobs share a provider; a provider whose configuration is still wanted
    runs on untouched over ``apply_config``, and a job new to it gets all its groups at once; a provider that nobody
    wants any more is stopped, and jobs that lose a provider get its groups as deletions: together with the first groups
    of the providers that come instead, if there are any, so that what both find is never gone, and after
    ``HANDOVER_SECONDS`` in any case; changes of a job reach the consumer as :class:`ChangeChannel` promises;
    ``awaited`` tells a job that has nothing from one of which nothing is known yet.

    Source: prometheus v3.x discovery/manager.go Manager, discovery/README.md.
    """

    def __init__(self, factories: Factories, metrics: DiscoveryMetrics, *, interval: float = DEFAULT_INTERVAL) -> None:
        self._factories = factories
        self._metrics = metrics
        self._providers: dict[SDConfig, Provider] = {}
        self._channel = ChangeChannel(interval, metrics.change_wait.observe)
        self._supervisor: Supervisor[Provider] = Supervisor("provider")
        self._jobs: frozenset[str] = frozenset()
        self._handovers: dict[str, _Handover] = {}
        # Job → providers whose first groups the consumer has not taken over, and those among them that it is taking.
        self._awaited: dict[str, set[Provider]] = {}
        self._handed: dict[str, set[Provider]] = {}
        self._made = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for handover in self._handovers.values():
            handover.limit.cancel()
        await self._supervisor.close()

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Every running provider."""
        return tuple(self._providers.values())

    def awaited(self, job: str) -> tuple[str, ...]:
        """The names of those providers of ``job`` whose first groups the consumer has not taken over yet, sorted.

        While there is one, what the consumer has of the job may be nothing, or only a part of what there is.
        """
        return tuple(sorted(provider.name for provider in self._awaited.get(job, ())))

    @property
    def metrics(self) -> DiscoveryMetrics:
        """What discovery counts."""
        return self._metrics

    def apply_config(self, jobs: Mapping[str, Sequence[SDConfig]]) -> None:
        """Make ``jobs`` (job name → its SD configurations) what is discovered from now on."""
        self.prepare(jobs)()

    def prepare(self, jobs: Mapping[str, Sequence[SDConfig]]) -> Callable[[], None]:
        """Make everything for ``jobs`` that could fail; what is returned puts them into force."""
        wanted: dict[SDConfig, set[str]] = {}
        for job, configs in jobs.items():
            for config in configs:
                wanted.setdefault(config, set()).add(job)
        made = {config: self._make(config) for config in wanted if config not in self._providers}
        return lambda: self._use(frozenset(jobs), wanted, made)

    def _use(
        self, jobs: frozenset[str], wanted: Mapping[SDConfig, set[str]], made: Mapping[SDConfig, Provider]
    ) -> None:
        for job in self._jobs - jobs:
            self._forget(job)
        self._jobs = jobs
        lost: dict[str, dict[GroupKey, TargetGroup]] = {}
        for config in self._providers.keys() - wanted.keys():
            provider = self._providers.pop(config)
            self._supervisor.stop(provider)
            self._resubscribe(provider, frozenset(), lost)
        for config, names in wanted.items():
            known = self._providers.get(config)
            if known is None:
                provider = self._providers[config] = made[config]
                provider.jobs = frozenset(names)
                for job in names:
                    self._await(job, provider)
                self._supervisor.start(provider, provider.run)
            else:
                self._resubscribe(known, frozenset(names), lost)
        for job, gone in lost.items():
            self._hand_over(job, gone)
        for job in self._jobs:
            self._count_targets(job)

    async def receive(self) -> TargetSetChange:
        """Wait for changes and take them: job → changed groups, an empty group for each that is gone.

        A job appears, with no groups, also when a provider of it has just found out that there is nothing. Who asks
        again has taken over what came before.
        """
        for job, taken in self._handed.items():
            self._awaited[job] -= taken
            if not self._awaited[job]:
                del self._awaited[job]
        self._handed = {}
        change = await self._channel.receive()
        self._handed = {
            job: {provider for provider in self._awaited[job] if provider.synced}
            for job in change
            if job in self._awaited
        }
        self._metrics.updates.inc()
        return change

    def _make(self, config: SDConfig) -> Provider:
        discoverer = self._factories[type(config)](config)
        self._made += 1
        return Provider(f"{config.mechanism}/{self._made - 1}", config, discoverer, self._changed)

    def _await(self, job: str, provider: Provider) -> None:
        """Note that the consumer has no groups of ``provider`` for ``job`` yet."""
        self._awaited.setdefault(job, set()).add(provider)
        self._handed.get(job, set()).discard(provider)  # those were handed out before the job left it

    def _forget(self, job: str) -> None:
        """Leave nothing of a job that exists no more."""
        self._channel.forget(job)
        self._awaited.pop(job, None)
        self._handed.pop(job, None)
        self._metrics.discovered_targets.remove(CONSUMER, job)
        handover = self._handovers.pop(job, None)
        if handover is not None:
            handover.limit.cancel()

    def _resubscribe(
        self, provider: Provider, jobs: frozenset[str], lost: dict[str, dict[GroupKey, TargetGroup]]
    ) -> None:
        """Make ``jobs`` those that ``provider`` serves; what the others lose by it is added to ``lost``."""
        for job in (provider.jobs - jobs) & self._jobs:
            lost.setdefault(job, {}).update({_key(provider, source): TargetGroup(source) for source in provider.groups})
            self._leave(job, provider)
        for job in jobs - provider.jobs:
            groups = {_key(provider, source): group for source, group in provider.groups.items()}
            handover = self._handovers.get(job)
            if handover is not None:  # it had lost this provider only a while ago
                handover.gone = {key: group for key, group in handover.gone.items() if key not in groups}
            self._await(job, provider)
            self._channel.put(job, groups)
        provider.jobs = jobs

    def _leave(self, job: str, provider: Provider) -> None:
        """Wait no more for groups of a provider that does not serve ``job`` now."""
        for waiting in (self._awaited, self._handed):
            waiting.get(job, set()).discard(provider)
        if not self._awaited.get(job, True):
            del self._awaited[job]
            self._handed.pop(job, None)

    def _hand_over(self, job: str, gone: dict[GroupKey, TargetGroup]) -> None:
        """Delete ``gone`` once the providers of ``job`` that have yet to publish have done so."""
        before = self._handovers.pop(job, None)
        if before is not None:
            before.limit.cancel()
            gone = before.gone | gone
        awaited = {one for one in self._providers.values() if job in one.jobs and not one.synced}
        if not awaited:
            self._channel.put(job, gone)
            return
        limit = asyncio.get_running_loop().call_later(HANDOVER_SECONDS, self._end_handover, job)
        self._handovers[job] = _Handover(gone, awaited, limit)

    def _end_handover(self, job: str) -> None:
        handover = self._handovers.pop(job)
        handover.limit.cancel()
        self._channel.put(job, handover.gone)

    def _changed(self, provider: Provider, groups: dict[str, TargetGroup]) -> None:
        self._metrics.received_updates.inc()
        keyed = {_key(provider, source): group for source, group in groups.items()}
        for job in provider.jobs:
            if self._channel.put(job, keyed):
                self._metrics.updates_delayed.inc()
            self._count_targets(job)
            handover = self._handovers.get(job)
            if handover is not None:
                handover.awaited.discard(provider)
                if not handover.awaited:
                    self._end_handover(job)

    def _count_targets(self, job: str) -> None:
        count = sum(provider.target_count for provider in self._providers.values() if job in provider.jobs)
        self._metrics.discovered_targets.labels(CONSUMER, job).set(count)


def _key(provider: Provider, source: str) -> GroupKey:
    return (provider.name, source)
