"""The sync channel between discovery and scraping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from promscout.model.group import GroupKey, TargetGroup, TargetSetChange

DEFAULT_INTERVAL: Final = 0.2
"""Seconds between two sends of a job's changes under churn. Prometheus polls a 5 s ticker twice."""


class ChangeChannel:
    """Changed groups per job, conflated while the consumer is busy or the job was just served.

    Guarantees: the first change of a job after quiet is received at once; under churn a job is received at most once
    per ``interval`` seconds, with everything that changed meanwhile; of several changes of one group the last wins, so
    nothing is missed and a late consumer costs no more memory than the groups themselves. One consumer.
    """

    def __init__(
        self, interval: float = DEFAULT_INTERVAL, observe_wait: Callable[[float], None] = lambda _seconds: None
    ) -> None:
        """``observe_wait`` is told how long the first change of a job waited each time that job is received."""
        self._interval = interval
        self._observe_wait = observe_wait
        self._pending: TargetSetChange = {}
        self._since: dict[str, float] = {}
        self._served: dict[str, float] = {}
        self._wake = asyncio.Event()

    def put(self, job: str, groups: Mapping[GroupKey, TargetGroup]) -> bool:
        """Add changed groups of ``job``; True when they join others that still wait."""
        waiting = self._pending.get(job)
        if waiting is not None:
            waiting.update(groups)
            return True
        self._pending[job] = dict(groups)
        self._since[job] = asyncio.get_running_loop().time()
        self._wake.set()
        return False

    def forget(self, job: str) -> None:
        """Drop what waits for a job that exists no more."""
        self._pending.pop(job, None)
        self._since.pop(job, None)
        self._served.pop(job, None)

    async def receive(self) -> TargetSetChange:
        """Wait until at least one job's changes are due, then take those of all jobs that are."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            due = {job: self._served.get(job, -self._interval) + self._interval for job in self._pending}
            ready = [job for job, when in due.items() if when <= now]
            if ready:
                for job in ready:
                    self._served[job] = now
                    self._observe_wait(now - self._since.pop(job))
                return {job: self._pending.pop(job) for job in ready}
            self._wake.clear()
            try:
                async with asyncio.timeout_at(min(due.values(), default=None)):
                    await self._wake.wait()
            except TimeoutError:
                pass
