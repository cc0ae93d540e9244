"""Targets whose every sample is known, and what became of each of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from harness.strict_receiver.record import SAMPLE, Recorded

_STEP = 10_000  # more than a target has series


class CountingTargets:
    """Targets with ``series`` series each, whose values are those of no other scrape or series.

    In the scrape n of a target (from 1) its series ``c{i="k"}`` has the value n * 10,000 + k. ``served`` has for each
    target, by its ``instance`` label, when each of its scrapes was answered, in seconds since the epoch. While they are
    ``paused`` scrapes fail, and count as nothing.
    """

    def __init__(self, targets: int, series: int) -> None:
        self.series = series
        self.served: dict[str, list[float]] = {f"target-{number}": [] for number in range(targets)}
        lines = "".join(f'c{{i="{number}"}} %d\n' for number in range(series))
        self._page = f"# TYPE c gauge\n{lines}"
        self._numbers = range(series)
        self.address = ""
        self.paused = False

    @asynccontextmanager
    async def serving(self):
        """They can be scraped."""
        application = web.Application()
        application.router.add_get("/{target}", self._serve)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.address = f"127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        served = self.served[request.match_info["target"]]
        if self.paused:
            return web.Response(status=503)
        first = (len(served) + 1) * _STEP
        body = self._page % tuple(range(first, first + self.series))
        served.append(time.time())
        return web.Response(text=body)

    def job(self, **options: Any) -> dict[str, Any]:
        """A job that scrapes them."""
        groups = [
            {"targets": [self.address], "labels": {"instance": name, "__metrics_path__": f"/{name}"}}
            for name in self.served
        ]
        return {"job_name": "counting", "static_configs": groups, **options}


@dataclass(slots=True)
class Account:
    """Every scrape that was served, by what became of its samples. Scrapes are (target, number).

    ``lost`` are those of which samples are missing, with the time when they were served; ``torn`` counts those among
    them of which some arrived. A scrape that failed in promscout, as its ``up`` of 0 tells, is not lost. ``wrong`` are
    samples with values that were never exposed, or out of order. ``repeated`` are samples that came again.
    """

    scraped: int = 0
    delivered: int = 0
    repeated: int = 0
    failed: int = 0
    lost: dict[tuple[str, int], float] = field(default_factory=dict)
    torn: int = 0
    wrong: list[str] = field(default_factory=list)

    def lost_outside(self, windows: Sequence[tuple[float, float]]) -> dict[tuple[str, int], float]:
        """Lost scrapes that were not served within one of these spans of time."""
        return {scrape: at for scrape, at in self.lost.items() if not any(begin <= at <= end for begin, end in windows)}

    def __str__(self) -> str:
        return (
            f"{self.scraped} scrapes served, {self.delivered} delivered, {self.failed} failed, {len(self.lost)} lost "
            f"({self.torn} of them in part), {self.repeated} samples repeated"
        )


def account(targets: CountingTargets, recorded: Recorded, *, timeout: float = 0.25, refused: bool = False) -> Account:
    """Compare what targets served with what a receiver took, and with what it refused for good if that counts, too.

    ``timeout`` is that of a scrape, in seconds.
    """
    found = Account()
    rows = _Rows(recorded, refused=refused)
    for target, served in targets.served.items():
        numbers: Counter[int] = Counter()
        for index in range(targets.series):
            numbers.update(_numbers(found, rows, target, index))
        failures = [at / 1000 for at, value in rows.of("up", target) if value == 0]
        for number, at in enumerate(served, 1):
            found.scraped += 1
            if numbers[number] == targets.series:
                found.delivered += 1
            elif not numbers[number] and any(one <= at <= one + timeout for one in failures):
                found.failed += 1
            else:
                found.torn += numbers[number] > 0
                found.lost[target, number] = at
    return found


def _numbers(found: Account, rows: _Rows, target: str, index: int) -> Iterator[int]:
    """The scrapes of which one series has a sample; what is wrong with them goes to ``found``."""
    last = last_at = 0
    seen: set[int] = set()
    for at, value in rows.of("c", target, str(index)):
        number, position = divmod(int(value), _STEP)
        if at in seen:
            found.repeated += 1
            continue
        if position != index or at <= last_at or number <= last:
            found.wrong.append(f"{target}, series {index}: {value:.0f} at {at}, after scrape {last} at {last_at}")
        last, last_at = number, at
        seen.add(at)
        yield number


class _Rows:
    """The samples of each series in the order of arrival, without staleness markers."""

    def __init__(self, recorded: Recorded, *, refused: bool) -> None:
        requests = [request.items for request in recorded.requests if request.taken or refused]
        series, kinds, stamps, bits = (
            np.concatenate([np.empty(0, dtype), *(getattr(items, name) for items in requests)])
            for name, dtype in (("series", np.int32), ("kinds", np.uint8), ("stamps", np.int64), ("bits", np.uint64))
        )
        values = bits.view(np.float64)
        kept = (kinds == SAMPLE) & ~np.isnan(values)
        series, self._stamps, self._values = series[kept], stamps[kept], values[kept]
        self._order: NDArray[np.intp] = np.argsort(series, kind="stable")
        self._bounds = np.searchsorted(series[self._order], np.arange(len(recorded.labels) + 1))
        self._numbers = {
            (one["__name__"], one["instance"], one.get("i", "")): number
            for number, one in enumerate(map(dict, recorded.labels))
        }

    def of(self, name: str, target: str, index: str = "") -> Iterator[tuple[int, float]]:
        """(milliseconds, value) of a series; nothing if it never came."""
        number = self._numbers.get((name, target, index))
        if number is None:
            return iter(())
        rows = self._order[self._bounds[number] : self._bounds[number + 1]]
        return zip(self._stamps[rows].tolist(), self._values[rows].tolist(), strict=True)
