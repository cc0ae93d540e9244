"""Replacement texts with references to groups, as Go's ``Regexp.Expand`` reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final, TypeAlias

from promscout.relabel.regex import Groups, Regex

Expand: TypeAlias = Callable[[Groups], str]
"""Fills the captured groups of one match into a replacement text."""

Part: TypeAlias = str | tuple[int, ...]
"""A piece of literal text, or the numbers of the groups of which the first that took part counts."""

_NAME_DIGITS: Final = 10  # Go reads numbers as long as this as names


def parse_template(template: str, group_names: Sequence[str | None]) -> tuple[Part, ...]:
    """The pieces of ``template``; references to groups that do not exist are left out.

    ``$name`` takes as many letters, digits and underscores as there are, so ``$1x`` is a reference to a group named
    ``1x``; ``${1}x`` ends where the brace does. ``$$`` is a dollar sign, and so is a dollar sign that begins no
    reference.

    Source: Go's regexp.Regexp.Expand, extract.
    """
    numbers_of: dict[str, tuple[int, ...]] = {}
    for number, name in enumerate(group_names):
        if name is not None:
            numbers_of[name] = (*numbers_of.get(name, ()), number)
    parts: list[Part] = []
    literal: list[str] = []
    at = 0
    while (dollar := template.find("$", at)) >= 0:
        literal.append(template[at:dollar])
        at = dollar + 1
        end = _reference_end(template, at)
        if end == at:
            literal.append("$")
            at += template.startswith("$", at)
            continue
        name = template[at:end].strip("{}")
        numbers = _number(name, len(group_names)) if _is_number(name) else numbers_of.get(name)
        at = end
        if numbers:
            parts += [text, numbers] if (text := "".join(literal)) else [numbers]
            literal.clear()
    rest = "".join([*literal, template[at:]])
    return (*parts, rest) if rest else tuple(parts)


def _reference_end(template: str, start: int) -> int:
    """Where the name that begins at ``start`` ends, its braces included; ``start`` where there is none."""
    braces = template.startswith("{", start)
    first = end = start + braces
    while end < len(template) and (template[end].isalpha() or template[end].isdecimal() or template[end] == "_"):
        end += 1
    if end == first or (braces and template[end : end + 1] != "}"):
        return start
    return end + braces


def _is_number(name: str) -> bool:
    is_number = name.isascii() and name.isdecimal() and (name == "0" or not name.startswith("0"))
    return is_number and len(name) < _NAME_DIGITS


def _number(name: str, groups: int) -> tuple[int, ...]:
    return (int(name),) if int(name) < groups else ()


def compile_template(template: str, regex: Regex) -> Expand:
    """A function that fills the groups of a match of ``regex`` into ``template``.

    Groups that took no part in the match, and groups that ``regex`` does not have, stand for nothing.
    """
    parts = parse_template(template, regex.group_names)
    if len(parts) == 1 and len(parts[0]) == 1 and isinstance(parts[0], tuple):
        take = itemgetter(parts[0][0])
        return lambda groups: take(groups) or ""
    if any(isinstance(part, tuple) for part in parts):
        return lambda groups: "".join([part if isinstance(part, str) else _first(part, groups) for part in parts])
    literal = "".join(part for part in parts if isinstance(part, str))
    return lambda _groups: literal


def _first(numbers: tuple[int, ...], groups: Groups) -> str:
    for number in numbers:
        if (text := groups[number]) is not None:
            return text
    return ""
