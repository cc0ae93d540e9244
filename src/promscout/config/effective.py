"""A loaded configuration as YAML, with everything that it left to defaults and to ``global`` written out."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import get_annotations
from typing import Any, Final

import msgspec
import yaml

from promscout.config.decode import fields_of
from promscout.config.inert import has_no_effect
from promscout.config.inherit import inherit
from promscout.config.layout import format_yaml
from promscout.config.values import Config, GlobalConfig, JobConfig
from promscout.discovery.config import SDConfig, StaticSDConfig
from promscout.discovery.registry import section
from promscout.relabel.config import Action, RelabelConfig
from promscout.scrape.config import ScrapeConfig
from promscout.write.config import RemoteWriteConfig

_NO_WIDTH: Final = 1 << 30
_LAST: Final = ("relabel_configs", "metric_relabel_configs", "write_relabel_configs")
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


def effective(config: Config) -> str:
    """The configuration as YAML that loads as the same one, in whatever directory, if it has no secret in it.

    The jobs of further files stand with the others; variables are replaced. A secret stands as ``<secret>``, and the
    password of a URL as ``xxxxx``. Options without effect are left out where they say what they say anyway.
    """
    document: dict[str, Any] = {"global": _global(config.global_config)}
    if config.jobs:
        document["scrape_configs"] = [_job(job, config.global_config) for job in config.jobs]
    if config.remote_write:
        document["remote_write"] = [_struct(one, RemoteWriteConfig(url=one.url)) for one in config.remote_write]
    return _text(document)


def effective_job(job: JobConfig, defaults: GlobalConfig) -> str:
    """One job as YAML, with everything that it leaves to defaults and to ``global``; secrets as in ``effective``."""
    return _text(_job(job, defaults))


def _text(document: Mapping[str, Any]) -> str:
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NO_WIDTH)
    return format_yaml(text, "<effective>")


def _global(config: GlobalConfig) -> dict[str, Any]:
    shown = _struct(config, GlobalConfig())
    if config.external_labels:
        shown["external_labels"] = {name: text.replace("$", "$$") for name, text in config.external_labels.items()}
    return shown


def _job(job: JobConfig, defaults: GlobalConfig) -> dict[str, Any]:
    shown = _struct(job.scrape, inherit(ScrapeConfig(job_name=job.name), defaults))
    last = {key: shown.pop(key) for key in _LAST if key in shown}
    for config in job.discovery:
        found = _discovery(config)
        shown.setdefault(section(config.mechanism), []).extend(found)
    return shown | last


def _discovery(config: SDConfig) -> list[Any]:
    if isinstance(config, StaticSDConfig):
        return [_value(group) for group in config.groups]
    return [_value(config)]


def _value(value: Any) -> Any:  # noqa: ANN401 - any value of a configuration, as YAML has it
    if isinstance(value, RelabelConfig):
        return _rule(value)
    if isinstance(value, msgspec.Struct):
        return _struct(value)
    if isinstance(value, Mapping):
        return {str(key): _value(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_value(item) for item in value]
    # Durations and sizes are numbers, too; all other types of values say by str() what a file says.
    is_number = type(value) in (bool, int, float)
    return value if is_number or value is None else str(value)


def _struct(value: msgspec.Struct, usual: msgspec.Struct | None = None) -> dict[str, Any]:
    """The fields that say something. ``usual`` is what it would be if nothing were given."""
    shown = {}
    for name, info in _ordered_fields(type(value)):
        field = getattr(value, name)
        normal = getattr(usual, name) if usual is not None else info.default
        if field == normal and (_is_empty(field) or has_no_effect(type(value), name, field)):
            continue
        if field is not None:
            shown[name] = _value(field)
    return shown


def _ordered_fields(struct: type[msgspec.Struct]) -> list[tuple[str, msgspec.structs.FieldInfo]]:
    """The struct's own fields, then those that it inherits."""
    fields = fields_of(struct)
    names = [name for kind in struct.__mro__ for name in get_annotations(kind) if name in fields]
    return [(name, fields[name][1]) for name in dict.fromkeys(names)]


def _is_empty(value: Any) -> bool:  # noqa: ANN401 - see _value
    """Whether leaving a field out is the clearest way to show it."""
    if isinstance(value, msgspec.Struct):
        return not any(getattr(value, name) for name in value.__struct_fields__)
    return not value and not isinstance(value, bool | int | float)


def _rule(rule: RelabelConfig) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for name, (_, info) in fields_of(RelabelConfig).items():
        field = getattr(rule, name)
        used = name == "action" or name in _USED[rule.action]
        if field != info.default or (used and not _is_empty(field)):
            shown[name] = _value(field)
    return shown
