"""What the demo shows: numbers at one moment, and how they look on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from promscout.demo.lag import LagSummary
from promscout.scrape.pool import ScrapePool

_RATE_WINDOW: Final = 4.0
"""Seconds that the shown rate looks back: two scrape intervals of the demo."""


class Rate:
    """The growth of a counter per second, over the last ``_RATE_WINDOW`` seconds."""

    def __init__(self, now: float) -> None:
        self._points = [(now, 0.0)]

    def update(self, value: float, now: float) -> float:
        """Take the counter's value at ``now`` and give the rate."""
        self._points.append((now, value))
        while len(self._points) > 2 and self._points[1][0] <= now - _RATE_WINDOW:
            del self._points[0]
        (start, before), (end, after) = self._points[0], self._points[-1]
        return (after - before) / (end - start) if end > start else 0.0


@dataclass(frozen=True, slots=True)
class JobSummary:
    """One job's targets by health."""

    name: str
    up: int
    down: int
    unknown: int
    dropped: int
    slowest: float

    @classmethod
    def of(cls, name: str, pool: ScrapePool) -> Self:
        """The summary of a pool."""
        reports = [active.loop.last for active in pool.active.values()]
        up = sum(report is not None and report.up for report in reports)
        unknown = sum(report is None for report in reports)
        slowest = max((report.duration for report in reports if report is not None), default=0.0)
        return cls(name, up, len(reports) - up - unknown, unknown, pool.dropped_count, slowest)

    @property
    def targets(self) -> int:
        """All targets."""
        return self.up + self.down + self.unknown


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The demo at one moment."""

    url: str
    api_server: str
    config: str
    pods: int
    jobs: tuple[JobSummary, ...]
    samples: int
    samples_per_second: float
    lag: LagSummary | None
    events: tuple[str, ...]

    @property
    def lag_text(self) -> str:
        """Time from event to target in words."""
        if self.lag is None:
            return "no pod has come yet"
        return (
            f"median {self.lag.median * 1000:.0f} ms, longest {self.lag.longest * 1000:.0f} ms ({self.lag.count} pods)"
        )

    def line(self) -> str:
        """Everything in one line."""
        jobs = ", ".join(f"{job.name} {job.up}/{job.targets} up" for job in self.jobs)
        return f"{jobs}; {self.samples_per_second:,.0f} samples/s; event to target: {self.lag_text}"


def render(snapshot: Snapshot) -> RenderableType:
    """The live view."""
    return Group(_jobs_table(snapshot), _facts(snapshot), _events(snapshot))


def render_summary(snapshot: Snapshot) -> RenderableType:
    """What is left to read after ``--once``."""
    return Group(_jobs_table(snapshot), _facts(snapshot), Text("Every target has been scraped twice.", style="green"))


def _jobs_table(snapshot: Snapshot) -> Table:
    table = Table(title=f"{snapshot.pods} pods in the cluster", title_justify="left", title_style="bold")
    table.add_column("job", style="cyan")
    for column in ("up", "down", "not yet scraped", "dropped by relabelling", "slowest scrape"):
        table.add_column(column, justify="right")
    for job in snapshot.jobs:
        table.add_row(
            job.name,
            Text(str(job.up), style="green"),
            Text(str(job.down), style="red" if job.down else "dim"),
            str(job.unknown),
            str(job.dropped),
            f"{job.slowest * 1000:.0f} ms",
        )
    return table


def _facts(snapshot: Snapshot) -> Table:
    facts = Table.grid(padding=(0, 2))
    facts.add_row("samples", f"{snapshot.samples:,} so far, {snapshot.samples_per_second:,.0f} a second")
    facts.add_row("event to target", snapshot.lag_text)
    facts.add_row("web page", Text(f"{snapshot.url}/", style="cyan"))
    facts.add_row("API server", Text(snapshot.api_server, style="cyan"))
    facts.add_row("configuration", Text(snapshot.config, style="dim"))
    return facts


def _events(snapshot: Snapshot) -> Text:
    return Text("\n".join(f"· {event}" for event in snapshot.events), style="dim")
