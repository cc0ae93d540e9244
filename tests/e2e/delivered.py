"""What exporters served and what a database stored, in forms that compare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from peers import VictoriaMetrics
from promscout.sim.exporter import Exporter, Served
from promscout.sim.metrics import MetricsPage

Labels = tuple[tuple[str, str], ...]
Samples = list[tuple[int, float | None]]


def remote_write(url: str, **queue: Any) -> dict[str, Any]:
    """A section that sends soon, so that tests need not wait."""
    return {"url": url, "queue_config": {"batch_send_deadline": "100ms", "max_backoff": "500ms", **queue}}


def labels_of(labels: Mapping[str, str] | Labels, *, without: str = "") -> Labels:
    """Labels as a key."""
    return tuple(sorted((name, value) for name, value in dict(labels).items() if name != without))


async def delivered(database: VictoriaMetrics, match: str, *, stale: bool = False) -> dict[Labels, Samples]:
    """All stored samples by series, in the order of time; staleness markers are None and there only if asked for."""
    await database.force_flush()
    found: dict[Labels, dict[int, float | None]] = {}
    for row in await database.export(match):
        samples = found.setdefault(labels_of(row["metric"]), {})
        for at, value in zip(row["timestamps"], row["values"], strict=True):
            assert at not in samples, f"{row['metric']} has two samples at {at}"
            if value is not None or stale:
                samples[at] = value
    return {labels: sorted(samples.items()) for labels, samples in found.items()}


class Page(Served):
    """A page as it was served."""

    @property
    def series(self) -> list[str]:
        """Every series on it, as the page writes it."""
        lines = self.body.decode().splitlines()
        return [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]


class _Recording(MetricsPage):
    def __init__(self, page: MetricsPage, served: list[Page]) -> None:
        self._page = page
        self._served = served

    def render(self, now: float, scrapes: int) -> bytes:
        body = self._page.render(now, scrapes)
        self._served.append(Page(body, round(now * 1000)))
        return body


def recorded(exporter: Exporter) -> list[Page]:
    """A list to which every page that the exporter serves from now on is added."""
    served: list[Page] = []
    exporter.page = _Recording(exporter.page, served)
    return served
