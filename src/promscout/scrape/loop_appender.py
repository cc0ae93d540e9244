"""From what a scrape fetched to what is appended."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from promscout.errors import BucketLimitError, ExpositionError, InvalidValueError
from promscout.exposition.negotiation import format_of
from promscout.model.metadata import NO_FAMILIES, Families
from promscout.model.names import NameValidation
from promscout.model.series import SampleBatch, SeriesTable, stale_markers
from promscout.relabel.engine import Relabeler
from promscout.scrape.cache import Resolved, SeriesCache
from promscout.scrape.columns import Refusal
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.histograms import HistogramLimits
from promscout.scrape.label_limits import LabelLimits
from promscout.scrape.options import ScrapeContext, ScrapeOptions
from promscout.scrape.own_times import OwnTimes
from promscout.scrape.report import METRICS, Report, extra_series, report_series
from promscout.scrape.sample_labels import SampleLabels
from promscout.scrape.target import Target
from promscout.scrape.threads import in_thread
from promscout.scrape.transport import Fetched, FetchFailed

LARGE: Final = 1 << 20
"""Bytes of a body that takes ten milliseconds to read, and some hundred the first time."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a scrape. ``error`` is empty if its samples were appended; the counts are those of a report.

    ``format`` is the media type as which the body was read, or empty.
    """

    error: str = ""
    scraped: int = 0
    kept: int = 0
    added: int = 0
    format: str = ""


class LoopAppender:
    """Appends the samples of one target, scrape after scrape, and its report samples.

    Guarantees: series that vanish, that a failed scrape leaves without a sample, or that ``end``, get a staleness
    marker; a scrape is appended as a whole or not at all; an empty body is a scrape without samples.

    Source: prometheus v3.x scrape/scrape.go scrapeLoopAppender.
    """

    __slots__ = ("_cache", "_cached_for", "_context", "_own_times", "_report_series", "_target", "stream")

    def __init__(self, target: Target, stream: int, context: ScrapeContext) -> None:
        self.stream = stream
        self._target = target
        self._context = context
        self._cache: SeriesCache | None = None
        self._cached_for: Relabeler | None = None
        self._own_times: OwnTimes | None = None
        self._report_series: SeriesTable | None = None

    def moved(self, target: Target, context: ScrapeContext) -> LoopAppender:
        """One that goes on with the same series, for another target with the same labels."""
        moved = LoopAppender(target, self.stream, context)
        moved._cache, moved._cached_for = self._cache, self._cached_for
        moved._own_times, moved._report_series = self._own_times, self._report_series
        return moved

    @property
    def families(self) -> Families:
        """What the last body that could be read says about its metric families."""
        return self._cache.families if self._cache is not None else NO_FAMILIES

    @property
    def body(self) -> bytes | None:
        """The last text that could be read; None where none is kept."""
        return self._cache.body if self._cache is not None else None

    async def append(self, fetched: Fetched | FetchFailed, options: ScrapeOptions, timestamp_ms: int) -> Outcome:
        """Append what a scrape at ``timestamp_ms`` fetched. A large body is read in a thread, so that others go on."""
        if isinstance(fetched, FetchFailed):
            outcome = Outcome(fetched.reason)
            if fetched.too_large:
                self._context.metrics.body_too_large.inc()
        elif not fetched.body:
            outcome = Outcome()
        else:
            outcome = await self._append_body(fetched, options, timestamp_ms)
        if outcome.error or not outcome.format:
            self._mark_stale(timestamp_ms)
        return outcome

    def report(self, report: Report, options: ScrapeOptions, timeout: float, timestamp_ms: int) -> None:
        """Append the report samples of a scrape that might take ``timeout`` seconds."""
        config, series = options.config, self._report_series
        extra = bool(config.extra_scrape_metrics)
        if series is None or (len(series) > len(METRICS)) is not extra:
            if series is not None and not extra:
                self._context.appender.append(stale_markers(extra_series(series), timestamp_ms))
            series = self._report_series = report_series(self.stream, self._labels(options), extra=extra)
        self._context.appender.append(report.batch(series, timestamp_ms, timeout, config.sample_limit))

    def end(self, timestamp_ms: int) -> None:
        """The target is gone: all of its series turn stale."""
        self._mark_stale(timestamp_ms)
        if self._report_series is not None:
            self._context.appender.append(stale_markers(self._report_series, timestamp_ms))

    async def _append_body(self, fetched: Fetched, options: ScrapeOptions, timestamp_ms: int) -> Outcome:
        negotiated = format_of(fetched.content_type, options.config.fallback_scrape_protocol)
        if negotiated.format is None:
            return Outcome(negotiated.problem)
        name = negotiated.format.value
        read, series = options.readers.of(negotiated.format), self._series(options)
        try:
            if len(fetched.body) < LARGE:
                resolved = series.resolve(fetched.body, read, timestamp_ms)
            else:
                resolved = await in_thread(partial(series.resolve, fetched.body, read, timestamp_ms))
        except ExpositionError as error:
            return Outcome(str(error), error.samples, format=name)
        judged = self._judge(resolved, options.config)
        if isinstance(judged, Refusal):
            return Outcome(judged.reason, judged.scraped, judged.kept, judged.added, name)
        self._append(judged, timestamp_ms)
        return Outcome("", judged.scraped, judged.kept, judged.added(), name)

    def _judge(self, resolved: Resolved | Refusal, config: ScrapeConfig) -> Resolved | Refusal:
        """What to append of ``resolved``, or why nothing of it is appended."""
        metrics = self._context.metrics
        if isinstance(resolved, Refusal):
            if resolved.beyond_label_limits:
                metrics.label_limits_exceeded.inc()
            return resolved
        limit = config.sample_limit
        if limit and resolved.appended > limit:
            metrics.too_many_samples.inc()
            return resolved.refused(f"sample limit exceeded (limit: {limit})", limit)
        if resolved.histograms is None:
            return resolved
        try:
            return resolved.with_histograms(map(HistogramLimits.of(config).admit, resolved.histograms.histograms))
        except InvalidValueError as error:
            if isinstance(error, BucketLimitError):
                metrics.too_many_buckets.inc()
            return resolved.refused(str(error))

    def _append(self, resolved: Resolved, timestamp_ms: int) -> None:
        appender, metrics = self._context.appender, self._context.metrics
        if resolved.duplicates:
            metrics.duplicate_samples.inc(resolved.duplicates)
        if self._cache is not None:
            self._cache.accept(resolved)
        # The times of those that vanish are forgotten with what follows; others may get a later sample by it.
        vanished = self._may_end(resolved.vanished, timestamp_ms)
        batch = self._in_time(resolved.batch)
        metrics.samples.inc(resolved.appended - len(resolved.batch) + len(batch))
        if len(batch):
            appender.append(batch)
        if resolved.histograms is not None:
            appender.append_histograms(resolved.histograms)
        if resolved.exemplars is not None:
            appender.append_exemplars(resolved.exemplars)
        self._turn_stale(vanished, timestamp_ms)

    def _in_time(self, batch: SampleBatch) -> SampleBatch:
        """Those samples that go on in time, which some may not that have, or their series had, times of their own."""
        if self._own_times is None:
            if isinstance(batch.timestamps, int):
                return batch
            self._own_times = OwnTimes()
        admitted = self._own_times.admit(batch, self._context.clock.now_ms())
        self._context.metrics.refused(admitted)
        return admitted.batch

    def _mark_stale(self, timestamp_ms: int) -> None:
        self._turn_stale(self._cache.end() if self._cache is not None else None, timestamp_ms)

    def _turn_stale(self, series: SeriesTable | None, timestamp_ms: int) -> None:
        series = self._may_end(series, timestamp_ms)
        if series is not None and len(series):
            self._context.appender.append(stale_markers(series, timestamp_ms))

    def _may_end(self, series: SeriesTable | None, timestamp_ms: int) -> SeriesTable | None:
        """Without those that have a sample of that time or later."""
        if series is None or self._own_times is None:
            return series
        return self._own_times.may_end(series, timestamp_ms)

    def _series(self, options: ScrapeOptions) -> SeriesCache:
        """The series of this target; made when first needed, since most of a large pool waits long."""
        relabeler = options.metric_relabeler
        if self._cache is None or self._cached_for is not relabeler:
            config, before = options.config, self._cache
            self._cache = SeriesCache(
                self.stream,
                self._labels(options),
                honor_timestamps=config.honor_timestamps,
                track_timestamps=config.track_timestamps_staleness,
            )
            self._cached_for = relabeler
            if before is not None:
                self._cache.adopt(before)
        return self._cache

    def _labels(self, options: ScrapeOptions) -> SampleLabels:
        config = options.config
        return SampleLabels(
            self._target.labels,
            options.metric_relabeler,
            honor_labels=config.honor_labels,
            names=config.metric_name_validation_scheme or NameValidation.UTF8,
            limits=LabelLimits.of(config),
        )
