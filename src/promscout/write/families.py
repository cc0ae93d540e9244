"""Which metric family a series belongs to, and which series says when others of it began."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.model.metadata import MetricMetadata

METRIC_TYPES: Final = {
    "counter": 1,
    "gauge": 2,
    "histogram": 3,
    "gaugehistogram": 4,
    "summary": 5,
    "info": 6,
    "stateset": 7,
}
"""Metric type → its number in the messages of 1.0 and 2.0; any other is 0, unknown."""

_CREATED: Final = "_created"

_SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "counter": ("_total", _CREATED),
    "histogram": ("_bucket", "_count", "_sum", _CREATED),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("_count", "_sum", _CREATED),
    "info": ("_info",),
}
"""Metric type → what its series may add to the name of the family. Those of other types have the family's name."""


class Metric(msgspec.Struct, frozen=True):
    """What is known about a metric name."""

    family: str = ""
    """Empty where none is known."""
    metadata: MetricMetadata = MetricMetadata()
    tells_creation: bool = False
    """Whether the values of such a series are when other series of the family began, in seconds."""

    @property
    def has_beginning(self) -> bool:
        """Whether such a series counts from a beginning on."""
        return not self.tells_creation and _CREATED in _SUFFIXES.get(self.metadata.type, ())


def metric_of(name: str, families: Mapping[str, MetricMetadata]) -> Metric:
    """What ``families`` say about the metric ``name``.

    A family of that very name comes first, then one whose type explains how the name ends.

    Source: prometheus v3.x scrape/scrape.go isSeriesPartOfFamily, which does not know ``_created``.
    """
    found = families.get(name)
    if found is not None:
        return Metric(name, found)
    base, underscore, end = name.rpartition("_")
    found, suffix = families.get(base), underscore + end
    if found is None or suffix not in _SUFFIXES.get(found.type, ()):
        return Metric()
    return Metric(base, found, tells_creation=suffix == _CREATED)


def creations(
    series: Iterable[Sequence[int]], metrics: Mapping[int, Metric], apart: frozenset[int]
) -> NDArray[np.intp] | None:
    """For each series, the index of the one that tells when it began; -1 for none. None: there is none at all.

    Series are given as numbers of labels, ``metrics`` are those that are metric names. A series and the one that tells
    belong to the same family and have the same labels, those of ``apart`` not counted.
    """
    if not any(metric.tells_creation for metric in metrics.values()):
        return None
    told: dict[tuple[str, tuple[int, ...]], int] = {}
    asked: list[tuple[int, tuple[str, tuple[int, ...]]]] = []
    count = 0
    for index, labels in enumerate(series):
        count += 1
        metric = next((metrics[label] for label in labels if label in metrics), Metric())
        key = metric.family, tuple(label for label in labels if label not in metrics and label not in apart)
        if metric.tells_creation:
            told[key] = index
        elif metric.has_beginning:
            asked.append((index, key))
    found = np.full(count, -1, np.intp)
    for index, key in asked:
        found[index] = told.get(key, -1)
    return found
