"""What finds the targets of the jobs, and how it is doing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from promscout.discovery.kubernetes.status import WatchStatus
from promscout.discovery.provider import Provider
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ScrapePool
from promscout.scrape.target import Refused
from promscout.web.pages.target_query import url_of
from promscout.web.turns import in_turns


class ProviderState(StrEnum):
    """How a provider is doing."""

    SYNCED = "synced"  # what it found is known
    WAITING = "waiting"  # it has found nothing out yet
    FAILING = "failing"  # its last attempt failed; what was found before is still used


class ProviderRow(msgspec.Struct, frozen=True):
    """One provider. ``changed_seconds`` is how long ago its targets changed last, None before the first."""

    name: str
    mechanism: str
    role: str
    state: ProviderState
    jobs: tuple[str, ...]
    groups: int
    targets: int
    changed_seconds: float | None
    error: str


class JobRow(msgspec.Struct, frozen=True):
    """One job: its providers, and what became of the targets that they found."""

    name: str
    providers: tuple[ProviderRow, ...]
    groups: int
    discovered: int
    active: int
    dropped: int
    refused: int
    duplicates: int

    @property
    def path(self) -> str:
        """The path of the job's own page."""
        return url_of("/discovery", {"job": self.name})

    @property
    def state(self) -> ProviderState:
        """The worst state of its providers."""
        states = {one.state for one in self.providers}
        worst = (one for one in (ProviderState.FAILING, ProviderState.WAITING) if one in states)
        return next(worst, ProviderState.SYNCED)


def provider_rows(providers: Iterable[Provider], watches: Sequence[WatchStatus]) -> tuple[ProviderRow, ...]:
    """Every provider; one of Kubernetes fails while a watch that its jobs need does."""
    return tuple(_provider_row(provider, watches) for provider in providers)


def _provider_row(provider: Provider, watches: Sequence[WatchStatus]) -> ProviderRow:
    error = provider.last_error
    if provider.config.mechanism == "kubernetes":
        failing = (watch for watch in watches if watch.error and not provider.jobs.isdisjoint(watch.jobs))
        error = "; ".join(f"{watch.resource}: {watch.error}" for watch in failing)
    changed = provider.changed_at
    return ProviderRow(
        name=provider.name,
        mechanism=provider.config.mechanism,
        role=str(getattr(provider.config, "role", "")),
        state=_state(provider, error),
        jobs=tuple(sorted(provider.jobs)),
        groups=len(provider.groups),
        targets=provider.target_count,
        changed_seconds=None if changed is None else asyncio.get_running_loop().time() - changed,
        error=error,
    )


def _state(provider: Provider, error: str) -> ProviderState:
    if error:
        return ProviderState.FAILING
    return ProviderState.SYNCED if provider.synced else ProviderState.WAITING


async def job_rows(scrape: ScrapeManager, providers: Sequence[ProviderRow]) -> tuple[JobRow, ...]:
    """Every job, by name, counted in turns with whatever else is due."""
    rows = [await job_row(scrape.pools[job], providers) for job in sorted(scrape.pools)]
    return tuple(rows)


async def job_row(pool: ScrapePool, providers: Sequence[ProviderRow]) -> JobRow:
    """One job."""
    groups = discovered = active = dropped = refused = 0
    async for batch in in_turns(pool.groups(), 4):  # one group can have very many
        for _, _, built in batch:
            groups += 1
            discovered += len(built)
            none = built.count(None)
            dropped += none
            if none < len(built):
                unfit = sum(isinstance(one, Refused) for one in built)
                refused += unfit
                active += len(built) - none - unfit
    name = pool.config.job_name
    own = tuple(one for one in providers if name in one.jobs)
    duplicates = pool.duplicate_count
    return JobRow(name, own, groups, discovered, active - duplicates, dropped, refused, duplicates)
