"""Bodies in the Prometheus text format as columns.

Nearly every line of nearly every body is ``name{label="value"} 1`` or ``name 1``, possibly with a time stamp. Those
are split at their last blanks, all lines at once as far as possible. Where a body holds anything else, the exact
reader of :mod:`promscout.exposition.lexer` reads it again from the start, so both ways give the same result.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.exposition.lexer import METRIC_TYPES, Metadata, Reader, Sample, is_utf8, metadata_text, unquote
from promscout.exposition.numbers import NORMAL_NAN_BITS, parse_go_float
from promscout.exposition.samples import NO_TIMESTAMP, Exposition


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
    except _UnusualError:
        return parse_exactly(body)


def parse_exactly(body: bytes) -> Exposition:
    """Like :func:`parse_text`, by the exact reader, at ten times the cost."""
    reader = Reader(body)
    samples: list[Sample] = []
    metadata: list[tuple[int, Metadata]] = []
    while (entry := reader.next_entry()) is not None:
        if isinstance(entry, Metadata):
            metadata.append((len(samples), entry))
        else:
            samples.append(entry)
    timestamps = None
    if any(sample.timestamp is not None for sample in samples):
        stamps = [NO_TIMESTAMP if sample.timestamp is None else sample.timestamp for sample in samples]
        timestamps = np.array(stamps, dtype=np.int64)
    values = np.array([sample.value for sample in samples], dtype=np.float64)
    return Exposition([sample.key for sample in samples], _canonical(values), timestamps, metadata)


def _canonical(values: NDArray[np.float64]) -> NDArray[np.float64]:
    missing = np.isnan(values)
    if missing.any():
        values.view(np.uint64)[missing] = NORMAL_NAN_BITS
    return values


class _UnusualError(Exception):
    """The body holds something that needs the exact reader."""


_HASH, _QUOTE, _CLOSING_BRACE = b'#"}'
_BLANK: Final = frozenset(b" \t")
_COMMENT: Final = re.compile(
    rb"#[ \t]++(?P<kind>HELP|TYPE)[ \t]+(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*|\"[^\"\\]*\")(?P<rest>.*)"
    rb"|#[ \t]++(?!HELP[ \t]|TYPE[ \t]).*|#(?![ \t]).*"
)
_KEY: Final = re.compile(rb'[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[^\n])*",?)*\})?')
_BEFORE_OPENING_QUOTE: Final = frozenset(b'=,{ \t"\\')
"""A ``"}`` after one of these bytes may stand inside quoted text; after any other it ends the series."""

_DECODE_NUMBERS: Final = msgspec.json.Decoder(list[float]).decode
_DECODE_NUMBERS_OR_NULL: Final = msgspec.json.Decoder(list[float | None]).decode
_NUMBER_BYTES: Final = b"0123456789+-.eENaInf"
"""Of texts in these bytes ``float`` accepts what Go does, except where the result is not finite."""


def _parse_common(body: bytes) -> Exposition:
    if b"\0" in body or b"\r" in body or not (body.isascii() or is_utf8(body)):
        raise _UnusualError
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
    timestamps = _split_timestamps(keys, values, _unclear(keys))
    return Exposition(keys, _numbers(values), timestamps, metadata)


@lru_cache(8192)  # the same lines come with every scrape, and from all targets of a kind
def _comment(line: bytes) -> Metadata | None:
    comment = _COMMENT.fullmatch(line)
    if comment is None:
        raise _UnusualError
    if comment["kind"] is None:
        return None
    text = metadata_text(comment["rest"])
    if comment["kind"] == b"TYPE" and text not in METRIC_TYPES:
        raise _UnusualError
    return Metadata(comment["kind"], unquote(comment["name"]), text)


def _unclear(keys: list[bytes]) -> list[int]:
    """Indices of the keys that are not obviously a series text with labels and all of it."""
    try:
        if not _BLANK.isdisjoint([key[0] for key in keys]):
            raise _UnusualError  # an indented comment, perhaps
        return [
            index
            for index, key in enumerate(keys)
            if key[-1] != _CLOSING_BRACE or key[-2] != _QUOTE or key[-3] in _BEFORE_OPENING_QUOTE
        ]
    except IndexError:
        raise _UnusualError from None


def _split_timestamps(keys: list[bytes], values: list[bytes], unclear: list[int]) -> NDArray[np.int64] | None:
    """Where a key still holds the value, and the value is a time stamp, put both right."""
    timestamps: dict[int, int] = {}
    for index in unclear:
        key = keys[index]
        if _is_series(key):
            continue
        series, _, value = key.rpartition(b" ")
        digits = values[index]
        if not (_is_series(series) and digits.isdigit() and len(digits) < 19):
            raise _UnusualError
        keys[index], values[index], timestamps[index] = series, value, int(digits)
    if not timestamps:
        return None
    column = np.full(len(keys), NO_TIMESTAMP, dtype=np.int64)
    column[list(timestamps)] = list(timestamps.values())
    return column


def _is_series(key: bytes) -> bool:
    """Whether ``key`` certainly is a series text, right or wrong, and not more."""
    if key.endswith(b"}"):
        return _is_ending(key[-4:]) or _KEY.fullmatch(key) is not None
    return b" " not in key and _KEY.fullmatch(key) is not None


@lru_cache(1024)
def _is_ending(text: bytes) -> bool:
    before, _, after = text.rpartition(b'"')
    return after in {b"}", b",}"} and before != b"" and before[-1] not in _BEFORE_OPENING_QUOTE


def _numbers(texts: list[bytes]) -> NDArray[np.float64]:
    try:
        # JSON's numbers are a part of Go's, and decode three times as fast as float() reads them.
        numbers = _DECODE_NUMBERS(b"[" + b",".join(texts) + b"]")
    except msgspec.MsgspecError:
        return _any_numbers(texts)
    if len(numbers) != len(texts):
        raise _UnusualError
    return np.array(numbers)


def _any_numbers(texts: list[bytes]) -> NDArray[np.float64]:
    if b"".join(texts).translate(None, _NUMBER_BYTES):
        raise _UnusualError
    try:
        # Most often it is only NaN that is no JSON; its stand-in null becomes NaN in an array of floats.
        nulls = b",".join([b"null" if text == b"NaN" else text for text in texts])
        return _canonical(np.array(_DECODE_NUMBERS_OR_NULL(b"[" + nulls + b"]"), dtype=np.float64))
    except msgspec.MsgspecError:
        pass
    try:
        values = np.fromiter(map(float, texts), np.float64, len(texts))
        for index in np.flatnonzero(~np.isfinite(values)):
            parse_go_float(texts[index])
    except ValueError:
        raise _UnusualError from None
    return _canonical(values)
