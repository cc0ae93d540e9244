"""YAML text as a tree of nodes that know their place.

Nothing is interpreted here: a scalar keeps the text as written, so that ``true``, ``0644`` or ``2026-01-01`` can still
become the string that a string field wants. An alias is the very node that it refers to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import msgspec
import yaml

from promscout.errors import ConfigError, Problem

MAX_DEPTH: Final = 100
"""Nesting of a document. The deepest option of a configuration is at 9."""

MAX_NODES: Final = 5_000_000
"""Keys, values and lists of a document. A million takes three seconds and 170 MB."""

_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_QUOTED: Final = re.compile(r"(['\"])(.*?)\1")


class Place(msgspec.Struct, frozen=True):
    """Where a node starts; both count from 1."""

    line: int
    column: int


class Scalar(msgspec.Struct, frozen=True, eq=False):
    """A single value. ``plain`` says that it has neither quotes nor a tag; ``tag`` is empty without an explicit one."""

    place: Place
    text: str
    plain: bool = False
    tag: str = ""

    @property
    def is_null(self) -> bool:
        """Whether it says "nothing": ``~``, ``null`` or no text at all, unquoted."""
        return (self.plain and self.text in _NULLS) or self.tag == "tag:yaml.org,2002:null"


class Sequence(msgspec.Struct, frozen=True, eq=False):
    """A list."""

    place: Place
    items: tuple[Node, ...]


class Mapping(msgspec.Struct, frozen=True, eq=False):
    """Keys with their values, as written: merge keys and duplicates are still there."""

    place: Place
    entries: tuple[tuple[Node, Node], ...]


Node: TypeAlias = Scalar | Sequence | Mapping


def parse_tree(text: str, file: str, max_nodes: int = MAX_NODES) -> Node | None:
    """The document's root node, or None if there is no document.

    Raises:
        ConfigError: not YAML, not UTF-8 (a lone surrogate), more than one document, an alias without its anchor,
            nested too deeply, or more than ``max_nodes``.
    """
    try:
        return _Composer(file, yaml.parse(text, Loader=yaml.CSafeLoader), max_nodes).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        begin = error.context_mark if error.context and error.context_mark else mark
        since = f" that begins in line {begin.line + 1}" if begin and mark and begin.line != mark.line else ""
        message = ", ".join(part for part in (error.context and f"{error.context}{since}", error.problem) if part)
        # Quoted words could be values, and with them secrets; single characters are syntax.
        raise _refusal(file, mark, f"not valid YAML: {_QUOTED.sub(_without_words, message)}") from None
    except UnicodeEncodeError as error:
        line, start = text.count("\n", 0, error.start) + 1, text.rfind("\n", 0, error.start)
        raise ConfigError((Problem(file, line, error.start - start, "", "not valid UTF-8"),)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1 if isinstance(error.position, int) else 0
        raise ConfigError((Problem(file, line, int(bool(line)), "", f"not valid YAML: {error.reason}"),)) from None


def _without_words(quoted: re.Match[str]) -> str:
    return quoted[0] if len(quoted[2]) == 1 else "…"


def _refusal(file: str, mark: Any, message: str) -> ConfigError:  # noqa: ANN401 - yaml.Mark or its C twin
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    return ConfigError((Problem(file, line, column, "", message),))


class _Composer:
    """Builds nodes from parser events, as deep as allowed."""

    def __init__(self, file: str, events: Iterator[Any], max_nodes: int) -> None:
        self._file = file
        self._nodes_left = max_nodes
        self._events = events
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        next(self._events)  # the stream's start
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        root = self._node(next(self._events), 0)
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            raise _refusal(self._file, after.start_mark, "only one YAML document is allowed in a file")
        return root

    def _node(self, event: Any, depth: int) -> Node:  # noqa: ANN401 - an event; the stubs know no common base
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                message = "not valid YAML: no anchor for this alias (a text that starts with * needs quotes)"
                raise _refusal(self._file, event.start_mark, message)
            return self._anchors[event.anchor]
        if depth > MAX_DEPTH:
            raise _refusal(self._file, event.start_mark, f"nested more than {MAX_DEPTH} levels deep")
        self._nodes_left -= 1
        if self._nodes_left < 0:
            raise _refusal(self._file, event.start_mark, "too many keys and values")
        place = Place(event.start_mark.line + 1, event.start_mark.column + 1)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            plain = bool(event.implicit[0]) and event.tag is None
            node = Scalar(place, event.value, plain, "" if event.tag in (None, "!") else event.tag)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Sequence(place, tuple(self._until(yaml.SequenceEndEvent, depth)))
        else:
            flat = list(self._until(yaml.MappingEndEvent, depth))
            node = Mapping(place, tuple(zip(flat[::2], flat[1::2], strict=True)))
        # Known only from here on, so that no node can contain itself.
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _until(self, end: type[Any], depth: int) -> Iterator[Node]:
        while not isinstance(event := next(self._events), end):
            yield self._node(event, depth + 1)
