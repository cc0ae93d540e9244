"""The scrape manager: a pool per job, kept over reloads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

from promscout.logs import EventLog
from promscout.model.group import TargetSetChange
from promscout.model.metadata import Families
from promscout.scrape.captures import Captures
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.loop import Ending
from promscout.scrape.metrics import ScrapeMetrics
from promscout.scrape.options import ScrapeContext
from promscout.scrape.pool import ScrapePool
from promscout.scrape.setup import PoolSetup

_log = EventLog("promscout.scrape")


class ScrapeManager:
    """Runs one scrape pool per job, as an async context manager that stops all of them on exit.

    Guarantees: a new configuration leaves pools alone whose configuration is equal, reloads those whose configuration
    changed, and ends those whose job is gone, their series turning stale; large syncs and reloads are carried out in
    slices, between which everything else goes on; leaving the context ends every loop without staleness markers,
    because the process is expected to be back.

    Source: prometheus v3.x scrape/manager.go Manager.
    """

    def __init__(self, context: ScrapeContext) -> None:
        self._context = context
        self._pools: dict[str, ScrapePool] = {}
        self._closing: dict[asyncio.Task[None], str] = {}
        self._unsettled: dict[ScrapePool, None] = {}
        self._settling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = [asyncio.ensure_future(pool.close(Ending.SHUTDOWN)) for pool in self._pools.values()]
        tasks += self._closing
        if self._settling is not None:
            self._settling.cancel()
            tasks.append(self._settling)
        if tasks:
            await asyncio.wait(tasks)
        await self._context.failures.close()

    @property
    def pools(self) -> Mapping[str, ScrapePool]:
        """Job name → its pool."""
        return self._pools

    @property
    def metrics(self) -> ScrapeMetrics:
        """What all pools count."""
        return self._context.metrics

    @property
    def captures(self) -> Captures:
        """Bodies that somebody asked to see."""
        return self._context.captures

    def families(self) -> Iterator[Families]:
        """What each active target says about its metric families. Pools may change in between."""
        for pool in tuple(self._pools.values()):
            for active in tuple(pool.active.values()):
                if active.places:
                    yield active.loop.families

    def apply_config(self, configs: Sequence[ScrapeConfig]) -> None:
        """Make ``configs`` the jobs that are scraped."""
        self.prepare(configs)()

    def prepare(self, configs: Sequence[ScrapeConfig]) -> Callable[[], None]:
        """Make everything for ``configs`` that could fail; what is returned puts them into force."""
        connect = self._context.transport
        setups: dict[str, PoolSetup | None] = {}
        for config in configs:
            pool = self._pools.get(config.job_name)
            if pool is None:
                setups[config.job_name] = PoolSetup.of(config, connect)
            else:
                setups[config.job_name] = pool.setup.changed_to(config, connect) if pool.config != config else None
        return lambda: self._use(setups)

    async def run(self, receive: Callable[[], Awaitable[TargetSetChange]]) -> None:
        """The reloader: take changes from ``receive`` and sync the pools of their jobs, until cancelled."""
        while True:
            for job, groups in (await receive()).items():
                pool = self._pools.get(job)
                if pool is not None:
                    pool.put(groups)
                    self._settle(pool)
                    await asyncio.sleep(0)

    def _use(self, setups: Mapping[str, PoolSetup | None]) -> None:
        for job in self._pools.keys() - setups.keys():
            self._close(self._pools.pop(job))
        for job, setup in setups.items():
            pool = self._pools.get(job)
            if setup is None:
                continue
            if pool is None:
                self._pools[job] = ScrapePool(setup.config, self._context, setup)
            else:
                pool.use(setup)
                self._settle_later(pool)

    def _settle(self, pool: ScrapePool) -> None:
        """Begin at once with what ``pool`` has to do, unless its turn comes anyway."""
        job = pool.config.job_name
        if pool not in self._unsettled and (job in self._closing.values() or not _settled(pool)):
            self._settle_later(pool)

    def _settle_later(self, pool: ScrapePool) -> None:
        self._unsettled[pool] = None
        if self._settling is None:
            self._settling = asyncio.create_task(self._settle_all(), name="settling scrape pools")

    async def _settle_all(self) -> None:
        """Carry out what pools have to do, a slice at a time. One that comes after another of the same job waits."""
        try:
            while self._unsettled:
                pool = next(iter(self._unsettled))
                job = pool.config.job_name
                before = [task for task, name in self._closing.items() if name == job]
                if before:
                    await asyncio.wait(before)
                if self._pools.get(job) is not pool or _settled(pool):
                    del self._unsettled[pool]
                await asyncio.sleep(0)
        finally:
            self._settling = None

    def _close(self, pool: ScrapePool) -> None:
        job = pool.config.job_name
        task = asyncio.create_task(pool.close(Ending.REMOVED), name=f"closing pool {job}")
        self._closing[task] = job
        task.add_done_callback(self._closing.pop)


def _settled(pool: ScrapePool) -> bool:
    """Let ``pool`` carry out a slice of what it has to do; whether nothing is left, or nothing can be done."""
    try:
        return pool.settle()
    except Exception:  # noqa: BLE001 - one broken pool must not take the others with it
        _log.exception("targets could not be updated", job=pool.config.job_name)
        return True
