"""Native histograms and exemplars as values.

Source: prometheus v3.x model/histogram/histogram.go, float_histogram.go; model/exemplar/exemplar.go.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import msgspec

from promscout.model.labels import LabelSet

CUSTOM_BUCKETS_SCHEMA: Final = -53
"""The schema of a histogram whose bucket bounds are ``custom_values``."""

MIN_SCHEMA: Final = -4
MAX_SCHEMA: Final = 8


class CounterReset(Enum):
    """What is known about a reset between a histogram and its predecessor."""

    UNKNOWN = 0
    YES = 1
    NO = 2
    GAUGE = 3


class Span(msgspec.Struct, frozen=True, gc=False):
    """``length`` neighbouring buckets, ``offset`` after the end of the span before (of the first: from bucket 0)."""

    offset: int
    length: int


class Histogram(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One native histogram.

    With ``is_float``, counts are floats and buckets hold their counts; otherwise counts are integers and each bucket
    holds the difference of its count to that of the bucket before. ``sum`` may be a staleness marker. Equality is that
    of the fields: a NaN sum equals nothing.
    """

    schema: int
    is_float: bool = False
    count: float = 0
    sum: float = 0.0
    zero_threshold: float = 0.0
    zero_count: float = 0
    positive_spans: tuple[Span, ...] = ()
    positive_buckets: tuple[float, ...] = ()
    negative_spans: tuple[Span, ...] = ()
    negative_buckets: tuple[float, ...] = ()
    custom_values: tuple[float, ...] = ()
    counter_reset: CounterReset = CounterReset.UNKNOWN

    @property
    def has_custom_buckets(self) -> bool:
        """Whether the bounds of the buckets are ``custom_values``."""
        return self.schema == CUSTOM_BUCKETS_SCHEMA


class Exemplar(msgspec.Struct, frozen=True, gc=False):
    """An example behind a sample. ``timestamp`` is in milliseconds, None where the target gives none."""

    labels: LabelSet
    value: float
    timestamp: int | None = None
