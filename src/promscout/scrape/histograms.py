"""The limits of native histograms that are scraped."""

from __future__ import annotations

import math
from typing import Final, Self

import msgspec

from promscout.errors import BucketLimitError
from promscout.model.buckets import reduce_resolution, validate
from promscout.model.histogram import MAX_SCHEMA, MIN_SCHEMA, Histogram
from promscout.scrape.config import ScrapeConfig

_MAX_RESERVED_SCHEMA: Final = 52
_NO_FACTOR: Final = 1.00271
"""Growth from bucket to bucket of the finest schema there is, rounded up."""


class HistogramLimits(msgspec.Struct, frozen=True):
    """How many buckets a histogram may have, 0 meaning any number, and its finest schema."""

    bucket_limit: int = 0
    max_schema: int = MAX_SCHEMA

    @classmethod
    def of(cls, config: ScrapeConfig) -> Self:
        """The limits that a job is configured with."""
        factor = config.native_histogram_min_bucket_factor
        return cls(config.native_histogram_bucket_limit, schema_for_factor(factor))

    def admit(self, histogram: Histogram) -> Histogram:
        """The histogram to store: the one given, or the same with wider buckets.

        Raises:
            BucketLimitError: it has too many buckets even with the widest ones there are.
            InvalidValueError: it is not valid.

        Source: prometheus v3.x scrape/target.go maxSchemaAppender, bucketLimitAppender.
        """
        if self.max_schema < MAX_SCHEMA and self.max_schema < histogram.schema <= _MAX_RESERVED_SCHEMA:
            histogram = reduce_resolution(histogram, self.max_schema)
        while self.bucket_limit and _size(histogram) > self.bucket_limit:
            if not MIN_SCHEMA < histogram.schema <= MAX_SCHEMA:
                raise BucketLimitError(f"histogram bucket limit exceeded (limit: {self.bucket_limit})")
            histogram = reduce_resolution(histogram, histogram.schema - 1)
        validate(histogram)
        return histogram


def schema_for_factor(factor: float) -> int:
    """The finest schema in which each bucket is at least ``factor`` times as wide as the one before.

    Source: prometheus v3.x scrape/scrape.go pickSchema.
    """
    schema = -math.log2(math.log2(factor if factor > 1 else _NO_FACTOR))
    return math.floor(max(MIN_SCHEMA, min(MAX_SCHEMA, schema)))


def _size(histogram: Histogram) -> int:
    return len(histogram.positive_buckets) + len(histogram.negative_buckets)
