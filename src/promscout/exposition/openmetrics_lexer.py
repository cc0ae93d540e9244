"""The exact grammar of OpenMetrics as Prometheus reads it.

Stricter than the text format's: one blank between two parts and none elsewhere, commas between labels, no empty lines,
no comments, and ``# EOF`` at the end. Inside of quoted text and metadata lines a NUL is skipped by the grammar, but
part of the text. Offsets are relative to the bytes that the reader was made for.

Source: prometheus v3.x model/textparse/openmetricslex.l, openmetricsparse.go.
"""

from __future__ import annotations

import math
import re
from typing import Final

from promscout.exposition.lexer import (
    LABEL_NAME,
    METRIC_NAME,
    QUOTED_NAME,
    Cursor,
    Metadata,
    RawLabels,
    Sample,
    is_utf8,
    unquote,
)
from promscout.exposition.numbers import parse_go_float
from promscout.exposition.samples import exemplar_of
from promscout.model.histogram import Exemplar

OPENMETRICS_TYPES: Final = frozenset(
    {b"counter", b"gauge", b"histogram", b"gaugehistogram", b"summary", b"info", b"stateset", b"unknown"}
)

_FARTHEST: Final = (1 << 63) - 1


def _with_nuls(word: bytes) -> bytes:
    return b"".join(b"%c\0*" % letter for letter in word)


_METADATA: Final = re.compile(b"# (" + b"|".join(map(_with_nuls, (b"HELP", b"TYPE", b"UNIT"))) + b") \0*")
_METADATA_TEXT: Final = re.compile(rb" [^\n]*\n\0*")
_EOF: Final = re.compile(b"# " + _with_nuls(b"EOF") + b"(?:\n\0*)?")
_LABEL_VALUE: Final = re.compile(rb'"[^\\"\n]*(?:\\\0*[^\n\0][^\\"\n]*)*"\0*')
_EXEMPLAR_TEXT: Final = re.compile(rb'"[^\\"\n\0]*(?:\\[^\n\0][^\\"\n\0]*)*"')
_NUMBER: Final = re.compile(rb" ([^ \n\0]+)")


