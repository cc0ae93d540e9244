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
    parts: list[Part] = []
    literal, _, rest = template.partition("$")
    dollar = len(literal) < len(template)
    while dollar:
        if rest.startswith("$"):
            literal, rest = literal + "$", rest[1:]
        elif (size := _reference_size(rest)) == 0:
            literal += "$"
        else:
            numbers = _group_numbers(rest[:size].strip("{}"), group_names)
            rest = rest[size:]
            if numbers:
                parts += [literal, numbers] if literal else [numbers]
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


def _group_numbers(name: str, group_names: Sequence[str | None]) -> tuple[int, ...]:
    is_number = name.isascii() and name.isdecimal() and (name == "0" or not name.startswith("0"))
    if is_number and len(name) < _NAME_DIGITS:
        return (int(name),) if int(name) < len(group_names) else ()
    return tuple(number for number, group in enumerate(group_names) if group == name)


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
