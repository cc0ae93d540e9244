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


@dataclass(frozen=True, slots=True)
class Report:
    """How one scrape went. ``error`` is empty when it succeeded; ``start_ms`` is the wall clock at its start."""

    start_ms: int
    duration: float
    error: str = ""
    scraped: int = 0
    kept: int = 0
    added: int = 0

    @property
    def up(self) -> bool:
        """Whether the scrape succeeded."""
        return not self.error

    def batch(self, series: SeriesTable, timestamp_ms: int) -> SampleBatch:
        """The report as samples of ``series``, which :func:`report_series` made."""
        values = np.array([self.up, self.duration, self.scraped, self.kept, self.added], dtype=np.float64)
        return SampleBatch(series, values, timestamp_ms)


def report_series(stream: int, labels: SampleLabels) -> SeriesTable:
    """The report series of one target, in the order of ``METRICS``."""
    return SeriesTable.from_label_sets(stream, (labels.report(metric) for metric in METRICS))
