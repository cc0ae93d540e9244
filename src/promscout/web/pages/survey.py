"""What a look at every target says about the jobs: for the overview."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ActiveTarget, ScrapePool
from promscout.scrape.report import Report
from promscout.web.pages.problem import problem
from promscout.web.pages.target_query import TargetQuery
from promscout.web.turns import in_turns

_KINDS: Final = 1000  # different errors of a job that are told apart
_OTHERS: Final = "other errors"
_RESTS: Final = 20  # how many times the length of a look its result is used


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """One job. ``samples_per_second`` is what its targets' last scrapes make at their intervals.

    ``slowest`` is the longest of the last scrapes in seconds, None before the first; ``failed_ms`` when the newest
    failure among the last scrapes began, with ``error``, which does not name the target, and is empty where nothing
    failed.
    """

    name: str
    interval: str
    up: int
    down: int
    unknown: int
    dropped: int
    samples_per_second: float
    slowest: float | None = None
    slowest_url: str = ""
    next_ms: int | None = None
    error: str = ""
    failed_ms: int = 0

    @property
    def total(self) -> int:
        """Active targets."""
        return self.up + self.down + self.unknown


class Trouble(msgspec.Struct, frozen=True):
    """Targets of one job that fail with the same error, which does not name the target."""

    job: str
    error: str
    count: int

    @property
    def url(self) -> str:
        """The page with just these targets."""
        return TargetQuery(pool=self.job, health="down", error="" if self.error == _OTHERS else self.error).url()


class Survey(msgspec.Struct, frozen=True):
    """All jobs by name, and what fails, the most frequent first."""

    jobs: tuple[JobRow, ...] = ()
    troubles: tuple[Trouble, ...] = ()


async def survey(scrape: ScrapeManager) -> Survey:
    """Look at every target, in turns with whatever else is due."""
    jobs: list[JobRow] = []
    troubles: list[Trouble] = []
    for name in sorted(scrape.pools):
        pool = scrape.pools.get(name)
        if pool is None:  # gone meanwhile
            continue
        row, errors = await _look_at(pool)
        jobs.append(row)
        troubles += (Trouble(name, error, count) for error, count in errors.items())
    troubles.sort(key=lambda one: (-one.count, one.job, one.error))
    return Survey(tuple(jobs), tuple(troubles))


class Surveyor:
    """Keeps a survey for others that want one: many readers of a large agent cost no more than one.

    Guarantees: one survey at a time; a result is used for as long as looking takes a twentieth of the time.
    """

    def __init__(self, scrape: Callable[[], ScrapeManager]) -> None:
        self._scrape = scrape
        self._survey = Survey()
        self._fresh_until = 0.0
        self._looking = asyncio.Lock()

    async def current(self) -> Survey:
        """A survey that is new, or hardly older than it takes to make one."""
        now = asyncio.get_running_loop().time
        async with self._looking:
            if now() >= self._fresh_until:
                started = now()
                self._survey = await survey(self._scrape())
                self._fresh_until = now() + _RESTS * (now() - started)
        return self._survey


class _Look:
    """What has been seen of a pool's targets so far."""

    def __init__(self) -> None:
        self.health = Counter[str]()
        self.samples_per_second = 0.0
        self.slowest: tuple[float, str] | None = None
        self.next_ms: int | None = None
        self.failed: Report | None = None
        self.error = ""
        self.errors = Counter[str]()

    def at(self, active: ActiveTarget) -> None:
        loop = active.loop
        last, next_ms = loop.last, loop.next_ms
        if next_ms is not None and (self.next_ms is None or next_ms < self.next_ms):
            self.next_ms = next_ms
        if last is None:
            self.health["unknown"] += 1
            return
        self.samples_per_second += last.scraped / (float(loop.target.interval) or 1)
        if self.slowest is None or last.duration > self.slowest[0]:
            self.slowest = last.duration, loop.target.url
        if last.up:
            self.health["up"] += 1
            return
        self.health["down"] += 1
        error = problem(active)
        if self.failed is None or last.start_ms > self.failed.start_ms:
            self.failed, self.error = last, error
        self.errors[error if error in self.errors or len(self.errors) < _KINDS else _OTHERS] += 1


async def _look_at(pool: ScrapePool) -> tuple[JobRow, Counter[str]]:
    look = _Look()
    async for batch in in_turns(pool.snapshot()):
        for active in batch:
            if active.places:
                look.at(active)
    slowest, url = look.slowest or (None, "")
    row = JobRow(
        name=pool.config.job_name,
        interval=str(pool.config.scrape_interval),
        up=look.health["up"],
        down=look.health["down"],
        unknown=look.health["unknown"],
        dropped=pool.dropped_count,
        samples_per_second=look.samples_per_second,
        slowest=slowest,
        slowest_url=url,
        next_ms=look.next_ms,
        error=look.error,
        failed_ms=look.failed.start_ms if look.failed is not None else 0,
    )
    return row, look.errors
