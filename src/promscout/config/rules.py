"""Relabel rules as a text of their own: read as in a configuration file, and written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec
import yaml

from promscout.config.aliases import check_aliases
from promscout.config.decode import FAILED, Decoder, fields_of
from promscout.config.tree import Mapping, Node, Sequence, parse_tree
from promscout.errors import ConfigError, InvalidValueError
from promscout.model.names import NameValidation
from promscout.relabel.config import Action, RelabelConfig

FILE: Final = "rules"
"""What problems call the text."""

KEYS: Final = ("relabel_configs", "metric_relabel_configs", "write_relabel_configs")
"""Sections that have rules; a text may begin with one of them."""

_MAX_NODES: Final = 20_000
_NO_WIDTH: Final = 1 << 30


class ParsedRules(msgspec.Struct, frozen=True):
    """Rules, and the line in which each begins, from 1."""

    rules: tuple[RelabelConfig, ...] = ()
    lines: tuple[int, ...] = ()


def parse_rules(text: str, names: NameValidation = NameValidation.UTF8) -> ParsedRules:
    """The rules of a YAML list, which may stand below one of ``KEYS``, or of one rule alone; ``names`` are valid.

    Raises:
        ConfigError: with every problem found, each with its place.
    """
    root = parse_tree(text, FILE, _MAX_NODES)
    if root is None:
        return ParsedRules()
    if "&" in text:
        check_aliases(root, FILE)
    decoder = Decoder(FILE)
    node, path = _list_of(root, decoder)
    found = decoder.value(tuple[RelabelConfig, ...], node, path)
    rules: list[RelabelConfig] = []
    items = node.items if isinstance(node, Sequence) else ()
    for index, rule in enumerate(() if found is FAILED else found):
        try:
            rules.append(rule if names is NameValidation.UTF8 else msgspec.structs.replace(rule, name_validation=names))
        except InvalidValueError as error:
            decoder.refuse(items[index], f"{path}[{index}]", str(error))
    if decoder.problems:
        raise ConfigError(tuple(sorted(decoder.problems, key=lambda problem: (problem.line, problem.column))))
    return ParsedRules(tuple(rules), tuple(item.place.line for item in items))


def _list_of(root: Node, decoder: Decoder) -> tuple[Node, str]:
    """The list of rules that ``root`` is or has, and what problems call it."""
    if isinstance(root, Mapping):
        entries = decoder.entries(root, "") or {}
        key = next(iter(entries), "")
        if len(entries) == 1 and key in KEYS:
            return entries[key][1], key
        return Sequence(root.place, (root,)), FILE
    return root, FILE


class _Line(list[str]):
    """A list that is written in one line."""


class _Dumper(yaml.CSafeDumper):
    """Knows such lists."""


_Dumper.add_representer(
    _Line, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)


def rules_text(rules: Iterable[RelabelConfig]) -> str:
    """``rules`` as YAML that ``parse_rules`` reads, without what is left to defaults; empty without any."""
    written = [_written(rule) for rule in rules]
    if not written:
        return ""
    return yaml.dump(written, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NO_WIDTH)


def _written(rule: RelabelConfig) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, (_, info) in fields_of(RelabelConfig).items():
        value = getattr(rule, name)
        if value != info.default:
            shown[name] = _Line(value) if isinstance(value, tuple) else value if isinstance(value, int) else str(value)
    return shown or {"action": str(Action.REPLACE)}
