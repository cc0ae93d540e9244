"""Replacement texts with references to groups, as Go's ``Regexp.Expand`` reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import TypeAlias

from promscout.relabel.regex import Groups, Regex

Expand: TypeAlias = Callable[[Groups], str]
"""Fills the captured groups of one match into a replacement text."""

Part: TypeAlias = str | int
"""A piece of literal text, or the number of a group."""

_TOO_MANY_GROUPS = 100_000_000  # Go reads longer numbers as names


def parse_template(template: str, group_names: Mapping[str, int]) -> tuple[Part, ...]:
    """The pieces of ``template``; references to names that ``group_names`` does not have are left out.

    ``$name`` takes as many letters, digits and underscores as there are, so ``$1x`` is a reference to a group named
    ``1x``; ``${1}x`` ends where the brace does. ``$$`` is a dollar sign, and so is a dollar sign that begins no
    reference.

    Source: Go's regexp.Regexp.Expand, extract.
    """
    parts: list[Part] = []
    literal, _, rest = template.partition("$")
    dollar = len(literal) < len(template)
    while dollar:
        if rest.startswith("$"):
            literal, rest = literal + "$", rest[1:]
        elif (size := _reference_size(rest)) == 0:
            literal += "$"
        else:
            number = _group_number(rest[:size].strip("{}"), group_names)
            rest = rest[size:]
            if number is not None:
                parts += [literal, number] if literal else [number]
                literal = ""
        text, sign, rest = rest.partition("$")
        literal, dollar = literal + text, bool(sign)
    return (*parts, literal) if literal else tuple(parts)


def _reference_size(text: str) -> int:
    """Length of the name at the start of ``text``, its braces included; 0 where there is none."""
    braces = text.startswith("{")
    end = int(braces)
    while end < len(text) and (text[end].isalpha() or text[end].isdecimal() or text[end] == "_"):
        end += 1
    if end == braces or (braces and text[end : end + 1] != "}"):
        return 0
    return end + braces


def _group_number(name: str, group_names: Mapping[str, int]) -> int | None:
    is_number = name.isascii() and name.isdecimal() and (name == "0" or not name.startswith("0"))
    if is_number and int(name) < _TOO_MANY_GROUPS:
        return int(name)
    return group_names.get(name)


def compile_template(template: str, regex: Regex) -> Expand:
    """A function that fills the groups of a match of ``regex`` into ``template``.

    Groups that took no part in the match, and groups that ``regex`` does not have, stand for nothing.
    """
    parts = [part for part in parse_template(template, regex.group_names) if not _is_beyond(part, regex.group_count)]
    if len(parts) == 1 and isinstance(parts[0], int):
        take = itemgetter(parts[0])
        return lambda groups: take(groups) or ""
    if any(isinstance(part, int) for part in parts):
        return lambda groups: "".join([part if isinstance(part, str) else groups[part] or "" for part in parts])
    literal = "".join(map(str, parts))
    return lambda _groups: literal


def _is_beyond(part: Part, group_count: int) -> bool:
    return isinstance(part, int) and part > group_count
