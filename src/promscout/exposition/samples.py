"""What a body exposes, in any format: series with their samples, as columns."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from hashlib import blake2b
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.exposition.lexer import Metadata, RawLabels
from promscout.exposition.series import parse_series
from promscout.model.histogram import Exemplar, Histogram
from promscout.model.metadata import MetricMetadata

NO_TIMESTAMP: Final = np.iinfo(np.int64).min
"""Stands in ``Exposition.timestamps`` for a line without time stamp."""

_LONGEST_EXEMPLAR: Final = 128
"""Characters of all labels of an exemplar, names and values. Source: prometheus v3.x model/exemplar/exemplar.go."""

_OPENMETRICS_TYPES: Final = {"untyped": "unknown"}

LabelsOf: TypeAlias = Callable[[bytes, str], tuple[tuple[str, str], ...]]
"""From a series' key and the metric type in force to its labels, as ``parse_series`` does for text."""

HelpText: TypeAlias = Callable[[str], str]
"""From a help text as written to the one that is meant."""

TypeChanges: TypeAlias = list[tuple[int, str]]
"""Index of a sample, and the metric type in force from it on."""


_HELP_ESCAPE: Final = re.compile(r"\\([\\n])")


def unescape_help(text: str) -> str:
    r"""A help text of the text format with ``\\`` and ``\n`` replaced; other backslashes stand for themselves."""
    return _HELP_ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else "\\", text) if "\\" in text else text


def exemplar_of(labels: RawLabels, value: float, timestamp: int | None) -> Exemplar | None:
    """An exemplar with these labels, without empty ones; None if no storage would take it.

    That is, it has a label twice, too long labels, or a text that is not UTF-8. A scrape does not fail because of it.

    Source: prometheus v3.x tsdb/exemplar.go validateExemplar; tsdb/agent/db.go AppendExemplar.
    """
    try:
        pairs = [(name.decode(), text.decode()) for name, text in labels if text]
    except UnicodeDecodeError:
        return None
    if sum(len(name) + len(text) for name, text in pairs) > _LONGEST_EXEMPLAR or len(dict(pairs)) < len(pairs):
        return None
    return Exemplar(tuple(sorted(pairs)), value, timestamp)


class MetadataLines:
    """The HELP, TYPE and UNIT lines of a body, each with the index of the sample that follows it."""

    __slots__ = ("_fingerprint", "help_text", "lines")

    def __init__(self, lines: Sequence[tuple[int, Metadata]] = (), help_text: HelpText = unescape_help) -> None:
        self.lines = lines
        self.help_text = help_text
        self._fingerprint: bytes | None = None

    @property
    def fingerprint(self) -> Hashable:
        """A digest of the lines, made once, and how their texts are to be read."""
        if self._fingerprint is None:
            parts = [part for _, line in self.lines for part in (line.kind, line.name, line.text)]
            lengths = b"%d " * len(parts) % tuple(map(len, parts))
            self._fingerprint = blake2b(lengths + b"".join(parts), digest_size=16).digest()
        return self._fingerprint, self.help_text

    def type_changes(self) -> TypeChanges:
        """Where TYPE lines stand. As in Prometheus a type is in force until the next one, whatever the metric."""
        return [(index, line.text.decode()) for index, line in self.lines if line.kind == b"TYPE"]

    def by_family(self) -> dict[str, MetricMetadata]:
        """Metric family name → its metadata; of repeated lines the last counts. Made at each call.

        Names are as written between their quotes, escapes included.

        Source: prometheus v3.x model/textparse Help, Type and Unit; scrape/scrape.go scrapeCache.
        """
        found: dict[str, dict[str, str]] = {}
        for _, line in self.lines:
            text = line.text.decode(errors="replace")
            found.setdefault(line.name.decode(errors="replace"), {})[line.kind.decode().lower()] = text
        return {
            name: MetricMetadata(
                _OPENMETRICS_TYPES.get(texts.get("type", "unknown"), texts.get("type", "unknown")),
                self.help_text(texts.get("help", "")),
                texts.get("unit", ""),
            )
            for name, texts in found.items()
        }


class ExposedHistograms(msgspec.Struct, frozen=True, eq=False):
    """The native histograms of one body: entry ``i`` of each column belongs together.

    ``exemplars`` are pairs of such an index and one of its exemplars.
    """

    keys: list[bytes]
    histograms: list[Histogram]
    timestamps: NDArray[np.int64] | None = None
    exemplars: Sequence[tuple[int, Exemplar]] = ()
    labels_of: LabelsOf = parse_series

    def series(self, index: int) -> tuple[tuple[str, str], ...]:
        """The labels of histogram ``index``."""
        return self.labels_of(self.keys[index], "histogram")


class Exposition:
    """The samples of one body, in the order in which they stand there.

    ``keys[i]`` identifies the series of sample ``i``; equal keys under the same type are the same series. In text
    formats it is the series text as it stands in the body. ``labels_of`` understands it. ``values[i]`` is the sample's
    value. ``timestamps`` are milliseconds since the epoch, ``NO_TIMESTAMP`` for samples without, or None when none
    has one. ``exemplars`` are pairs of a sample's index and an exemplar, in rising order.
    ``in_seconds`` says that the body has seconds where ``timestamps`` has milliseconds.
    """

    def __init__(
        self,
        keys: list[bytes],
        values: NDArray[np.float64],
        timestamps: NDArray[np.int64] | None,
        metadata_lines: Sequence[tuple[int, Metadata]] = (),
        *,
        exemplars: Sequence[tuple[int, Exemplar]] = (),
        histograms: ExposedHistograms | None = None,
        labels_of: LabelsOf = parse_series,
        help_text: HelpText = unescape_help,
        in_seconds: bool = False,
    ) -> None:
        self.keys = keys
        self.values = values
        self.timestamps = timestamps
        self.exemplars = exemplars
        self.histograms = histograms
        self.labels_of = labels_of
        self.in_seconds = in_seconds
        self.metadata_lines = MetadataLines(metadata_lines, help_text)

    def __len__(self) -> int:
        return len(self.keys)

    @cached_property
    def _type_changes(self) -> TypeChanges:
        return self.metadata_lines.type_changes()

    def with_histograms(self, histograms: ExposedHistograms, kept: Sequence[int]) -> Exposition:
        """The same with these histograms, and of the samples only those with the indices ``kept``, in rising order."""
        rows = np.asarray(kept, dtype=np.intp)
        places = {index: place for place, index in enumerate(kept)}
        return Exposition(
            [self.keys[index] for index in kept],
            self.values[rows],
            None if self.timestamps is None else self.timestamps[rows],
            [(bisect_left(kept, index), line) for index, line in self.metadata_lines.lines],
            exemplars=[(places[index], one) for index, one in self.exemplars if index in places],
            histograms=histograms,
            labels_of=self.labels_of,
            help_text=self.metadata_lines.help_text,
            in_seconds=self.in_seconds,
        )

    def type_at(self, index: int) -> str:
        """The metric type in force for sample ``index``."""
        position = bisect_right(self._type_changes, index, key=lambda change: change[0])
        return self._type_changes[position - 1][1] if position else "untyped"

    def series(self, index: int) -> tuple[tuple[str, str], ...]:
        """The labels of sample ``index``, the metric name included."""
        return self.labels_of(self.keys[index], self.type_at(index))

    @property
    def metadata(self) -> dict[str, MetricMetadata]:
        """Metric family name → its metadata. Made at each call."""
        return self.metadata_lines.by_family()
