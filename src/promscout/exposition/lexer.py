"""The exact grammar of the text format as Prometheus reads it, which is wider than the format's description.

Blanks may stand between any two parts, commas between labels may be missing, quoted text may span lines, and a NUL
where a line would begin ends the body. NULs behind a label value are taken for a part of it, and the quote in front of
them, too. Offsets are relative to the bytes that the reader was made for.

Source: prometheus v3.x model/textparse/promlex.l, promparse.go.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn, TypeAlias

import msgspec

from promscout.errors import ExpositionError
from promscout.exposition.numbers import parse_go_float
from promscout.model.histogram import Exemplar

METRIC_TYPES: Final = frozenset({b"counter", b"gauge", b"histogram", b"summary", b"untyped"})

METRIC_NAME: Final = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME: Final = re.compile(rb"[a-zA-Z_][a-zA-Z0-9_]*")
# No possessive quantifiers: within groups, the re module of Python 3.11.2 (Debian 12) matches too much with them.
QUOTED_NAME: Final = re.compile(rb'"[^\\"\0]*(?:\\[^\n\0][^\\"\0]*)*"')

_BLANKS: Final = re.compile(rb"[ \t]*")
_QUOTED_VALUE: Final = re.compile(rb'"[^\\"]*(?:\\\0*[^\n\0][^\\"]*)*"\0*')
_VALUE: Final = re.compile(rb"[^{ \t\n\0]+")
_DIGITS: Final = re.compile(rb"[0-9]+")
_METADATA: Final = re.compile(rb"#[ \t]+(HELP|TYPE)[ \t]+")
_SPACED_COMMENT: Final = re.compile(rb"#[ \t]+(?![ \t\0])")

_MAX_INT64: Final = (1 << 63) - 1

RawLabels: TypeAlias = list[tuple[bytes, bytes]]
"""Names and values as they stand between their quotes, in the order written; the metric name is not among them."""


class Sample(msgspec.Struct, frozen=True):
    """A sample line. ``timestamp`` is in milliseconds, None where the line has none."""

    key: bytes
    value: float
    timestamp: int | None
    exemplar: Exemplar | None = None


class Metadata(msgspec.Struct, frozen=True):
    """A HELP, TYPE or UNIT line; ``name`` and ``text`` as written."""

    kind: bytes
    name: bytes
    text: bytes


class Cursor:
    """A place in a body, and how to refuse what stands there."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def _refuse(self, message: str) -> NoReturn:
        line_start = self._body.rfind(b"\n", 0, self._at) + 1
        raise ExpositionError(message, self._body.count(b"\n", 0, self._at) + 1, self._at - line_start + 1)


