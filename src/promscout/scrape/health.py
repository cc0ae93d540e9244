"""How many targets of a pool are up, without looking at them."""

from __future__ import annotations

from promscout.scrape.report import Report


class HealthTally:
    """The running loops of one pool by how their last scrape went.

    Guarantees: loops tell it what changes, so reading it costs the same for any number of targets. ``unknown`` are
    those that have not been scraped yet.
    """

    __slots__ = ("down", "unknown", "up")

    def __init__(self) -> None:
        self.up = 0
        self.down = 0
        self.unknown = 0

    def add(self, report: Report | None) -> None:
        """A loop whose last scrape was ``report`` counts from now on."""
        self._count(report, 1)

    def remove(self, report: Report | None) -> None:
        """A loop whose last scrape was ``report`` counts no more."""
        self._count(report, -1)

    def _count(self, report: Report | None, number: int) -> None:
        if report is None:
            self.unknown += number
        elif report.up:
            self.up += number
        else:
            self.down += number