class OpenMetricsReader(Cursor):
    """Reads one body from the start, entry by entry.

    Every method that reads raises ExpositionError, with line and column of the place, where Prometheus would refuse.
    """

    def next_entry(self) -> Sample | Metadata | None:
        """The next sample or metadata line; None at the end."""
        if metadata := _METADATA.match(self._body, self._at):
            return self._metadata(metadata)
        if eof := _EOF.match(self._body, self._at):
            self._at = eof.end()
            if self._at < len(self._body):
                self._refuse("unexpected data after # EOF")
            return None
        if self._at == len(self._body):
            self._refuse("data does not end with # EOF")
        return self._sample()

    def series(self) -> tuple[bytes, RawLabels]:
        """Metric name and labels of a body that is one series text and nothing else."""
        name, labels = self._series()
        if self._at != len(self._body):
            self._refuse("text after the series")
        return name, labels

    def _follows(self, text: bytes) -> bool:
        """Whether ``text`` comes next; if so, go behind it."""
        found = self._body.startswith(text, self._at)
        if found:
            self._at += len(text)
        return found

    def _metadata(self, opening: re.Match[bytes]) -> Metadata:
        kind = opening[1].replace(b"\0", b"")
        self._at = opening.end()
        name = METRIC_NAME.match(self._body, self._at) or QUOTED_NAME.match(self._body, self._at)
        if name is None:
            self._refuse(f"expected a metric name after {kind.decode()}")
        self._at = name.end()
        rest = _METADATA_TEXT.match(self._body, self._at)
        if rest is None:
            self._refuse(f"expected text in {kind.decode()}")
        line = Metadata(kind, unquote(name[0]), rest[0][1:-1])
        if problem := metadata_problem(line):
            self._refuse(problem)
        self._at = rest.end()
        return line

    def _sample(self) -> Sample:
        start = self._at
        self._series()
        key = self._body[start : self._at]
        value = self._number("expected a value after the metric")
        exemplar = timestamp = None
        if not self._is_exemplar() and self._body[self._at : self._at + 1] == b" ":
            timestamp = self._milliseconds()
        if self._is_exemplar():
            exemplar = self._exemplar()
        self._end_line()
        return Sample(key, value, timestamp, exemplar)

    def _is_exemplar(self) -> bool:
        return self._body.startswith(b" # {", self._at)

    def _end_line(self) -> None:
        if not self._follows(b"\n"):
            at_end = self._at == len(self._body)
            self._refuse("data does not end with # EOF" if at_end else "expected the end of the line")

    def _number(self, missing: str) -> float:
        text = _NUMBER.match(self._body, self._at)
        if text is None:
            self._refuse(missing)
        self._at += 1
        try:
            number = parse_go_float(text[1])
        except ValueError as error:
            self._refuse(f"invalid value: {error}")
        self._at = text.end()
        return number

    def _milliseconds(self) -> int:
        start = self._at
        seconds = self._number("expected a timestamp")
        if not math.isfinite(seconds):
            self._at = start + 1
            self._refuse("invalid timestamp")
        return milliseconds(seconds)

    def _series(self) -> tuple[bytes, RawLabels]:
        opening = METRIC_NAME.match(self._body, self._at)
        if opening is not None:
            self._at = opening.end()
            return self._labels(opening[0]) if self._follows(b"{") else (opening[0], [])
        if not self._follows(b"{"):
            self._refuse("expected a metric name, a brace or a metadata line")
        return self._labels(None)

    def _labels(self, name: bytes | None) -> tuple[bytes, RawLabels]:
        labels: RawLabels = []
        while not self._follows(b"}"):
            label = LABEL_NAME.match(self._body, self._at) or QUOTED_NAME.match(self._body, self._at)
            if label is None:
                self._refuse("expected a label name")
            self._at = label.end()
            if label[0].startswith(b'"') and self._body[self._at : self._at + 1] in {b",", b"}"}:
                if name is not None:
                    self._refuse("metric name already set")
                name = label[0][1:-1]
                self._follows(b",")
            else:
                labels.append((unquote(label[0]), self._label_value(_LABEL_VALUE)))
        if name is None:
            self._refuse("metric name not set")
        return name, labels

    def _label_value(self, shape: re.Pattern[bytes]) -> bytes:
        if not self._follows(b"="):
            self._refuse("expected an equals sign")
        found = shape.match(self._body, self._at)
        if found is None:
            self._refuse("expected a label value")
        if not is_utf8(found[0]):
            self._refuse("label value is not valid UTF-8")
        self._at = found.end()
        if not self._follows(b",") and self._body[self._at : self._at + 1] != b"}":
            self._refuse("expected a comma or a closing brace")
        return found[0][1:-1]

    def _exemplar(self) -> Exemplar | None:
        self._at += len(b" # {")
        labels: RawLabels = []
        while not self._follows(b"}"):
            label = LABEL_NAME.match(self._body, self._at) or _EXEMPLAR_TEXT.match(self._body, self._at)
            if label is None:
                self._refuse("expected a label name")
            self._at = label.end()
            labels.append((unquote(label[0]), self._label_value(_EXEMPLAR_TEXT)))
        value = self._number("expected a value after the exemplar's labels")
        timestamp = self._milliseconds() if self._body[self._at : self._at + 1] == b" " else None
        return exemplar_of(labels, value, timestamp)


def metadata_problem(line: Metadata) -> str:
    """What is wrong with the text of a metadata line; empty if nothing is."""
    if line.kind == b"TYPE":
        return "" if line.text in OPENMETRICS_TYPES else "invalid metric type"
    if line.kind == b"HELP":
        return "" if is_utf8(line.text) else "help text is not valid UTF-8"
    return "" if not line.text or line.name.endswith(b"_" + line.text) else "the unit is not a suffix of the metric"


def milliseconds(seconds: float) -> int:
    """A time stamp of OpenMetrics in milliseconds, what is left cut off; too large ones become the farthest past.

    Source: Go's conversion from float64 to int64 on amd64.
    """
    scaled = seconds * 1000
    # NO_TIMESTAMP, which Go makes of it, would mean something else here.
    return int(scaled) if -_FARTHEST < scaled < _FARTHEST else -_FARTHEST
