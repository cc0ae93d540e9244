"""A plot as lines, axes and words: everything that is drawn, as numbers and texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from promscout.model.labels import METRIC_NAME
from promscout.store.order import PlotPoint, PlotSeries

WIDTH: Final = 960
HEIGHT: Final = 320
"""Of the picture in its own units; the page scales it."""

LEFT: Final = 68
RIGHT: Final = 14
TOP: Final = 12
BOTTOM: Final = 26
COLUMNS: Final = WIDTH - LEFT - RIGHT
"""Columns of a plot: one for each unit."""

LOOKBACK_MS: Final = 300_000
"""A line breaks where there is nothing for longer, as in Prometheus."""

_STEPS_MS: Final = tuple(60_000 * minutes for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440))
_TIME_TICKS: Final = 7
_VALUE_TICKS: Final = 5
_SUFFIXES: Final = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


class Tick(msgspec.Struct, frozen=True):
    """A place on an axis and what is written there."""

    at: float
    text: str


class Line(msgspec.Struct, frozen=True):
    """A series in the picture: a path of SVG, which is empty without points, and what the legend says."""

    number: int
    path: str
    name: str
    labels: tuple[tuple[str, str], ...]
    last: str


class Chart(msgspec.Struct, frozen=True):
    """A picture of some series over some time."""

    lines: tuple[Line, ...]
    times: tuple[Tick, ...]
    values: tuple[Tick, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is no point at all."""
        return not any(line.path for line in self.lines)


def draw(series: Sequence[PlotSeries], start_ms: int, stop_ms: int) -> Chart:
    """The picture of ``series``, whose columns are ``COLUMNS`` between the two times."""
    points = [point for one in series for point in one.points]
    low = min((point.low for point in points), default=0.0)
    high = max((point.high for point in points), default=1.0)
    ticks = value_ticks(low, high)
    scale = _Scale(min(low, ticks[0]), max(high, ticks[-1]))
    break_after = max(1, math.ceil(LOOKBACK_MS * COLUMNS / (stop_ms - start_ms)))
    return Chart(
        lines=tuple(
            Line(
                number,
                _path(one.points, scale, break_after),
                one.labels.get(METRIC_NAME, ""),
                tuple(sorted((name, value) for name, value in one.labels.items() if name != METRIC_NAME)),
                number_text(one.points[-1].last) if one.points else "",
            )
            for number, one in enumerate(series)
        ),
        times=tuple(_time_ticks(start_ms, stop_ms)),
        values=tuple(Tick(scale.y(tick), number_text(tick)) for tick in ticks),
    )


class _Scale:
    def __init__(self, low: float, high: float) -> None:
        self._low = low
        # Halves: the difference of the largest numbers would be infinite.
        self._half_range = high / 2 - low / 2

    def y(self, value: float) -> float:
        share = (value / 2 - self._low / 2) / self._half_range
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def _path(points: Sequence[PlotPoint], scale: _Scale, break_after: int) -> str:
    pieces: list[str] = []
    before: PlotPoint | None = None
    for point in points:
        x = LEFT + point.column
        broken = before is None or before.ends or point.column - before.column > break_after
        low, high = scale.y(point.low), scale.y(point.high)
        # A point of its own is a short dash, which a line of no length would not show.
        pieces.append(f"M{x} {low}h1" if broken else f"L{x} {low}")
        if high != low:
            pieces.append(f"M{x} {low}L{x} {high}" if broken else f"V{high}")
        if point.high != point.last:
            pieces.append(f"M{x} {scale.y(point.last)}")
        before = point
    return "".join(pieces)


def value_ticks(low: float, high: float) -> list[float]:
    """Some round numbers, at even distances, of which the first is not above ``low``, the last not below ``high``."""
    if high / 2 - low / 2 < 1e-300:  # too close together for numbers in between
        low, high = (low - 1, high + 1) if abs(low) < 1e15 else (low - abs(low) / 2, high + abs(high) / 2)
    rough = (high / _VALUE_TICKS) - (low / _VALUE_TICKS)
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next((magnitude * nice for nice in (1, 2, 2.5, 5, 10) if magnitude * nice >= rough), rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [max(-1.7e308, min(1.7e308, index * step)) for index in range(first, last + 1)]


def _time_ticks(start_ms: int, stop_ms: int) -> list[Tick]:
    span = stop_ms - start_ms
    step = next((one for one in _STEPS_MS if span / one <= _TIME_TICKS), _STEPS_MS[-1])
    first = -(-start_ms // step) * step
    return [
        Tick(LEFT + (at - start_ms) * COLUMNS / span, f"{datetime.fromtimestamp(at / 1000, UTC):%H:%M}")
        for at in range(first, stop_ms, step)
    ]


def number_text(value: float) -> str:
    """A number in few characters: ``12.5k``, ``0.003``, ``1.2e-09``."""
    size = abs(value)
    if size >= 1e15 or 0 < size < 1e-4:
        return f"{value:.3g}"
    for factor, suffix in _SUFFIXES:
        if size >= factor:
            return f"{value / factor:.4g}{suffix}"
    return f"{value:.4g}"
