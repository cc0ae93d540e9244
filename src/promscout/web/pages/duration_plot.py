"""How long the last scrapes of a target took, as a picture."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from promscout.scrape.history import KEPT, PastScrape, past_scrapes

BARS_HEIGHT: Final = 18
"""Of the small picture, in its own units."""

WIDTH: Final = 640
HEIGHT: Final = 150
LEFT: Final = 64
RIGHT: Final = 12
TOP: Final = 10
BOTTOM: Final = 22
"""Of the large picture, with room for what is written beside its axes."""

_LOWEST: Final = 0.001  # seconds at the lower end of the large picture, unless a scrape was shorter


class Bars(msgspec.Struct, frozen=True):
    """The small picture: two paths of lines, for scrapes that succeeded and that failed, and what they show."""

    up: str = ""
    down: str = ""
    text: str = ""


class DurationTick(msgspec.Struct, frozen=True):
    """A height in the large picture and the seconds it stands for."""

    y: float
    seconds: float


class Dot(msgspec.Struct, frozen=True):
    """One scrape in the large picture; ``number`` counts back from 1, which is the last."""

    x: float
    y: float
    number: int
    scrape: PastScrape


class DurationPlot(msgspec.Struct, frozen=True):
    """The large picture: the scrapes, a line through them, the heights on its axis, and that of the timeout."""

    dots: tuple[Dot, ...]
    line: str
    ticks: tuple[DurationTick, ...]
    timeout_y: float


def draw_bars(history: bytes) -> Bars:
    """The small picture; the longest of the scrapes has the whole height."""
    if not history:
        return Bars()
    scrapes = past_scrapes(history)
    longest = max(scrape.duration for scrape in scrapes)
    paths: dict[bool, list[str]] = {True: [], False: []}
    first = KEPT - len(scrapes)
    for place, scrape in enumerate(scrapes, first):
        height = max(1.5, scrape.duration / longest * BARS_HEIGHT)
        paths[scrape.up].append(f"M{3 * place + 1} {BARS_HEIGHT}v-{height:.4g}")
    return Bars("".join(paths[True]), "".join(paths[False]), _text(scrapes))


def _text(scrapes: list[PastScrape]) -> str:
    shortest, longest = (pick(scrape.duration for scrape in scrapes) for pick in (min, max))
    failed = sum(not scrape.up for scrape in scrapes)
    took = f"the last {len(scrapes)} scrapes took {_seconds(shortest)} to {_seconds(longest)}"
    if len(scrapes) == 1:
        took = f"the last scrape took {_seconds(longest)}"
    return f"{took}, {failed} failed" if failed else took


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else f"{seconds:.2g} s"


def draw_plot(history: bytes, timeout: float) -> DurationPlot:
    """The large picture, on a logarithmic axis that ends above ``timeout``, in seconds."""
    scrapes = past_scrapes(history)
    shortest = min((scrape.duration for scrape in scrapes), default=_LOWEST)
    low = math.floor(math.log10(min(shortest, _LOWEST)))
    longest = max(timeout, max((scrape.duration for scrape in scrapes), default=0.0))
    high = max(math.log10(longest) + 0.1, low + 1)

    def y(seconds: float) -> float:
        share = (math.log10(seconds) - low) / (high - low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)

    step = (WIDTH - LEFT - RIGHT) / (KEPT - 1)
    dots = tuple(
        Dot(round(WIDTH - RIGHT - step * back, 1), y(scrape.duration), back + 1, scrape)
        for back, scrape in zip(range(len(scrapes) - 1, -1, -1), scrapes, strict=True)
    )
    line = "".join(f"{'L' if place else 'M'}{dot.x} {dot.y}" for place, dot in enumerate(dots))
    ticks = tuple(DurationTick(y(10.0**power), 10.0**power) for power in range(low, math.floor(high) + 1))
    return DurationPlot(dots, line, ticks, y(timeout))
