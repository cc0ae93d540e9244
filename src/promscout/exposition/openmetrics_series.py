"""The labels behind a series text of OpenMetrics."""

from __future__ import annotations

import re
from typing import Final

from promscout.errors import ExpositionError
from promscout.exposition.openmetrics_lexer import OpenMetricsReader
from promscout.exposition.series import finish_labels, finish_series
from promscout.model.labels import METRIC_NAME

_COMMON: Final = re.compile(
    r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n\0]*"(?:,|(?=\})))*)\})?'
)
_COMMON_LABEL: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"]*)"')


def parse_openmetrics_series(key: bytes, metric_type: str = "unknown") -> tuple[tuple[str, str], ...]:
    """The labels of one series text, as :func:`~promscout.exposition.series.parse_series` gives those of text.

    Raises:
        ExpositionError: as there; the grammar is that of OpenMetrics.

    Source: prometheus v3.x model/textparse/openmetricsparse.go Labels.
    """
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise ExpositionError("the series is not valid UTF-8", 1, error.start + 1) from None
    common = _COMMON.fullmatch(text)
    if common is None:
        return finish_series(*OpenMetricsReader(key).series(), metric_type)
    labels = [(METRIC_NAME, common[1]), *(_COMMON_LABEL.findall(common[2]) if common[2] else ())]
    return finish_labels(labels, metric_type)
