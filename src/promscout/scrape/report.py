"""The samples that every scrape reports about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from promscout.model.series import SampleBatch, SeriesTable
from promscout.scrape.sample_labels import SampleLabels

METRICS: Final = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
"""Source: prometheus v3.x scrape/scrape.go report."""

EXTRA_METRICS: Final = ("scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes")
"""What ``extra_scrape_metrics`` adds to them."""

_TOO_LARGE: Final = -1
"""The size of a body that was larger than allowed: nobody knows how large it is."""


@dataclass(frozen=True, slots=True)
class Report:
    """How one scrape went. ``error`` is empty when it succeeded; ``start_ms`` is the wall clock at its start.

    ``scraped`` counts the samples that the target exposed, ``kept`` those that metric relabelling left, ``added`` the
    series that are new. ``size`` is the body in bytes, unpacked; 0 when there is none. ``format`` is what the body was
    read as, or empty. ``too_large``: the body exceeded ``body_size_limit``.
    """

    start_ms: int
    duration: float
    error: str = ""
    scraped: int = 0
    kept: int = 0
    added: int = 0
    size: int = 0
    format: str = ""
    too_large: bool = False

    @property
    def up(self) -> bool:
        """Whether the scrape succeeded."""
        return not self.error

    def batch(self, series: SeriesTable, timestamp_ms: int, timeout: float = 0, sample_limit: int = 0) -> SampleBatch:
        """The report as samples of ``series``, which :func:`report_series` made.

        ``timeout`` in seconds and ``sample_limit``, 0 for none, are told by ``EXTRA_METRICS``.
        """
        values = [self.up, self.duration, self.scraped, self.kept, self.added]
        if len(series) > len(METRICS):
            values += [timeout, sample_limit, _TOO_LARGE if self.too_large else self.size]
        return SampleBatch(series, np.array(values, dtype=np.float64), timestamp_ms)


def report_series(stream: int, labels: SampleLabels, *, extra: bool = False) -> SeriesTable:
    """The report series of one target, in the order of ``METRICS``; ``extra`` adds ``EXTRA_METRICS``."""
    metrics = METRICS + EXTRA_METRICS if extra else METRICS
    return SeriesTable.from_label_sets(stream, map(labels.report, metrics))


def extra_series(series: SeriesTable) -> SeriesTable:
    """Those of ``EXTRA_METRICS`` among report series that were made with them."""
    positions = range(len(METRICS), len(series))
    return SeriesTable(series.stream, [series.encoded_labels(position) for position in positions])
