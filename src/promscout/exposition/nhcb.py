"""The classic histograms of a body in a text format as native ones with custom buckets."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from promscout.errors import InvalidValueError
from promscout.exposition.classic import ClassicHistogram
from promscout.exposition.columns import timestamp_column
from promscout.exposition.numbers import parse_go_float
from promscout.exposition.samples import NO_TIMESTAMP, ExposedHistograms, Exposition
from promscout.exposition.series import series_text
from promscout.model.histogram import Exemplar, Histogram
from promscout.model.labels import METRIC_NAME

_SUFFIXES: Final = ("_bucket", "_sum", "_count")
_BOUND: Final = "le"

_Labels: TypeAlias = tuple[tuple[str, str], ...]


class _Part(msgspec.Struct, frozen=True, gc=False):
    """A series of a classic histogram: of which, what it says of it, and for a bucket up to which bound."""

    labels: _Labels
    suffix: str
    bound: float = 0.0


class _Histograms:
    """Gathers neighbouring parts into histograms, and the histograms into columns."""

    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition
        self._exemplars = dict(exposition.exemplars)
        self._parts: list[tuple[int, _Part]] = []
        self._keys: list[bytes] = []
        self._found: list[Histogram] = []
        self._timestamps: dict[int, int] = {}
        self._found_exemplars: list[tuple[int, Exemplar]] = []

    def add(self, index: int, part: _Part) -> None:
        """The next sample is this part."""
        if self._parts and self._parts[0][1].labels != part.labels:
            self.finish()
        self._parts.append((index, part))

    def finish(self) -> None:
        """The histogram under way is complete. One whose parts do not fit each other is left out."""
        parts, self._parts = self._parts, []
        if not parts:
            return
        collected = ClassicHistogram()
        for index, part in parts:
            value = float(self._exposition.values[index])
            if part.suffix == "_bucket":
                collected.add_bucket(part.bound, value)
            elif part.suffix == "_sum":
                collected.set_sum(value)
            else:
                collected.set_count(value)
        try:
            self._found.append(collected.convert())
        except InvalidValueError:
            return
        self._keys.append(series_text(parts[0][1].labels))
        self._describe(len(self._found) - 1, [index for index, _ in parts])

    def _describe(self, place: int, indices: Sequence[int]) -> None:
        stamps = self._exposition.timestamps
        if stamps is not None and stamps[indices[-1]] != NO_TIMESTAMP:
            self._timestamps[place] = int(stamps[indices[-1]])
        for index in indices:
            exemplar = self._exemplars.get(index)
            # Those of a native histogram need a time stamp.
            if exemplar is not None and exemplar.timestamp is not None:
                self._found_exemplars.append((place, exemplar))

    def columns(self) -> ExposedHistograms:
        """All histograms, in the order of the body."""
        stamps = timestamp_column(self._timestamps, len(self._found))
        return ExposedHistograms(self._keys, self._found, stamps, self._found_exemplars)


def convert_classic_histograms(exposition: Exposition, *, keep_classic: bool) -> Exposition:
    """``exposition``, which is of a text format, with each of its classic histograms as a native one.

    A classic histogram is what stands together after a TYPE line that says so: series of that name with ``_bucket``,
    ``_sum`` and ``_count`` whose other labels are the same. Its series stay only with ``keep_classic``. One that is
    contradictory is left out, and its series do not stay either. An exposition without any is given back as it is.

    Raises:
        ExpositionError: a series of a histogram is not valid.

    Source: prometheus v3.x model/textparse/nhcbparse.go NHCBParser.
    """
    if "histogram" not in {kind for _, kind in exposition.metadata_lines.type_changes()}:
        return exposition
    histograms = _Histograms(exposition)
    converted: set[int] = set()
    for start, end, name in _sections(exposition):
        for index in range(start, end) if name is not None else ():
            part = _part_of(exposition.labels_of(exposition.keys[index], "histogram"), name or "")
            if part is None:
                histograms.finish()
            else:
                histograms.add(index, part)
                converted.add(index)
        histograms.finish()
    size = len(exposition)
    kept = range(size) if keep_classic else [index for index in range(size) if index not in converted]
    return exposition.with_histograms(histograms.columns(), kept)


def _sections(exposition: Exposition) -> Iterator[tuple[int, int, str | None]]:
    """From which sample to which no line about a metric stands, and the name of the histogram that they may be of."""
    name: str | None = None
    start = 0
    for index, line in exposition.metadata_lines.lines:
        if index > start:
            yield start, index, name
            start = index
        if line.kind == b"TYPE":
            name = line.name.decode(errors="replace") if line.text == b"histogram" else None
    yield start, len(exposition), name


def _part_of(labels: _Labels, name: str) -> _Part | None:
    """What a series says about the histogram ``name``; None if nothing."""
    by_name = dict(labels)
    suffix = by_name[METRIC_NAME].removeprefix(name)
    if suffix not in _SUFFIXES or by_name[METRIC_NAME] != name + suffix:
        return None
    base = tuple((label, name if label == METRIC_NAME else value) for label, value in labels if label != _BOUND)
    if suffix != "_bucket":
        return _Part(base, suffix)
    try:
        bound = parse_go_float(by_name.get(_BOUND, "").encode())
    except ValueError:
        return None
    return None if math.isnan(bound) else _Part(base, suffix, bound)
