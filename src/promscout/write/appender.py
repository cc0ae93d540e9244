"""Where scraped samples go."""

from __future__ import annotations

from typing import Protocol

from promscout.model.series import ExemplarBatch, HistogramBatch, SampleBatch


class Appender(Protocol):
    """Accepts samples for delivery.

    Guarantees: no method blocks, awaits or raises for reasons of the receiver; batches whose tables share a ``stream``
    are delivered in the order in which they were appended; what cannot be delivered is counted by reason. Batches and
    their tables are kept and never changed.
    """

    def append(self, batch: SampleBatch) -> None:
        """Take a batch of samples."""
        ...

    def append_histograms(self, batch: HistogramBatch) -> None:
        """Take a batch of native histograms."""
        ...

    def append_exemplars(self, batch: ExemplarBatch) -> None:
        """Take a batch of exemplars: their series' samples were appended before."""
        ...


class Fanout:
    """An appender that hands every batch to each of several others, in order."""

    def __init__(self, *appenders: Appender) -> None:
        self._appenders = appenders

    def append(self, batch: SampleBatch) -> None:
        """Take one batch for all receivers."""
        for appender in self._appenders:
            appender.append(batch)

    def append_histograms(self, batch: HistogramBatch) -> None:
        """Take one batch for all receivers."""
        for appender in self._appenders:
            appender.append_histograms(batch)

    def append_exemplars(self, batch: ExemplarBatch) -> None:
        """Take one batch for all receivers."""
        for appender in self._appenders:
            appender.append_exemplars(batch)