class Reader(Cursor):
    """Reads one body from the start, entry by entry.

    Every method that reads raises ExpositionError, with line and column of the place, where Prometheus would refuse.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__(body + b"\n")
        self._size = len(self._body)

    def next_entry(self) -> Sample | Metadata | None:
        """The next sample or metadata line; None at the end."""
        while True:
            start = self._at
            self._skip_blanks()
            first = self._body[self._at : self._at + 1]
            if first in {b"", b"\0"}:
                return None
            if first == b"\n":
                self._at += 1
            elif first != b"#":
                return self._sample(start)
            elif metadata := _METADATA.match(self._body, self._at):
                return self._metadata(metadata)
            elif not self._skip_comment():
                return None

    def series(self) -> tuple[bytes, RawLabels]:
        """Metric name and labels of a body that is one series text and nothing else."""
        start = self._at
        self._skip_blanks()
        name, labels = self._series(start)
        if self._at != self._size - 1:
            self._refuse("text after the series")
        return name, labels

    def _skip_blanks(self) -> None:
        self._at = _BLANKS.match(self._body, self._at).end()  # type: ignore[union-attr]  # matches the empty text too

    def _skip_comment(self) -> bool:
        """Go to the end of the line; False when a NUL hides the rest of the body."""
        end = self._body.index(b"\n", self._at)
        nul_ends = _SPACED_COMMENT.match(self._body, self._at) is None
        if nul_ends and b"\0" in self._body[self._at : end]:
            return False
        self._at = end
        return True

    def _metadata(self, opening: re.Match[bytes]) -> Metadata:
        self._at = opening.end()
        name = METRIC_NAME.match(self._body, self._at) or QUOTED_NAME.match(self._body, self._at)
        if name is None:
            self._refuse(f"expected a metric name after {opening[1].decode()}")
        self._at = name.end()
        end = self._body.index(b"\n", self._at)
        text = metadata_text(self._body[self._at : end])
        if opening[1] == b"TYPE" and text not in METRIC_TYPES:
            self._refuse("invalid metric type")
        if opening[1] == b"HELP" and not is_utf8(text):
            self._refuse("help text is not valid UTF-8")
        self._at = end
        return Metadata(opening[1], unquote(name[0]), text)

    def _sample(self, start: int) -> Sample:
        self._series(start)
        key = self._body[start : self._at]
        self._skip_blanks()
        text = _VALUE.match(self._body, self._at)
        if text is None:
            self._refuse("expected a value after the metric")
        try:
            value = parse_go_float(text[0])
        except ValueError as error:
            self._refuse(f"invalid value: {error}")
        self._at = text.end()
        timestamp = self._timestamp()
        if self._body[self._at] != 0x0A:
            self._refuse("expected the end of the line")
        self._at += 1
        return Sample(key, value, timestamp)

    def _timestamp(self) -> int | None:
        self._skip_blanks()
        digits = _DIGITS.match(self._body, self._at)
        if digits is None:
            return None
        if len(digits[0].lstrip(b"0")) > 19 or (timestamp := int(digits[0])) > _MAX_INT64:
            self._refuse("timestamp out of range")
        self._at = digits.end()
        self._skip_blanks()
        return timestamp

    def _series(self, start: int) -> tuple[bytes, RawLabels]:
        """Metric name and labels; ``start`` is where the series began, blanks before it included."""
        opening = METRIC_NAME.match(self._body, self._at)
        if opening is None:
            if self._body[self._at] != 0x7B:
                self._refuse("expected a metric name, a brace or a comment")
            return self._labels(None)
        self._at = end = opening.end()
        self._skip_blanks()
        # Prometheus takes blanks in front of a bare metric name for a part of it.
        name = self._body[start:end]
        if self._body[self._at] == 0x7B:
            return self._labels(name)
        self._at = end
        return name, []

    def _labels(self, name: bytes | None) -> tuple[bytes, RawLabels]:
        self._at += 1
        labels: RawLabels = []
        while True:
            self._skip_blanks()
            if self._body[self._at] == 0x7D:
                self._at += 1
                if name is None:
                    self._refuse("metric name not set")
                return name, labels
            label, quoted = self._label_name()
            self._skip_blanks()
            if quoted and self._body[self._at] in b",}":
                if name is not None:
                    self._refuse("metric name already set")
                name = label
                self._at += self._body[self._at] == 0x2C
                continue
            labels.append((label, self._label_value()))

    def _label_name(self) -> tuple[bytes, bool]:
        found = LABEL_NAME.match(self._body, self._at) or QUOTED_NAME.match(self._body, self._at)
        if found is None:
            self._refuse("expected a label name")
        self._at = found.end()
        return unquote(found[0]), found[0].startswith(b'"')

    def _label_value(self) -> bytes:
        if self._body[self._at] != 0x3D:
            self._refuse("expected an equals sign")
        self._at += 1
        self._skip_blanks()
        found = _QUOTED_VALUE.match(self._body, self._at)
        if found is None:
            self._refuse("expected a label value")
        if not is_utf8(found[0]):
            self._refuse("label value is not valid UTF-8")
        self._at = found.end()
        self._skip_blanks()
        self._at += self._body[self._at] == 0x2C
        return found[0][1:-1]


def metadata_text(rest: bytes) -> bytes:
    """The text of a HELP or TYPE line, from what follows the name: one separator of any kind, then the text."""
    return rest[1:] if rest.strip(b" \t") else b""


def unquote(name: bytes) -> bytes:
    """``name`` without the quotes around it, if it has any."""
    return name[1:-1] if name.startswith(b'"') else name


def is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
