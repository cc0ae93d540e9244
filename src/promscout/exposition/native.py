"""Native histograms and exemplars of the protobuf format as values."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from promscout.exposition.numbers import NORMAL_NAN
from promscout.exposition.samples import exemplar_of
from promscout.model.buckets import check_spans, compact
from promscout.model.histogram import CounterReset, Exemplar, Histogram, Span


def is_native(message: Any) -> bool:  # noqa: ANN401 - a Histogram message
    """Whether a histogram has native buckets, or would have some if it had observations.

    Source: prometheus v3.x model/textparse/protobufparse.go isNativeHistogram.
    """
    return bool(message.positive_span or message.negative_span or message.zero_threshold > 0 or message.zero_count > 0)


def read_native(message: Any, *, is_gauge: bool) -> Histogram:  # noqa: ANN401
    """The native histogram of a message, without empty buckets. Counts are floats where one of the message's is.

    Raises:
        InvalidValueError: spans and buckets do not fit.

    Source: prometheus v3.x model/textparse/protobufparse.go Histogram.
    """
    is_float = message.sample_count_float > 0 or message.zero_count_float > 0
    histogram = Histogram(
        schema=message.schema,
        is_float=is_float,
        count=message.sample_count_float if is_float else message.sample_count,
        sum=read_sum(message),
        zero_threshold=message.zero_threshold,
        zero_count=message.zero_count_float if is_float else message.zero_count,
        positive_spans=_spans(message.positive_span),
        positive_buckets=tuple(message.positive_count if is_float else message.positive_delta),
        negative_spans=_spans(message.negative_span),
        negative_buckets=tuple(message.negative_count if is_float else message.negative_delta),
        counter_reset=CounterReset.GAUGE if is_gauge else CounterReset.UNKNOWN,
    )
    check_spans(histogram)
    return compact(histogram)


def read_sum(message: Any) -> float:  # noqa: ANN401
    """The sum of a histogram; a NaN has the bits of ``NORMAL_NAN_BITS``."""
    total: float = message.sample_sum
    return NORMAL_NAN if math.isnan(total) else total


def read_exemplar(message: Any) -> Exemplar | None:  # noqa: ANN401 - an Exemplar message
    """The exemplar of a message; None if no storage would take it."""
    timestamp = None
    if message.HasField("timestamp"):
        nanoseconds = message.timestamp.nanos
        # Towards zero, as Go divides.
        timestamp = message.timestamp.seconds * 1000 + int(nanoseconds / 1_000_000)
    labels = [(label.name, label.value) for label in message.label]
    return exemplar_of(labels, message.value, timestamp)


def _spans(messages: Iterable[Any]) -> tuple[Span, ...]:
    return tuple(Span(one.offset, one.length) for one in messages)
