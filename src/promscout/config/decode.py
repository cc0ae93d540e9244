"""Turns YAML nodes into configuration values by their types, and finds every problem on the way.

A field whose ``msgspec.Meta`` has ``extra={"derived": True}`` is no key of a file.

Types understood: ``msgspec.Struct`` subclasses (unknown keys are refused), ``tuple[T, ...]``, dicts from ``str``,
``T | None``, ``bool``, ``int``, ``float``, ``str``, string enums, and any type with a classmethod ``parse(text)``.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeAlias, Union, get_args, get_origin, get_type_hints

import msgspec

from promscout.config.scalars import quoted, to_bool, to_float, to_int, to_text
from promscout.config.tree import Mapping, Node, Scalar, Sequence
from promscout.config.unknown import near, unknown_key
from promscout.errors import InvalidValueError, Problem
from promscout.httpclient.secret import Sensitive

FAILED: Final = object()
"""Stands for a value that could not be made; its problem is recorded."""

Entries: TypeAlias = dict[str, tuple[Node, Node]]
"""Key → key node and value node."""

KINDS: Final = {Scalar: "a single value", Sequence: "a list", Mapping: "a mapping"}
"""What messages call nodes."""

_BASIC: Final[dict[Any, Callable[[Scalar], object]]] = {bool: to_bool, int: to_int, float: to_float, str: to_text}
_LONGEST_KEY: Final = 80
_LONGEST_MESSAGE: Final = 500
_MOST_PROBLEMS: Final = 2000  # more than are ever told


class Built(msgspec.Struct, frozen=True):
    """A struct that was made, and what of: the entries of its mapping, the mapping itself, and its path."""

    value: Any
    entries: Entries
    node: Node
    path: str


class _Shape(msgspec.Struct, frozen=True):
    """A type taken apart: ``tuple[Count, ...]`` has the kind ``tuple`` and the item ``Count``."""

    kind: Any
    item: Any = None
    optional: bool = False
    minimum: int | None = None
    shortest: int | None = None


@lru_cache(maxsize=512)
def _shape_of(wanted: Any) -> _Shape:  # noqa: ANN401 - a type form
    minimum, shortest, optional = None, None, False
    if get_origin(wanted) is Annotated:
        wanted, meta = get_args(wanted)[:2]
        minimum, shortest = meta.ge, meta.min_length
    if get_origin(wanted) in (Union, UnionType):
        (wanted,) = (option for option in get_args(wanted) if option is not NoneType)
        optional = True
    kind, arguments = get_origin(wanted) or wanted, get_args(wanted)
    item = arguments[0] if kind is tuple else arguments[1] if arguments else None
    return _Shape(kind, item, optional, minimum, shortest)


@lru_cache(maxsize=64)
def fields_of(struct: type[msgspec.Struct]) -> dict[str, tuple[Any, msgspec.structs.FieldInfo]]:
    """The fields that a file may give, each with its type and what else is known of it."""
    hints = get_type_hints(struct, include_extras=True)
    infos = msgspec.structs.fields(struct)
    return {info.name: (hints[info.name], info) for info in infos if not _is_derived(hints[info.name])}


@lru_cache(maxsize=64)
def _names_files(struct: type[msgspec.Struct]) -> bool:
    return any(name.endswith(("_file", "files")) for name in struct.__struct_fields__)


def _is_derived(wanted: Any) -> bool:  # noqa: ANN401 - a type form
    meta = get_args(wanted)[1:] if get_origin(wanted) is Annotated else ()
    return any((one.extra or {}).get("derived", False) for one in meta)


class Decoder:
    """Decodes one file. Problems are collected, nothing is raised.

    ``written`` has the keys that the file gives, each with its struct, path and value. ``built`` has the structs that
    may name files. ``shown`` has the harmless
    text of every scalar that became a secret, by the node's identity.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.untold = 0
        self.written: list[tuple[type[msgspec.Struct], str, str, object]] = []
        self.built: list[Built] = []
        self.shown: dict[int, str] = {}
        # A node is decoded once per type, so aliases of aliases cost nothing. Holding the nodes keeps the ids valid.
        self._done: dict[tuple[int, Any], tuple[Node, Any]] = {}
        self._entries: dict[int, tuple[Node, Entries | None]] = {}

    @property
    def decoded(self) -> set[int]:
        """The identities of the nodes that became values."""
        return {identity for identity, _ in self._done}

    def refuse(self, node: Node | None, path: str, message: str) -> Any:  # noqa: ANN401 - stands for any value
        """Record a problem at ``node`` (None: the file as a whole) and give ``FAILED``.

        What is found after very many problems is only counted, in ``untold``.
        """
        if len(self.problems) == _MOST_PROBLEMS:
            self.untold += 1
            return FAILED
        line, column = (node.place.line, node.place.column) if node else (0, 0)
        short = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…"
        self.problems.append(Problem(self.file, line, column, path, short))
        return FAILED

    def entries(self, node: Node, path: str) -> Entries | None:
        """The entries of a mapping, merge keys resolved and duplicates refused; None if it is not a mapping."""
        done = self._entries.get(id(node))
        if done is None:
            done = self._entries[id(node)] = (node, self._read_entries(node, path))
        return done[1]

    def _read_entries(self, node: Node, path: str) -> Entries | None:
        if not isinstance(node, Mapping):
            self.refuse(node, path, f"expected a mapping, got {KINDS[type(node)]}")
            return None
        own: Entries = {}
        merged: Entries = {}
        for key, value in node.entries:
            name = self._key(key, path)
            if name is FAILED:
                continue
            if isinstance(key, Scalar) and key.plain and name == "<<":
                for source in value.items if isinstance(value, Sequence) else (value,):
                    merged = (self.entries(source, join(path, "<<")) or {}) | merged
            elif name in own:
                first = own[name][0].place.line
                self.refuse(key, join(path, name), f"duplicate key, first given in line {first}")
            else:
                own[name] = (key, value)
        return merged | own

    def check_keys(self, node: Node, path: str) -> None:
        """Refuse duplicate keys below ``node``, about which nothing else is known."""
        waiting = [(node, path)]
        seen = {id(node)}
        while waiting:
            node, path = waiting.pop()
            below: list[tuple[Node, str]] = []
            if isinstance(node, Mapping):
                entries = self.entries(node, path) or {}
                below = [(child, join(path, key)) for key, (_, child) in entries.items()]
            elif isinstance(node, Sequence):
                below = [(child, f"{path}[{index}]") for index, child in enumerate(node.items)]
            waiting += [one for one in below if id(one[0]) not in seen]
            seen |= {id(child) for child, _ in below}

    def _key(self, node: Node, path: str) -> Any:  # noqa: ANN401 - a text, or FAILED
        if not isinstance(node, Scalar):
            return self.refuse(node, path, "a key must be a single value")
        return self._scalar(str, node, path)

    def value(self, wanted: Any, node: Node, path: str) -> Any:  # noqa: ANN401 - of the type wanted, or FAILED
        """The value of type ``wanted`` that ``node`` says, or ``FAILED``."""
        done = self._done.get((id(node), wanted))
        if done is None:
            done = self._done[id(node), wanted] = (node, self._value(_shape_of(wanted), node, path))
        return done[1]

    def _value(self, shape: _Shape, node: Node, path: str) -> Any:  # noqa: ANN401, PLR0911 - one return per kind of type
        if isinstance(node, Scalar) and node.is_null:
            return None if shape.optional else self._null(shape.kind, node, path)
        if shape.kind is tuple:
            return self._sequence(shape, node, path)
        if issubclass(shape.kind, dict):
            entries = self.entries(node, path)
            if entries is None:
                return FAILED
            values = {key: self.value(shape.item, child, join(path, key)) for key, (_, child) in entries.items()}
            return FAILED if FAILED in values.values() else shape.kind(values)
        if issubclass(shape.kind, msgspec.Struct):
            entries = self.entries(node, path)
            return FAILED if entries is None else self.struct(shape.kind, entries, node, path)
        if not isinstance(node, Scalar):
            return self.refuse(node, path, f"expected a single value, got {KINDS[type(node)]}")
        value = self._scalar(shape.kind, node, path)
        if shape.minimum is not None and value is not FAILED and value < shape.minimum:
            return self.refuse(node, path, f"must be at least {shape.minimum}, got {value}")
        return value

    def _null(self, kind: Any, node: Node, path: str) -> Any:  # noqa: ANN401 - see value
        """A null as Go's decoder has it: the type's zero value."""
        if kind is str or issubclass(kind, tuple | dict | bool | int | float):
            return kind()
        if issubclass(kind, msgspec.Struct):
            return self.refuse(node, path, "empty or null section")
        try:
            return kind.parse("")
        except InvalidValueError as error:
            return self.refuse(node, path, str(error))

    def _sequence(self, shape: _Shape, node: Node, path: str) -> Any:  # noqa: ANN401 - see value
        if not isinstance(node, Sequence):
            return self.refuse(node, path, f"expected a list, got {KINDS[type(node)]}")
        if shape.shortest is not None and len(node.items) < shape.shortest:
            return self.refuse(node, path, "must not be empty")
        values = [self.value(shape.item, child, f"{path}[{index}]") for index, child in enumerate(node.items)]
        return FAILED if FAILED in values else tuple(values)

    def struct(self, kind: type[msgspec.Struct], entries: Entries, node: Node, path: str) -> Any:  # noqa: ANN401
        """The ``kind`` that the entries of ``node`` say, or ``FAILED``."""
        fields = fields_of(kind)
        values: dict[str, Any] = {}
        for key, (key_node, child) in entries.items():
            if key not in fields:
                few = len(self.problems) < _MOST_PROBLEMS  # looking for what was meant takes a millisecond
                message = unknown_key(key, fields, kind) if few else ""
                values[key] = self.refuse(key_node, join(path, key), message)
                continue
            wanted, info = fields[key]
            if isinstance(child, Scalar) and _stays_default(child, wanted, info):
                continue
            values[key] = self.value(wanted, child, join(path, key))
            self.written.append((kind, key, join(path, key), values[key]))
        for key, (wanted, info) in fields.items():
            if info.required and key not in values:
                choices = f" (one of: {', '.join(wanted)})" if issubclass(wanted, StrEnum) else ""
                values[key] = self.refuse(node, path, f"{key} missing{choices}")
        if FAILED in values.values():
            return FAILED
        value = self.build(kind, values, entries, node, path)
        if value is FAILED:
            self._look_further(kind, values, entries, node, path)
        elif _names_files(kind):
            self.built.append(Built(value, entries, node, path))
        return value

    def _look_further(
        self, kind: type[msgspec.Struct], values: dict[str, Any], entries: Entries, node: Node, path: str
    ) -> None:
        """Find what else is wrong with a mapping whose first fault is known, by leaving out the key at fault."""
        left = dict(values)
        refused: list[str] = []
        while (error := _refusal(kind, left)) is not None:
            key = (error.key or "").partition("[")[0]
            # What speaks of a key that was left out may be wrong only because it was.
            if key not in left or any(name in str(error) for name in refused):
                return
            if refused:
                self.build(kind, left, entries, node, path)
            refused.append(key)
            del left[key]

    def build(
        self,
        make: Callable[..., Any],
        values: dict[str, Any],
        entries: Entries,
        node: Node,
        path: str,
    ) -> Any:  # noqa: ANN401 - see value
        """``make(**values)``; a refusal is placed at the key that it names, if the file gives that key."""
        try:
            return make(**values)
        except InvalidValueError as error:
            if error.key is None:
                return self.refuse(node, path, str(error))
            # A key may point into a list: relabel_configs[2].
            key, _, index = error.key.rstrip("]").partition("[")
            place = entries[key][1] if key in entries else node
            if index and isinstance(place, Sequence):
                place = place.items[int(index)]
            return self.refuse(place, join(path, error.key), str(error))

    def _scalar(self, kind: Any, node: Scalar, path: str) -> Any:  # noqa: ANN401 - see value
        try:
            if kind in _BASIC:
                return _BASIC[kind](node)
            text = to_text(node)
            if not hasattr(kind, "parse"):
                if text not in list(kind):
                    message = f"unknown value {quoted(text)}, expected one of: {', '.join(kind)}{near(text, kind)}"
                    return self.refuse(node, path, message)
                return kind(text)
            value = kind.parse(text)
        except InvalidValueError as error:
            is_unknown = issubclass(kind, StrEnum) and str(error).startswith("unknown")
            return self.refuse(node, path, f"{error}{near(node.text, kind) if is_unknown else ''}")
        if isinstance(value, Sensitive):
            self.shown[id(node)] = str(value)
        return value


def _stays_default(node: Scalar, wanted: Any, info: msgspec.structs.FieldInfo) -> bool:  # noqa: ANN401 - a type form
    """Whether a field stays as it is: a section that is null, and a choice among texts that is null or empty."""
    kind = _shape_of(wanted).kind
    is_choice = isinstance(kind, type) and issubclass(kind, StrEnum) and not hasattr(kind, "parse")
    if is_choice and not info.required:
        return node.is_null or not node.text
    return node.is_null and isinstance(info.default, msgspec.Struct)


def join(path: str, key: str) -> str:
    """The path of ``key`` below ``path``."""
    key = quoted(key) if len(key) > _LONGEST_KEY or not key.isprintable() else key
    return f"{path}.{key}" if path else key


def _refusal(kind: type[msgspec.Struct], values: dict[str, Any]) -> InvalidValueError | None:
    """Why ``kind`` cannot have these values; None also where one that it needs is not among them."""
    try:
        kind(**values)
    except InvalidValueError as error:
        return error
    except TypeError:
        return None
    return None
