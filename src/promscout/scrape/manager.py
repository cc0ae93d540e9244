"""The scrape manager: a pool per job, kept over reloads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from promscout.model.group import GroupKey, TargetGroup, TargetSetChange
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.loop import Ending, ScrapeContext
from promscout.scrape.pool import ScrapePool

SYNC_SLICE: Final = 1000
"""Targets synced in one go: large syncs take turns with whatever else is due, scrapes above all."""


class ScrapeManager:
    """Runs one scrape pool per job, as an async context manager that stops all of them on exit.

    Guarantees: ``apply_config`` leaves pools alone whose configuration is equal, reloads those whose configuration
    changed, and ends those whose job is gone, their series turning stale; leaving the context ends every loop without
    staleness markers, because the process is expected to be back.

    Source: prometheus v3.x scrape/manager.go Manager.
    """

    def __init__(self, context: ScrapeContext) -> None:
        self._context = context
        self._pools: dict[str, ScrapePool] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        closing = [asyncio.ensure_future(pool.close(Ending.SHUTDOWN)) for pool in self._pools.values()]
        if closing or self._closing:
            await asyncio.wait({*closing, *self._closing})

    @property
    def pools(self) -> Mapping[str, ScrapePool]:
        """Job name → its pool."""
        return self._pools

    def apply_config(self, configs: Sequence[ScrapeConfig]) -> None:
        """Make ``configs`` the jobs that are scraped."""
        wanted = {config.job_name: config for config in configs}
        for job in self._pools.keys() - wanted.keys():
            self._close(self._pools.pop(job))
        for job, config in wanted.items():
            pool = self._pools.get(job)
            if pool is None:
                self._pools[job] = ScrapePool(config, self._context)
            elif pool.config != config:
                pool.reload(config)

    async def run(self, receive: Callable[[], Awaitable[TargetSetChange]]) -> None:
        """The reloader: take changes from ``receive`` and sync the pools of their jobs, until cancelled."""
        while True:
            for job, groups in (await receive()).items():
                for part in sync_slices(groups):
                    pool = self._pools.get(job)
                    if pool is not None:
                        pool.sync(part)
                    await asyncio.sleep(0)

    def _close(self, pool: ScrapePool) -> None:
        task = asyncio.create_task(pool.close(Ending.REMOVED), name=f"closing pool {pool.config.job_name}")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def sync_slices(groups: Mapping[GroupKey, TargetGroup]) -> Iterator[dict[GroupKey, TargetGroup]]:
    """``groups`` in parts of ``SYNC_SLICE`` targets or little more, at least one part even if there are none.

    Additions come first: a target that moves from one group to another is not stopped on the way.
    """
    part: dict[GroupKey, TargetGroup] = {}
    size = 0
    for key, group in sorted(groups.items(), key=lambda item: item[1].is_empty):
        if size >= SYNC_SLICE:
            yield part
            part, size = {}, 0
        part[key] = group
        size += max(1, len(group.targets))
    yield part
