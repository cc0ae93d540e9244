"""Where scraped samples go."""

from __future__ import annotations

from typing import Protocol

from promscout.model.series import SampleBatch


class Appender(Protocol):
    """Accepts samples for delivery.

    Guarantees: ``append`` never blocks, never awaits and never raises for reasons of the receiver; batches whose
    tables share a ``stream`` are delivered in the order in which they were appended; what cannot be delivered is
    counted by reason.
    """

    def append(self, batch: SampleBatch) -> None:
        """Take one batch. The batch and its table are kept and never changed."""
        ...


class Fanout:
    """An appender that hands every batch to each of several others, in order."""

    def __init__(self, *appenders: Appender) -> None:
        self._appenders = appenders

    def append(self, batch: SampleBatch) -> None:
        """Take one batch for all receivers."""
        for appender in self._appenders:
            appender.append(batch)
