"""Parts of a loaded configuration as YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import get_annotations
from typing import Any, Final

import msgspec
import yaml

from promscout.config.decode import fields_of
from promscout.config.inert import has_no_effect
from promscout.config.layout import format_yaml
from promscout.config.values import GlobalConfig
from promscout.httpclient.secret import Sensitive
from promscout.relabel.config import Action, RelabelConfig

_NO_WIDTH: Final = 1 << 30
_MATCH: Final = ("source_labels", "separator", "regex")
_USED: Final = {
    Action.REPLACE: (*_MATCH, "target_label", "replacement"),
    Action.KEEP: _MATCH,
    Action.DROP: _MATCH,
    Action.HASHMOD: ("source_labels", "separator", "modulus", "target_label"),
    Action.LABELMAP: ("regex", "replacement"),
    Action.LABELDROP: ("regex",),
    Action.LABELKEEP: ("regex",),
    Action.KEEPEQUAL: ("source_labels", "target_label"),
    Action.DROPEQUAL: ("source_labels", "target_label"),
    Action.LOWERCASE: ("source_labels", "separator", "target_label"),
    Action.UPPERCASE: ("source_labels", "separator", "target_label"),
}
"""Action → the fields that it has a use for; Prometheus refuses some of the others, even with their default values."""


class _Dumper(yaml.CSafeDumper):
    """Writes texts of several lines as blocks."""


def _represent_text(dumper: yaml.CSafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text.rstrip("\n") else None)


_Dumper.add_representer(str, _represent_text)


def to_yaml(document: Mapping[str, Any]) -> str:
    """The document, laid out as ``config fmt`` does."""
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NO_WIDTH)
    return format_yaml(text, "<written>")


class Writer:
    """Makes values of a configuration what YAML has for them, a field each.

    ``show`` makes a text of a secret, by default the harmless one. Fields that say what they would say anyway stand
    there unless they are empty; with ``terse`` they are all left out.
    """

    def __init__(self, *, show: Callable[[Sensitive], str] = str, terse: bool = False) -> None:
        self._show = show
        self._terse = terse

    def value(self, value: Any) -> Any:  # noqa: ANN401 - any value of a configuration, as YAML has it
        """One value."""
        if isinstance(value, Sensitive):
            return self._show(value)
        if isinstance(value, RelabelConfig):
            return self._rule(value)
        if isinstance(value, msgspec.Struct):
            return self.struct(value)
        if isinstance(value, Mapping):
            return {str(key): self.value(item) for key, item in value.items()}
        if isinstance(value, tuple | list):
            return [self.value(item) for item in value]
        # Durations and sizes are numbers, too; all other types of values say by str() what a file says.
        is_number = type(value) in (bool, int, float)
        return value if is_number or value is None else str(value)

    def struct(self, value: msgspec.Struct, usual: msgspec.Struct | None = None) -> dict[str, Any]:
        """The fields that say something. ``usual`` is what it would be if nothing were given."""
        shown = {}
        for name, info in _ordered_fields(type(value)):
            field = getattr(value, name)
            normal = getattr(usual, name) if usual is not None else info.default
            needless = self._terse or _is_empty(field) or has_no_effect(type(value), name, field)
            if field is not None and not (field == normal and needless):
                shown[name] = self.value(field)
        return shown

    def global_section(self, config: GlobalConfig) -> dict[str, Any]:
        """The ``global`` section. Variables in it have been replaced, so that a ``$`` is one."""
        shown = self.struct(config, GlobalConfig())
        if config.external_labels:
            shown["external_labels"] = {name: text.replace("$", "$$") for name, text in config.external_labels.items()}
        return shown

    def _rule(self, rule: RelabelConfig) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        for name, (_, info) in fields_of(RelabelConfig).items():
            field = getattr(rule, name)
            used = not self._terse and (name == "action" or name in _USED[rule.action])
            if field != info.default or (used and not _is_empty(field)):
                shown[name] = self.value(field)
        return shown


def _ordered_fields(struct: type[msgspec.Struct]) -> list[tuple[str, msgspec.structs.FieldInfo]]:
    """The struct's own fields, then those that it inherits."""
    fields = fields_of(struct)
    names = [name for kind in struct.__mro__ for name in get_annotations(kind) if name in fields]
    return [(name, fields[name][1]) for name in dict.fromkeys(names)]


def _is_empty(value: Any) -> bool:  # noqa: ANN401 - see Writer.value
    """Whether leaving a field out is the clearest way to show it."""
    if isinstance(value, msgspec.Struct):
        return not any(getattr(value, name) for name in value.__struct_fields__)
    return not value and not isinstance(value, bool | int | float)
