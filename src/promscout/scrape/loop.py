"""One target's scrape loop."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

from promscout.errors import ExpositionError, InvalidValueError, LabelLimitError
from promscout.exposition.negotiation import format_of
from promscout.exposition.samples import Exposition, MetricMetadata
from promscout.exposition.text import parse_text
from promscout.logs import EventLog
from promscout.model.clock import Clock
from promscout.model.names import NameValidation
from promscout.model.series import SeriesTable, stale_markers
from promscout.relabel.engine import Relabeler
from promscout.scrape.cache import Resolved, SeriesCache
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.label_limits import LabelLimits
from promscout.scrape.metrics import ScrapeMetrics
from promscout.scrape.report import METRICS, Report, extra_series, report_series
from promscout.scrape.sample_labels import SampleLabels
from promscout.scrape.schedule import Schedule
from promscout.scrape.target import Target
from promscout.scrape.target_limit import TargetLimit
from promscout.scrape.transport import Fetched, FetchFailed, Transport
from promscout.write.appender import Appender

_log = EventLog("promscout.scrape")


class Ending(Enum):
    """Why a loop ends, which decides what becomes of its series."""

    SHUTDOWN = auto()  # the process ends and will be back: series go on, no markers
    REMOVED = auto()  # the target is gone: its series turn stale
    REPLACED = auto()  # another loop takes its series over


@dataclass(frozen=True, slots=True)
class ScrapeContext:
    """What all loops share. ``transport`` makes what a pool fetches with."""

    appender: Appender
    clock: Clock
    metrics: ScrapeMetrics
    transport: Callable[[ScrapeConfig], Transport] = Transport


@dataclass(frozen=True, slots=True)
class ScrapeOptions:
    """What the loops of one pool share until the next reload.

    Another ``metric_relabeler`` object says that samples may become other series than before, for whatever reason.
    While ``target_limit`` has an error, scrapes fail with it and ask no target.
    """

    config: ScrapeConfig
    transport: Transport
    metric_relabeler: Relabeler
    target_limit: TargetLimit = field(default_factory=TargetLimit)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A fetched body as samples, or why there are none. ``scraped`` counts the samples the target exposed.

    ``kept`` counts those that relabelling left, where that is known; ``format`` is what the body was read as.
    """

    resolved: Resolved | None = None
    scraped: int = 0
    error: str = ""
    kept: int = 0
    format: str = ""


