"""Target groups as files and servers list them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from promscout.discovery.config import StaticConfig
from promscout.errors import InvalidValueError
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup

MAX_SIZE: Final = 64 << 20
"""Bytes of one list; a million targets have about 30 million."""


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    """A group in JSON: a null is what Go makes of it, the empty text or list."""

    targets: tuple[str | None, ...] | None = None
    labels: dict[str, str | None] | None = None


_ITEMS: Final = msgspec.json.Decoder(list[_Item | None] | None)
_RAW_ITEMS: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw] | None] | None)
_FIELD_TYPES: Final[dict[str, Any]] = {info.name: info.type for info in msgspec.structs.fields(_Item)}


def groups_from_json(data: bytes) -> list[StaticConfig]:
    """The groups of a JSON document: a list of objects with ``targets`` and ``labels``, and nothing else.

    Keys of a group may be in any case, as in Go.

    Source: prometheus v3.x discovery/targetgroup/targetgroup.go Group.UnmarshalJSON.

    Raises:
        InvalidValueError: anything else. The message quotes no value.
    """
    try:
        return [_group(item, index) for index, item in enumerate(_decode(data) or ())]
    except UnicodeDecodeError:
        raise InvalidValueError("not valid UTF-8") from None
    except RecursionError:
        raise InvalidValueError("nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise InvalidValueError(f"not a list of target groups: {error}") from None


def _decode(data: bytes) -> list[_Item | None] | None:
    try:
        found: list[_Item | None] | None = _ITEMS.decode(data)
    except msgspec.ValidationError:
        items = _fold_keys(_RAW_ITEMS.decode(data))
        if items is None:
            raise
        return items
    return found


def _fold_keys(raw: list[dict[str, msgspec.Raw] | None] | None) -> list[_Item | None] | None:
    """The groups with their keys in lower case; None if that makes no difference."""
    keys = {key for group in raw or () for key in group or ()}
    if keys <= _FIELD_TYPES.keys() or not {key.casefold() for key in keys} <= _FIELD_TYPES.keys():
        return None
    return [None if group is None else _Item(**_fields(group)) for group in raw or ()]


def _fields(group: dict[str, msgspec.Raw]) -> dict[str, Any]:
    return {
        key.casefold(): msgspec.json.decode(value, type=_FIELD_TYPES[key.casefold()]) for key, value in group.items()
    }


def _group(item: _Item | None, index: int) -> StaticConfig:
    if item is None:
        raise InvalidValueError(f"nil target group item found - at `$[{index}]`")
    targets, labels = item.targets or (), item.labels or {}
    if "" in labels:
        raise InvalidValueError(f'"" is not a valid label name - at `$[{index}].labels`')
    return StaticConfig(
        targets=tuple([target or "" for target in targets]),
        labels=FrozenDict({name: value or "" for name, value in labels.items()}),
    )


def numbered_groups(groups: Iterable[StaticConfig], origin: str, origin_label: str) -> tuple[TargetGroup, ...]:
    """The groups of one list, with the sources ``origin:0``, ``origin:1``, … and ``origin`` as a label of each."""
    return tuple([group.group(f"{origin}:{index}", **{origin_label: origin}) for index, group in enumerate(groups)])
