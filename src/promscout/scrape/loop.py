"""One target's scrape loop."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from enum import Enum, auto

from promscout.logs import EventLog
from promscout.model.metadata import NO_FAMILIES, Families, MetricMetadata
from promscout.scrape.history import noted
from promscout.scrape.loop_appender import LoopAppender
from promscout.scrape.options import ScrapeContext, ScrapeOptions
from promscout.scrape.report import Report
from promscout.scrape.schedule import Schedule
from promscout.scrape.target import Target
from promscout.scrape.transport import Fetched, FetchFailed

_log = EventLog("promscout.scrape")


class Ending(Enum):
    """Why a loop ends, which decides what becomes of its series."""

    SHUTDOWN = auto()  # the process ends and will be back: series go on, no markers
    REMOVED = auto()  # the target is gone: its series turn stale
    REPLACED = auto()  # another loop takes its series over


class ScrapeLoop:
    """Scrapes one target at its slots, appends what it exposes, and reports on every scrape.

    Guarantees: one scrape at a time, none after ``ended``; every fetch ends within the target's timeout, and every
    scrape appends its report samples, whatever happens; series that vanish, that a failed scrape leaves without a
    sample, or that belong to a removed target get a staleness marker; a failure is kept as ``last`` and never raised;
    ``scrapes`` counts finished ones; ``history`` tells :func:`~promscout.scrape.history.past_scrapes` of the last ones.

    Source: prometheus v3.x scrape/scrape.go scrapeLoop.
    """

    __slots__ = (
        "_appender",
        "_context",
        "_digest",
        "_interval",
        "_last",
        "_latest",
        "_options",
        "_report",
        "_running",
        "_schedule",
        "_timeout",
        "_timer",
        "_under_way",
        "ending",
        "history",
        "scrapes",
        "started_ms",
        "target",
    )

    def __init__(self, target: Target, options: ScrapeOptions, context: ScrapeContext) -> None:
        self.target = target
        self._report: Report | None = None
        self._running = False  # from start to stop: while the pool's health counts this loop
        self.history = b""
        self.scrapes = 0
        self.ending: Ending | None = None
        self.started_ms = context.clock.now_ms()
        self._context = context
        self._digest = target.digest
        self._interval = target.interval
        self._timeout = target.timeout
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: asyncio.Task[None] | None = None
        # Loop time when the last scrape began; before the first, when the loop did.
        self._last: float | None = None
        self._latest = math.inf  # loop time of the first scrape at the latest
        self._options = options
        self._appender: LoopAppender | None = None  # made when first needed: most of a large pool waits long

    @property
    def last(self) -> Report | None:
        """How the last scrape went; None before the first."""
        return self._report

    @last.setter
    def last(self, report: Report | None) -> None:
        if self._running:
            self._options.health.remove(self._report)
            self._options.health.add(report)
        self._report = report

    @property
    def next_ms(self) -> int | None:
        """The wall clock's time of the next scrape that has not begun; None while the loop does not run."""
        if self._timer is not None:
            return self._schedule.at_ms
        return None if self._under_way is None or self.ending else self._schedule.after_ms

    @property
    def families(self) -> Families:
        """What the last body that could be used says about its metric families."""
        return self._appender.families if self._appender is not None else NO_FAMILIES

    @property
    def body(self) -> bytes | None:
        """The last body that could be read, as text; None where none is kept, which is so with other formats."""
        return self._appender.body if self._appender is not None else None

    def metadata(self) -> Mapping[str, MetricMetadata]:
        """``families`` by name, made at each call."""
        return self.families.by_family()

    def reconfigure(self, options: ScrapeOptions) -> None:
        """Use other options from now on; slots and live series stay."""
        self._options = options

    def follow(self, other: ScrapeLoop) -> None:
        """Keep to the slots of a loop in whose place this one starts.

        After another interval, the first scrape comes no later than the longer of both after the other's last.
        """
        self._digest = other._digest
        self._last = other._last
        if other._last is not None:
            self._latest = other._last + max(self._interval, other._interval)
        if other.target.url == self.target.url:
            self.last, self.history = other.last, other.history

    def take_over(self, other: ScrapeLoop) -> None:
        """Follow a loop that has ended as REPLACED, and continue its series: they do not turn stale."""
        self.follow(other)
        if other._appender is not None:
            self._appender, other._appender = other._appender.moved(self.target, self._context), None

    def start(self) -> None:
        """Scrape at every slot from now on, until stopped."""
        now = asyncio.get_running_loop().time()
        if self._last is None:
            self._last = now
        self._schedule = Schedule(self._digest, self._interval, self._context.clock.now_ms(), now, self._latest)
        self._running = True
        self._options.health.add(self._report)
        self._wait()

    def stop(self, ending: Ending, *, finish: bool = False) -> None:
        """Scrape no more. A scrape under way is cancelled, or with ``finish`` completed; ``ended`` waits for that."""
        self.ending = ending
        if self._running:
            self._running = False
            self._options.health.remove(self._report)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._under_way is None:
            self._end()
        elif not finish:
            self._under_way.cancel()

    async def ended(self) -> None:
        """Wait until a stopped loop does nothing any more."""
        if self._under_way is not None:
            await asyncio.wait({self._under_way})

    def when_ended(self, then: Callable[[], None]) -> None:
        """Call ``then`` once a stopped loop does nothing any more: at once, if that is so."""
        if self._under_way is None:
            then()
        else:
            self._under_way.add_done_callback(lambda _: then())

    def _wait(self) -> None:
        """Wait for the next slot: as a timer, because an idle task would cost 2 KB for each of many targets."""
        self._timer = asyncio.get_running_loop().call_at(self._schedule.at, self._due)

    def _due(self) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        if self.scrapes and self._last is not None:
            self._context.metrics.interval_length(self._interval).observe(started - self._last)
        self._last = started
        self._context.metrics.started(started - self._schedule.at)
        timestamp_ms = self._schedule.timestamp(self._context.clock.now_ms())
        self._timer = None
        self._under_way = loop.create_task(self._scrape(timestamp_ms), name=f"scrape {self.target.url}")
        self._under_way.add_done_callback(self._scraped)

    def _scraped(self, task: asyncio.Task[None]) -> None:
        self._under_way = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            _log.error("scrape broke unexpectedly", url=self.target.url, exc_info=error)
        if self.ending is not None:
            self._end()
            return
        missed = self._schedule.advance(asyncio.get_running_loop().time())
        if missed:
            self._context.metrics.missed.inc(missed)
        self._wait()

    def _end(self) -> None:
        if self.ending is Ending.REMOVED and self._appender is not None:
            self._appender.end(self._context.clock.now_ms())

    async def _scrape(self, timestamp_ms: int) -> None:
        loop = asyncio.get_running_loop()
        start_ms, started = self._context.clock.now_ms(), loop.time()
        refused = self._options.target_limit.error
        if refused:
            fetched: Fetched | FetchFailed = FetchFailed(refused)
        else:
            fetched = await self._options.transport.fetch(self.target, self._timeout)
        if self._context.captures:
            self._context.captures.take(self.target, fetched, start_ms)
        if self._appender is None:
            self._appender = LoopAppender(self.target, self.target.digest, self._context)
        outcome = await self._appender.append(fetched, self._options, timestamp_ms)
        duration = loop.time() - started
        report = Report(
            start_ms,
            duration,
            outcome.error,
            scraped=outcome.scraped,
            kept=outcome.kept,
            added=outcome.added,
            size=max(0, fetched.size),
            format=outcome.format,
            too_large=isinstance(fetched, FetchFailed) and fetched.too_large,
        )
        self._log_change(report)
        self.last = report
        self.history = noted(self.history, duration, up=report.up)
        self.scrapes += 1
        if self.scrapes == 1 and self._latest == math.inf:  # others only go on
            self._context.metrics.first_scrape.observe((self._context.clock.now_ms() - self.started_ms) / 1000)
        self._appender.report(report, self._options, self._timeout, timestamp_ms)

    def _log_change(self, report: Report) -> None:
        """Log a failure once, when it begins or becomes another one; each one to the job's own file."""
        if report.error:
            config, now_ms = self._options.config, self._context.clock.now_ms()
            file = config.scrape_failure_log_file
            self._context.failures.failed(file, config.job_name, self.target.url, report.error, now_ms)
        before = self.last.error if self.last is not None else ""
        if report.error != before:
            log = _log.bind(url=self.target.url)
            if report.error:
                log.warning("scrape failed", error=report.error)
            else:
                log.info("scrape works again")
