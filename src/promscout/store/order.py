"""What the agent and its child process tell each other."""

from __future__ import annotations

import msgspec


class Retention(msgspec.Struct, frozen=True):
    """How much is kept.

    ``milliseconds``: a day goes when its last moment is longer ago. ``max_bytes``: the oldest days go while the store's
    Parquet files have more, and of the last day that is left the oldest files of samples; 0 is no limit.
    """

    milliseconds: int
    max_bytes: int = 0


class Usage(msgspec.Struct, frozen=True):
    """What Parquet files there are."""

    files: int = 0
    bytes: int = 0
    oldest_day: str = ""
    """As in ISO 8601; empty without any."""


class Order(msgspec.Struct, frozen=True):
    """What is to be done: which segments, oldest first, and what is kept."""

    root: str
    segments: tuple[str, ...]
    retention: Retention
    now_ms: int


class Folded(msgspec.Struct):
    """What was done. ``error`` says what could not be, and why; empty when all was."""

    samples: int = 0
    series: int = 0
    """New ones on their day."""
    dropped: dict[str, int] = {}
    """Samples, by reason."""
    damaged: list[str] = []
    """What was skipped, as words."""
    usage: Usage = Usage()
    error: str = ""


class PlotMatcher(msgspec.Struct, frozen=True):
    """A condition on a label of a series, which has an empty value where it is missing.

    The value has to be ``wanted`` or, as a ``regex`` of RE2, to be matched by it as a whole; with ``negated``, not.
    """

    name: str
    wanted: str
    regex: bool = False
    negated: bool = False


class PlotOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Which series are to be plotted: those that meet all conditions, at most ``limit``.

    Times are milliseconds since the epoch, from ``start_ms`` up to, not including, ``stop_ms``. They are divided into
    ``columns`` of equal width.
    """

    root: str
    matchers: tuple[PlotMatcher, ...]
    start_ms: int
    stop_ms: int
    columns: int
    limit: int


class PlotPoint(msgspec.Struct, frozen=True, array_like=True):
    """What a series has in one column: its lowest, its highest and its last number.

    ``ends`` says that after the last one a staleness marker ended the series.
    """

    column: int
    low: float
    high: float
    last: float
    ends: bool


class PlotSeries(msgspec.Struct, frozen=True):
    """A series with its points, by rising column; numbers that are not finite are left out."""

    labels: dict[str, str]
    points: list[PlotPoint]


class Plot(msgspec.Struct, frozen=True):
    """The series, by their labels; ``found`` is how many there are without the limit."""

    series: list[PlotSeries] = []
    found: int = 0
    error: str = ""
    """Why there is nothing: the store cannot be read."""
