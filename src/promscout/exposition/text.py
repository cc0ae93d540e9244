"""Bodies in the Prometheus text format as columns.

Nearly every line of nearly every body is ``name{label="value"} 1`` or ``name 1``, possibly with a time stamp. Those
are split at their last blanks, all lines at once as far as possible. Where a body holds anything else, the exact
reader of :mod:`promscout.exposition.lexer` reads it again from the start, so both ways give the same result.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from promscout.exposition.columns import UnusualError, numbers, read_all, remembered, split_timestamps
from promscout.exposition.lexer import METRIC_TYPES, Metadata, Reader, is_utf8, metadata_text, unquote
from promscout.exposition.samples import Exposition


def parse_text(body: bytes) -> Exposition:
    """The samples of ``body``, in text format 0.0.4 or 1.0.0.

    Values and time stamps are checked; series texts only as far as needed to find their ends. What is wrong inside of
    one shows when :func:`~promscout.exposition.series.parse_series` sees it. Every NaN has the bits of
    ``NORMAL_NAN_BITS``. A missing line feed at the end is no error.

    Raises:
        ExpositionError: Prometheus would fail the scrape because of this body.

    Source: prometheus v3.x model/textparse/promparse.go PromParser.
    """
    try:
        return _parse_common(body)
    except UnusualError:
        return parse_exactly(body)


def parse_exactly(body: bytes) -> Exposition:
    """Like :func:`parse_text`, by the exact reader, at ten times the cost."""
    return read_all(Reader(body).next_entry)


_HASH: Final = b"#"[0]
_COMMENT: Final = re.compile(
    rb"#[ \t]+(?P<kind>HELP|TYPE)[ \t]+(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*|\"[^\"\\]*\")(?P<rest>.*)"
    rb"|#[ \t]+(?![ \t]|HELP[ \t]|TYPE[ \t]).*|#(?![ \t]).*"
)


def _parse_common(body: bytes) -> Exposition:
    if b"\0" in body or b"\r" in body or not (body.isascii() or is_utf8(body)):
        raise UnusualError
    rows: list[tuple[bytes, bytes, bytes]] = []
    metadata: list[tuple[int, Metadata]] = []
    for line in filter(None, body.split(b"\n")):
        if line[0] != _HASH:
            rows.append(line.rpartition(b" "))
        elif entry := _comment(line):
            metadata.append((len(rows), entry))
    if not rows:
        return Exposition([], np.empty(0), None, metadata)
    keys, _, values = map(list, zip(*rows, strict=True))
    timestamps = split_timestamps(keys, values, _milliseconds)
    return Exposition(keys, numbers(values), timestamps, metadata)


@remembered
def _comment(line: bytes) -> Metadata | None:
    comment = _COMMENT.fullmatch(line)
    if comment is None:
        raise UnusualError
    if comment["kind"] is None:
        return None
    text = metadata_text(comment["rest"])
    if (text not in METRIC_TYPES) if comment["kind"] == b"TYPE" else not is_utf8(text):
        raise UnusualError  # a text without its first byte may be no UTF-8 even where the body is
    return Metadata(comment["kind"], unquote(comment["name"]), text)


def _milliseconds(texts: list[bytes]) -> list[int]:
    if not all(digits.isdigit() and len(digits) < 19 for digits in texts):
        raise UnusualError
    return list(map(int, texts))
