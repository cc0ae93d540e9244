"""Bodies in OpenMetrics as columns.

As in :mod:`promscout.exposition.text`: usual lines are split at their last blanks, in front of their exemplar if they
have one; for everything else, the exact reader of :mod:`promscout.exposition.openmetrics_lexer` reads the whole body.
"""

from __future__ import annotations

import re
from typing import Final, TypedDict

import numpy as np
from numpy.typing import NDArray

from promscout.exposition.columns import UnusualError, numbers, read_all, remembered, split_timestamps
from promscout.exposition.lexer import Metadata, is_utf8, unquote
from promscout.exposition.openmetrics_lexer import OpenMetricsReader, metadata_problem
from promscout.exposition.openmetrics_series import parse_openmetrics_series
from promscout.exposition.samples import Exposition, HelpText, LabelsOf, exemplar_of
from promscout.exposition.series import unescape
from promscout.model.histogram import Exemplar


def parse_openmetrics(body: bytes) -> Exposition:
    """The samples of ``body``, in OpenMetrics 0.0.1 or 1.0.0, ``_created`` samples among them.

    Values, time stamps and exemplars are checked; series texts only as far as needed to find their ends. What is wrong
    inside of one shows when ``labels_of`` sees it. Every NaN of a sample has the bits of ``NORMAL_NAN_BITS``.
    Labels of exemplars are as written, escapes included. Exemplars that no storage takes are left out.

    Raises:
        ExpositionError: Prometheus would fail the scrape because of this body.

    Source: prometheus v3.x model/textparse/openmetricsparse.go OpenMetricsParser.
    """
    try:
        return _parse_common(body)
    except UnusualError:
        return parse_exactly(body)


def parse_exactly(body: bytes) -> Exposition:
    """Like :func:`parse_openmetrics`, by the exact reader, at ten times the cost."""
    return read_all(OpenMetricsReader(body).next_entry, **_DIALECT)


class _Dialect(TypedDict):
    labels_of: LabelsOf
    help_text: HelpText
    in_seconds: bool


_DIALECT: Final = _Dialect(labels_of=parse_openmetrics_series, help_text=unescape, in_seconds=True)
_HASH: Final = b"#"[0]
_EOF: Final = b"\n# EOF"
_FAR: Final = 1e18  # milliseconds; the exact reader knows what becomes of more
_METADATA: Final = re.compile(
    rb"# (?P<kind>HELP|TYPE|UNIT) (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*|\"[^\"\\]*\") (?P<text>.*)"
)
_EXEMPLAR: Final = re.compile(rb'((?:[a-zA-Z_][a-zA-Z0-9_]*="[^"\\]*"(?:,|(?=\})))*)\} ([^ ]+)(?: ([^ ]+))?')
_EXEMPLAR_LABEL: Final = re.compile(rb'([^=,]+)="([^"]*)"')


def _parse_common(body: bytes) -> Exposition:
    has_exemplars = b" # {" in body
    rows: list[tuple[bytes, bytes, bytes]] = []
    metadata: list[tuple[int, Metadata]] = []
    exemplars: dict[int, bytes] = {}
    try:
        for line in _lines(body):
            if line[0] == _HASH:
                metadata.append((len(rows), _metadata(line)))
            elif has_exemplars and b" # {" in line:
                sample, _, exemplars[len(rows)] = line.rpartition(b" # {")
                rows.append(sample.rpartition(b" "))
            else:
                rows.append(line.rpartition(b" "))
    except IndexError:
        raise UnusualError from None  # an empty line
    keys, _, values = map(list, zip(*rows, strict=True)) if rows else ([], [], [])
    timestamps = split_timestamps(keys, values, _milliseconds)
    return Exposition(
        keys,
        _numbers(values),
        timestamps,
        metadata,
        exemplars=_exemplars(exemplars) if exemplars else (),
        **_DIALECT,
    )


def _lines(body: bytes) -> list[bytes]:
    """The lines before ``# EOF``."""
    if b"\0" in body or not (body.isascii() or is_utf8(body)):
        raise UnusualError
    content = b"\n" + body.removesuffix(b"\n")
    if not content.endswith(_EOF):
        raise UnusualError
    return content[1 : -len(_EOF)].split(b"\n") if len(content) > len(_EOF) else []


@remembered
def _metadata(text: bytes) -> Metadata:
    found = _METADATA.fullmatch(text)
    if found is None:
        raise UnusualError
    line = Metadata(found["kind"], unquote(found["name"]), found["text"])
    if metadata_problem(line):
        raise UnusualError
    return line


def _exemplars(texts: dict[int, bytes]) -> list[tuple[int, Exemplar]]:
    """Exemplars from what follows their opening braces."""
    found = [_EXEMPLAR.fullmatch(text) for text in texts.values()]
    if None in found:
        raise UnusualError
    parts = [one.groups() for one in found if one is not None]
    values = _numbers([value for _, value, _ in parts]).tolist()
    stamps = iter(_milliseconds([stamp for _, _, stamp in parts if stamp is not None]))
    exemplars = (
        (index, exemplar_of(_EXEMPLAR_LABEL.findall(labels), value, None if stamp is None else next(stamps)))
        for index, (labels, _, stamp), value in zip(texts, parts, values, strict=True)
    )
    return [(index, exemplar) for index, exemplar in exemplars if exemplar is not None]


def _numbers(texts: list[bytes]) -> NDArray[np.float64]:
    joined = b"".join(texts)
    if b"\t" in joined or b"\r" in joined:
        raise UnusualError  # which JSON would skip
    return numbers(texts)


def _milliseconds(texts: list[bytes]) -> list[int]:
    seconds = _numbers(texts)
    scaled = seconds * 1000
    if not (np.abs(scaled) < _FAR).all():
        raise UnusualError
    return [int(stamp) for stamp in scaled.tolist()]
