"""The labels behind a series text."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from promscout.errors import ExpositionError
from promscout.exposition.lexer import RawLabels, Reader
from promscout.exposition.numbers import format_open_metrics_float, parse_go_float
from promscout.model.labels import METRIC_NAME

_COMMON: Final = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="[^"\\]*",?)*)\})?')
_COMMON_LABEL: Final = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*)"')
_ESCAPE: Final = re.compile(r'\\(["\\n])')
_NUMERIC_LABEL: Final = {"histogram": "le", "summary": "quantile"}


def parse_series(key: bytes, metric_type: str = "untyped") -> tuple[tuple[str, str], ...]:
    """The labels of one series text, ``__name__`` included, unescaped, sorted by name, each name once.

    A label with an empty value is absent, but not unsaid: with ``honor_labels`` it keeps a target's label of that name
    away. So it is among them.

    ``metric_type`` is the type that the TYPE line before the sample declared: the ``le`` of a histogram and the
    ``quantile`` of a summary are written the way OpenMetrics does, so that ``1`` and ``1.0`` are one series.

    Raises:
        ExpositionError: not a series text, a label name twice, no metric name, or text that is not UTF-8. The place
            is relative to ``key``.

    Source: prometheus v3.x model/textparse/promparse.go Labels; scrape/scrape.go append.
    """
    try:
        text = key.decode()
    except UnicodeDecodeError as error:
        raise ExpositionError("the series is not valid UTF-8", 1, error.start + 1) from None
    common = _COMMON.fullmatch(text)
    if common is None:
        return finish_series(*Reader(key).series(), metric_type)
    labels = [(METRIC_NAME, common[1]), *(_COMMON_LABEL.findall(common[2]) if common[2] else ())]
    return finish_labels(labels, metric_type)


def series_text(labels: Iterable[tuple[str, str]]) -> bytes:
    r"""A series text with these labels, ``__name__`` among them: what :func:`parse_series` reads.

    Source: prometheus v3.x model/labels StringNoSpace.
    """
    parts: list[str] = []
    for label, value in labels:
        if label == METRIC_NAME:
            parts.insert(0, _quoted(value))
        else:
            parts.append(f"{_quoted(label)}={_quoted(value)}")
    return f"{{{','.join(parts)}}}".encode()


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'


def finish_series(name: bytes, raw: RawLabels, metric_type: str) -> tuple[tuple[str, str], ...]:
    """The labels of a series by its name and its labels as written, as :func:`parse_series` gives them."""
    pairs: RawLabels = [(METRIC_NAME.encode(), name), *raw]
    return finish_labels([(unescape(label.decode()), unescape(value.decode())) for label, value in pairs], metric_type)


def finish_labels(labels: list[tuple[str, str]], metric_type: str) -> tuple[tuple[str, str], ...]:
    """Unescaped labels of a series, as :func:`parse_series` gives them.

    Raises:
        ExpositionError: as :func:`parse_series`.
    """
    numeric = _NUMERIC_LABEL.get(metric_type)
    if numeric is not None:
        labels = [(name, _normalize(value) if name == numeric else value) for name, value in labels]
    return _checked(sorted(labels))


def unescape(text: str) -> str:
    r"""``text`` with ``\"``, ``\\`` and ``\n`` replaced; other backslashes stand for themselves."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], text)


def _normalize(value: str) -> str:
    try:
        return format_open_metrics_float(parse_go_float(value.encode()))
    except ValueError:
        return value


def _checked(labels: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    present = labels
    removed = {name for name, value in labels if not value}
    if removed:
        # An empty value removes the label, even where the same name has a value as well.
        present = [label for label in labels if label[0] not in removed]
    names = dict(present)
    if len(names) != len(present):
        repeated = next(name for (name, _), (other, _) in pairwise(present) if name == other)
        raise _not_storable(f'label name "{repeated}" is not unique')
    if METRIC_NAME not in names:
        raise _not_storable("missing metric name")
    if "" in names:
        raise _not_storable("empty label name")
    return tuple(sorted((*present, *((name, "") for name in removed)))) if removed else tuple(present)


def _not_storable(message: str) -> ExpositionError:
    """Prometheus finds out when it stores the sample, which counts as read then."""
    error = ExpositionError(message, 1)
    error.samples = 1
    return error
