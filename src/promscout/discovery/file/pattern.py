r"""File name patterns as Go has them: ``*``, ``?``, ``[a-z]``, ``[^a-z]`` and ``\`` before a character.

They differ from the standard library's ``glob``: a ``*`` stands for names that begin with a dot, too, a class is
negated by ``^``, and a ``\`` takes a character's meaning away.
"""

from __future__ import annotations

import os
import re
from typing import Final

from promscout.errors import InvalidValueError

_MAGIC: Final = re.compile(r"[*?\[\\]")


def check_pattern(pattern: str) -> None:
    """Find out whether a pattern can be used.

    Raises:
        InvalidValueError: a ``[`` without its end, a range without its bounds, or a backslash at the end.
    """
    for part in pattern.split("/"):
        _compiled(part)


def expand(pattern: str) -> list[str]:
    """The existing files that match, sorted by directory and name. Names are as in the pattern; links are not followed.

    Source: Go path/filepath Glob, except that errors are not ignored.

    Raises:
        OSError: it cannot be told which files there are. A directory that does not exist has none.
    """
    try:
        if not _MAGIC.search(pattern):
            os.lstat(pattern)
            return [pattern]
    except (FileNotFoundError, NotADirectoryError):
        return []
    directory, slash, last = pattern.rpartition("/")
    match = _compiled(last).fullmatch
    found: list[str] = []
    for place in expand(directory) if _MAGIC.search(directory) else [directory or slash]:
        found += (os.path.normpath(os.path.join(place, name)) for name in _names(place) if match(name))  # noqa: PTH118
    return found


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory or "."))  # noqa: PTH208 - names only
    except (FileNotFoundError, NotADirectoryError):
        return []


def _compiled(pattern: str) -> re.Pattern[str]:
    """The regular expression of one part of a pattern."""
    written, position = "", 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            written += ".*"
        elif character == "?":
            written += "."
        elif character == "[":
            text, position = _class(pattern, position)
            written += text
        else:
            if character == "\\":
                character, position = _character(pattern, position - 1)
            written += re.escape(character)
    return re.compile(written, re.DOTALL)


def _class(pattern: str, position: int) -> tuple[str, int]:
    """The expression of the class whose ``[`` ends before ``position``, and where it ends."""
    negated = pattern[position : position + 1] == "^"
    position += negated
    first, ranges = position, ""
    while position == first or pattern[position : position + 1] != "]":
        low, position = _character(pattern, position, in_class=True)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _character(pattern, position + 1, in_class=True)
        if low <= high:  # a range the other way round holds nothing
            ranges += f"{re.escape(low)}-{re.escape(high)}"
    if not ranges:
        return "." if negated else "(?!)", position + 1
    return f"[{'^' * negated}{ranges}]", position + 1


def _character(pattern: str, position: int, *, in_class: bool = False) -> tuple[str, int]:
    """The possibly escaped character at ``position``, and where the next one is."""
    if in_class and pattern[position : position + 1] in ("-", "]"):
        raise InvalidValueError("syntax error in pattern")
    if pattern[position : position + 1] == "\\":
        position += 1
    if position >= len(pattern):
        raise InvalidValueError("syntax error in pattern")
    return pattern[position], position + 1