class ScrapeLoop:
    """Scrapes one target at its slots, appends what it exposes, and reports on every scrape.

    Guarantees: one scrape at a time, none after ``ended``; every scrape ends within the target's timeout and appends
    its report samples, whatever happens; series that vanish, that a failed scrape leaves without a sample, or that
    belong to a removed target get a staleness marker; a failure is kept as ``last`` and never raised; ``scrapes``
    counts finished ones.

    Source: prometheus v3.x scrape/scrape.go scrapeLoop.
    """

    __slots__ = (
        "_cache",
        "_cached_for",
        "_context",
        "_digest",
        "_exposed",
        "_interval",
        "_last",
        "_latest",
        "_options",
        "_report_series",
        "_schedule",
        "_stream",
        "_timeout",
        "_timer",
        "_under_way",
        "ending",
        "last",
        "scrapes",
        "started_ms",
        "target",
    )

    def __init__(self, target: Target, options: ScrapeOptions, context: ScrapeContext) -> None:
        self.target = target
        self.last: Report | None = None
        self.scrapes = 0
        self.ending: Ending | None = None
        self.started_ms = context.clock.now_ms()
        self._context = context
        self._digest = self._stream = target.digest
        self._interval = target.interval
        self._timeout = target.timeout
        self._timer: asyncio.TimerHandle | None = None
        self._under_way: asyncio.Task[None] | None = None
        # Loop time when the last scrape began; before the first, when the loop did.
        self._last: float | None = None
        self._latest = math.inf  # loop time of the first scrape at the latest
        self._options = options
        self._exposed: Exposition | None = None
        self._cache: SeriesCache | None = None
        self._cached_for: Relabeler | None = None
        self._report_series: SeriesTable | None = None

    @property
    def next_ms(self) -> int | None:
        """The wall clock's time of the next scrape that has not begun; None while the loop does not run."""
        if self._timer is not None:
            return self._schedule.at_ms
        return None if self._under_way is None or self.ending else self._schedule.after_ms

    def metadata(self) -> Mapping[str, MetricMetadata]:
        """Metric family → what the last body that could be used says about it."""
        return self._exposed.metadata if self._exposed is not None else {}

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
            self.last = other.last
            self._exposed = other._exposed

    def take_over(self, other: ScrapeLoop) -> None:
        """Follow a loop that has ended as REPLACED, and continue its series: they do not turn stale."""
        self.follow(other)
        self._stream = other._stream
        self._cache, other._cache = other._cache, None
        self._cached_for = other._cached_for
        self._report_series = other._report_series  # labels and stream are the same

    def _series(self) -> SeriesCache:
        """The series of this target; made when first needed, since most of a large pool waits long."""
        relabeler = self._options.metric_relabeler
        if self._cache is None or self._cached_for is not relabeler:
            config = self._options.config
            before = self._cache
            self._cache = SeriesCache(
                self._stream,
                self._labels(),
                honor_timestamps=config.honor_timestamps,
                track_timestamps=config.track_timestamps_staleness,
            )
            self._cached_for = relabeler
            if before is not None:
                self._cache.adopt(before)
        return self._cache

    def _labels(self) -> SampleLabels:
        options = self._options
        config = options.config
        names = config.metric_name_validation_scheme or NameValidation.UTF8
        return SampleLabels(
            self.target.labels,
            options.metric_relabeler,
            honor_labels=config.honor_labels,
            names=names,
            limits=LabelLimits.of(config),
        )

    def start(self) -> None:
        """Scrape at every slot from now on, until stopped."""
        now = asyncio.get_running_loop().time()
        if self._last is None:
            self._last = now
        self._schedule = Schedule(self._digest, self._interval, self._context.clock.now_ms(), now, self._latest)
        self._wait()

    def stop(self, ending: Ending, *, finish: bool = False) -> None:
        """Scrape no more. A scrape under way is cancelled, or with ``finish`` completed; ``ended`` waits for that."""
        self.ending = ending
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
            self._context.metrics.interval_length(str(self._interval)).observe(started - self._last)
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
        if self.ending is Ending.REMOVED:
            self._end_series()

    async def _scrape(self, timestamp_ms: int) -> None:
        loop = asyncio.get_running_loop()
        start_ms, started = self._context.clock.now_ms(), loop.time()
        refused = self._options.target_limit.error
        if refused:
            fetched: Fetched | FetchFailed = FetchFailed(refused)
        else:
            fetched = await self._options.transport.fetch(self.target, self._timeout)
        duration = loop.time() - started
        outcome = self._resolve(fetched, timestamp_ms)
        resolved = outcome.resolved
        if resolved is None:
            self._mark_stale(timestamp_ms)
        else:
            self._append(resolved, timestamp_ms)
        report = Report(
            start_ms,
            duration,
            outcome.error,
            scraped=outcome.scraped,
            kept=outcome.kept,
            added=resolved.added if resolved is not None else 0,
            size=len(fetched.body) if isinstance(fetched, Fetched) else 0,
            format=outcome.format,
            too_large=isinstance(fetched, FetchFailed) and fetched.too_large,
        )
        self._log_change(report)
        self.last = report
        self.scrapes += 1
        if self.scrapes == 1 and self._latest == math.inf:  # others only go on
            self._context.metrics.first_scrape.observe((self._context.clock.now_ms() - self.started_ms) / 1000)
        self._append_report(report, timestamp_ms)

    def _append_report(self, report: Report, timestamp_ms: int) -> None:
        config, series = self._options.config, self._report_series
        extra = bool(config.extra_scrape_metrics)
        if series is None or (len(series) > len(METRICS)) is not extra:
            if series is not None and not extra:
                self._context.appender.append(stale_markers(extra_series(series), timestamp_ms))
            series = self._report_series = report_series(self._stream, self._labels(), extra=extra)
        self._context.appender.append(report.batch(series, timestamp_ms, self._timeout, config.sample_limit))

    def _resolve(self, fetched: Fetched | FetchFailed, timestamp_ms: int) -> _Outcome:
        config = self._options.config
        if isinstance(fetched, FetchFailed):
            if fetched.too_large:
                self._context.metrics.body_too_large.inc()
            return _Outcome(error=fetched.reason)
        negotiated = format_of(fetched.content_type, config.fallback_scrape_protocol)
        if negotiated.format is None:
            return _Outcome(error=negotiated.problem)
        scraped = 0
        try:
            exposition = parse_text(fetched.body)
            scraped = len(exposition.keys)
            resolved = self._series().resolve(exposition, timestamp_ms)
        except (ExpositionError, InvalidValueError) as error:
            if isinstance(error, LabelLimitError):
                self._context.metrics.label_limits_exceeded.inc()
            return _Outcome(scraped=scraped, error=str(error), format=negotiated.format.value)
        kept = len(resolved.batch) + resolved.duplicates
        if config.sample_limit and len(resolved.batch) > config.sample_limit:
            self._context.metrics.too_many_samples.inc()
            error_text = f"sample limit exceeded (limit: {config.sample_limit})"
            return _Outcome(scraped=scraped, error=error_text, kept=kept, format=negotiated.format.value)
        self._exposed = exposition
        return _Outcome(resolved, scraped, kept=kept, format=negotiated.format.value)

    def _append(self, resolved: Resolved, timestamp_ms: int) -> None:
        if resolved.duplicates:
            self._context.metrics.duplicate_samples.inc(resolved.duplicates)
        self._series().accept(resolved)
        self._context.metrics.samples.inc(len(resolved.batch))
        if len(resolved.batch):
            self._context.appender.append(resolved.batch)
        if resolved.vanished is not None:
            self._context.appender.append(stale_markers(resolved.vanished, timestamp_ms))

    def _mark_stale(self, timestamp_ms: int) -> None:
        series = self._cache.end() if self._cache is not None else None
        if series is not None:
            self._context.appender.append(stale_markers(series, timestamp_ms))

    def _end_series(self) -> None:
        now_ms = self._context.clock.now_ms()
        self._mark_stale(now_ms)
        if self._report_series is not None:
            self._context.appender.append(stale_markers(self._report_series, now_ms))

    def _log_change(self, report: Report) -> None:
        """Log a failure once, when it begins or becomes another one."""
        before = self.last.error if self.last is not None else ""
        if report.error != before:
            log = _log.bind(url=self.target.url)
            if report.error:
                log.warning("scrape failed", error=report.error)
            else:
                log.info("scrape works again")
