"""Small plots without axes: what is drawn, as paths of SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import isnan, nan
from typing import Final

import msgspec

WIDTH: Final = 120
HEIGHT: Final = 32
_MARGIN: Final = 1.5  # half of the line, so that it is whole at the edges
_STEEPEST: Final = 0.05
"""A plot that does not begin at zero spans at least this share of its largest value: noise would look like much."""


class Sparkline(msgspec.Struct, frozen=True):
    """One line over some time. ``line`` and ``area`` are empty without values; the extremes are of what was drawn."""

    line: str = ""
    area: str = ""
    low: float = 0.0
    high: float = 0.0


def sparkline(values: Sequence[float], *, rows: int, from_zero: bool = True) -> Sparkline:
    """The picture of ``values``, which are the newest of ``rows``; the newest is at the right edge.

    Columns show the mean of what falls into them. NaN breaks the line.
    """
    points = list(_columns(values, rows))
    known = [value for _, value in points if value is not None]
    if not known:
        return Sparkline()
    low, high = min(known), max(known)
    bottom = min(0.0, low) if from_zero else min(low, high - _STEEPEST * abs(high))
    top = high if high > bottom else bottom + 1
    scale = (HEIGHT - 2 * _MARGIN) / (top - bottom)
    line, area = [], []
    for is_known, run in groupby(points, key=lambda point: point[1] is not None):
        if is_known:
            corners = [f"{x:g} {HEIGHT - _MARGIN - ((value or 0.0) - bottom) * scale:.1f}" for x, value in run]
            first, last = corners[0].split()[0], corners[-1].split()[0]
            # A point of its own is a short dash, which a line of no length would not show.
            line.append(f"M{'L'.join(corners)}" if len(corners) > 1 else f"M{corners[0]}h1")
            area.append(f"M{first} {HEIGHT}L{'L'.join(corners)}L{last} {HEIGHT}Z")
    return Sparkline("".join(line), "".join(area), low, high)


def _columns(values: Sequence[float], rows: int) -> Iterator[tuple[float, float | None]]:
    """Every column's place and mean, of at most ``WIDTH`` columns; None where nothing is known."""
    per_column = max(1, -(-rows // WIDTH))
    columns = -(-rows // per_column)
    step = WIDTH / max(1, columns - 1)
    padded = [*[nan] * (columns * per_column - len(values)), *values]
    for column in range(columns):
        known = [one for one in padded[column * per_column : (column + 1) * per_column] if not isnan(one)]
        yield round(column * step, 1), sum(known) / len(known) if known else None
