"""What the quick ways of all text formats share: how lines become columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.errors import ExpositionError
from promscout.exposition.lexer import Metadata, Sample
from promscout.exposition.numbers import NORMAL_NAN_BITS, parse_go_float
from promscout.exposition.samples import NO_TIMESTAMP, Exposition, HelpText, LabelsOf, unescape_help
from promscout.exposition.series import parse_series
from promscout.model.histogram import Exemplar


class UnusualError(Exception):
    """The body holds something that needs the exact reader."""


_QUOTE, _CLOSING_BRACE = b'"}'
_BLANK: Final = frozenset(b" \t")
_LABEL: Final = rb'[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*(?:\\[^\n][^"\\\n]*)*",?'
_KEY: Final = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{(?:%b)*\})?" % _LABEL)
_BEFORE_OPENING_QUOTE: Final = frozenset(b'=,{ \t"\\')
"""A ``"}`` after one of these bytes may stand inside quoted text; after any other it ends the series."""

_MEMORABLE: Final = 512  # bytes of a line, so that no target can make memory grow by more than a few MB

_DECODE_NUMBERS: Final = msgspec.json.Decoder(list[float]).decode
_DECODE_NUMBERS_OR_NULL: Final = msgspec.json.Decoder(list[float | None]).decode
_NUMBER_BYTES: Final = b"0123456789+-.eENaInf"
"""Of texts in these bytes ``float`` accepts what Go does, except where the result is not finite."""


_Line = TypeVar("_Line")


def remembered(read: Callable[[bytes], _Line]) -> Callable[[bytes], _Line]:
    """``read``, which remembers short lines: the same ones come with every scrape, and from all targets of a kind."""
    remembering = lru_cache(8192)(read)

    def look_up(line: bytes) -> _Line:
        return remembering(line) if len(line) <= _MEMORABLE else read(line)

    return look_up


def read_all(
    next_entry: Callable[[], Sample | Metadata | None],
    *,
    labels_of: LabelsOf = parse_series,
    help_text: HelpText = unescape_help,
    in_seconds: bool = False,
) -> Exposition:
    """What an exact reader finds, by its ``next_entry``; the other arguments are Exposition's."""
    samples: list[Sample] = []
    metadata: list[tuple[int, Metadata]] = []
    exemplars: list[tuple[int, Exemplar]] = []
    try:
        while (entry := next_entry()) is not None:
            if isinstance(entry, Metadata):
                metadata.append((len(samples), entry))
                continue
            if entry.exemplar is not None:
                exemplars.append((len(samples), entry.exemplar))
            samples.append(entry)
    except ExpositionError as error:
        error.samples = len(samples)
        raise
    timestamps = {index: sample.timestamp for index, sample in enumerate(samples) if sample.timestamp is not None}
    values = canonical(np.array([sample.value for sample in samples], dtype=np.float64))
    keys = [sample.key for sample in samples]
    stamps = timestamp_column(timestamps, len(samples))
    return Exposition(
        keys,
        values,
        stamps,
        metadata,
        exemplars=exemplars,
        labels_of=labels_of,
        help_text=help_text,
        in_seconds=in_seconds,
    )


def canonical(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """``values``, with every NaN as ``NORMAL_NAN_BITS``."""
    missing = np.isnan(values)
    if missing.any():
        values.view(np.uint64)[missing] = NORMAL_NAN_BITS
    return values


def timestamp_column(timestamps: dict[int, int], size: int) -> NDArray[np.int64] | None:
    """The time stamps of ``size`` samples, from those that have one by their index."""
    if not timestamps:
        return None
    column = np.full(size, NO_TIMESTAMP, dtype=np.int64)
    column[list(timestamps)] = list(timestamps.values())
    return column


def split_timestamps(
    keys: list[bytes], values: list[bytes], read: Callable[[list[bytes]], list[int]]
) -> NDArray[np.int64] | None:
    """Where a key still holds the value, and the value is a time stamp, put both right. ``read`` reads time stamps.

    Raises:
        UnusualError: a key may not be a series text; or ``read`` raises it.
    """
    stamped: dict[int, bytes] = {}
    for index in _unclear(keys):
        key = keys[index]
        if is_series(key):
            continue
        series, _, value = key.rpartition(b" ")
        if not is_series(series):
            raise UnusualError
        keys[index], values[index], stamped[index] = series, value, values[index]
    return timestamp_column(dict(zip(stamped, read(list(stamped.values())), strict=True)), len(keys))


def _unclear(keys: list[bytes]) -> list[int]:
    """Indices of the keys that are not obviously a series text with labels and all of it."""
    try:
        if not _BLANK.isdisjoint([key[0] for key in keys]):
            raise UnusualError  # an indented comment, perhaps
        return [
            index
            for index, key in enumerate(keys)
            if key[-1] != _CLOSING_BRACE or key[-2] != _QUOTE or key[-3] in _BEFORE_OPENING_QUOTE
        ]
    except IndexError:
        raise UnusualError from None


def is_series(key: bytes) -> bool:
    """Whether ``key`` certainly is a series text, right or wrong, and not more."""
    if key.endswith(b"}"):
        return _is_ending(key[-4:]) or _KEY.fullmatch(key) is not None
    return b" " not in key and _KEY.fullmatch(key) is not None


@lru_cache(1024)
def _is_ending(text: bytes) -> bool:
    before, _, after = text.rpartition(b'"')
    return after in {b"}", b",}"} and before != b"" and before[-1] not in _BEFORE_OPENING_QUOTE


def numbers(texts: list[bytes]) -> NDArray[np.float64]:
    """The values that ``texts`` are as Go reads them, every NaN as ``NORMAL_NAN_BITS``.

    Raises:
        UnusualError: one of them may be none.
    """
    listed = b"[" + b",".join(texts) + b"]"
    if b"-0," in listed or listed.endswith(b"-0]"):
        texts = [b"-0.0" if text == b"-0" else text for text in texts]  # an integer has no negative zero
        listed = b"[" + b",".join(texts) + b"]"
    try:
        # JSON's numbers are a part of Go's, and decode three times as fast as float() reads them.
        found = _DECODE_NUMBERS(listed)
    except msgspec.MsgspecError:
        return _any_numbers(texts)
    if len(found) != len(texts):
        raise UnusualError
    return np.array(found)


def _any_numbers(texts: list[bytes]) -> NDArray[np.float64]:
    if b"".join(texts).translate(None, _NUMBER_BYTES):
        raise UnusualError
    try:
        # Most often it is only NaN that is no JSON; its stand-in null becomes NaN in an array of floats.
        nulls = b",".join([b"null" if text == b"NaN" else text for text in texts])
        return canonical(np.array(_DECODE_NUMBERS_OR_NULL(b"[" + nulls + b"]"), dtype=np.float64))
    except msgspec.MsgspecError:
        pass
    try:
        values = np.fromiter(map(float, texts), np.float64, len(texts))
        for index in np.flatnonzero(~np.isfinite(values)):
            parse_go_float(texts[index])
    except ValueError:
        raise UnusualError from None
    return canonical(values)
