"""Regular expressions of relabel rules: fully anchored, in Go's RE2 dialect, in linear time.

Most rules in real configurations are a literal, a choice of literals, or one ``.*`` or ``.+`` between literals. Those
are matched by string comparison. Everything else runs on RE2, and the answers are remembered by value, since
relabelling asks the same questions again and again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self, TypeAlias

import re2

from promscout.errors import InvalidValueError

Groups: TypeAlias = tuple[str | None, ...]
"""What a match captured: the whole value, then one entry per group; None for a group that took no part."""

Matcher: TypeAlias = Callable[[str], Groups | None]

MEMO_SIZE: Final = 8192
"""Answers remembered per expression; then it forgets all and starts anew."""

LONGEST_REMEMBERED: Final = 1000
"""Characters of a value beyond which its answer is not remembered: thousands of values of a megabyte are gigabytes."""

DEEPEST: Final = 1000
"""Groups within groups. Go refuses deeper nesting as well; RE2 takes it, but its work grows with the square."""

_MAX_MEMORY: Final = 64 << 20  # RE2's default of 8 MiB refuses choices of some thousand names, which Go compiles

LONGEST_SMALL: Final = 1000
"""Characters of an expression of ``parse_small``: each seven can be a thousand steps."""

_SMALL_MEMORY: Final = 256 << 10

_LITERAL: Final = r"(?:[\w \-/:;=,@~#%&!\"'<>]|\\[.\-/+*?()|\[\]{}^$\\])*"
_CHOICE: Final = re.compile(rf"(?P<open>\((?:\?:)?)?(?P<choice>{_LITERAL}(?:\|{_LITERAL})*)(?P<close>\))?")
_WILDCARD: Final = re.compile(
    rf"(?P<prefix>{_LITERAL})(?:(?P<open>\()\.(?P<captured>[*+])\)|\.(?P<plain>[*+]))(?P<suffix>{_LITERAL})"
)
_ESCAPED: Final = re.compile(r"\\(.)")
_NESTING: Final = re.compile(r"(?s)\\Q.*?(?:\\E|$)|\\.|\[:\^?\w+:\]|\[\^?\]?|[()\]]")
_GROUP: Final = re.compile(
    r"(?s)\\Q.*?(?:\\E|$)|\\.|\[\^?\]?(?:\[:\^?\w+:\]|\\.|[^\]\\])*\]|(?P<group>\((?:\?P?<(?P<name>[^>]*)>|(?!\?)))"
)


@dataclass(frozen=True, slots=True)
class Regex:
    """An expression that matches a value as a whole; equal and hashed by its text.

    ``.`` matches every character including a line feed. The dialect is RE2's as Go has it.

    Source: prometheus v3.x model/relabel/relabel.go NewRegexp.
    """

    text: str
    match: Matcher = field(compare=False, repr=False)
    """``match(value)`` gives the groups, or None when the whole value does not match."""
    group_names: tuple[str | None, ...] = field(compare=False, repr=False)
    """The groups' names by number; None for groups without name and, at 0, for the match as a whole."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Compile ``text``.

        Raises:
            InvalidValueError: not an RE2 expression; the message has the reason and, where known, the position.
        """
        return cls._parse(text, _MAX_MEMORY)

    @classmethod
    def parse_small(cls, text: str) -> Self:
        """Compile ``text`` for somebody who may not take much time: some milliseconds, where others can take seconds.

        Raises:
            InvalidValueError: not an RE2 expression, or too large a one; choices of names may be as long as they like.
        """
        if _choice_matcher(text) is not None:
            return cls.parse(text)
        if len(text) > LONGEST_SMALL:
            raise InvalidValueError(f"error parsing regexp: longer than {LONGEST_SMALL} characters")
        return cls._parse(text, _SMALL_MEMORY)

    @classmethod
    def _parse(cls, text: str, max_memory: int) -> Self:
        compiled = _compile(text, max_memory)
        simple = _choice_matcher(text) or _wildcard_matcher(text)
        return cls(text, simple or _Memo(_re2_matcher(compiled)).__getitem__, _group_names(text))

    def __str__(self) -> str:
        return self.text


class _Memo(dict[str, Groups | None]):
    """Answers by value. Looking one up is a dict's own ``__getitem__``, which costs half of what ``lru_cache`` does."""

    def __init__(self, match: Matcher) -> None:
        super().__init__()
        self._match = match

    def __missing__(self, value: str) -> Groups | None:
        groups = self._match(value)
        if len(value) <= LONGEST_REMEMBERED:
            if len(self) >= MEMO_SIZE:
                self.clear()
            self[value] = groups
        return groups


def _is_too_deep(text: str) -> bool:
    """Whether groups are nested more deeply than ``DEEPEST``, however many of them are open in the end."""
    if text.count("(") <= DEEPEST:
        return False
    depth, in_class = 0, False
    for found in _NESTING.finditer(text):
        part = found[0]
        if in_class:
            in_class = not part.endswith("]") or part.startswith(("[:", "\\"))
        elif part.startswith("["):
            in_class = not part.endswith(":]")
        elif part in {"(", ")"}:
            depth += 1 if part == "(" else -1
            if depth > DEEPEST:
                return True
    return False


def _compile(text: str, max_memory: int) -> re2._Regexp:
    if _is_too_deep(text):
        raise InvalidValueError(f"error parsing regexp: expression nests too deeply: more than {DEEPEST} groups")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = max_memory
    try:
        # The text has to stand on its own as well: ``a)|(b`` would escape from the anchors.
        re2.compile(text, options)
        compiled = re2.compile(f"^(?s:{text})$", options)
    except re2.error as error:
        raise InvalidValueError(_reason(text, error)) from None
    except UnicodeEncodeError:
        raise InvalidValueError("error parsing regexp: invalid UTF-8") from None
    return compiled


def _group_names(text: str) -> tuple[str | None, ...]:
    """The names of the groups in ``text``, which compiles; RE2 itself would not tell of a name's second group."""
    names: list[str | None] = [None]
    for token in _GROUP.finditer(text):
        if token[0] == r"\C":  # RE2 can match half a character, Go cannot
            raise InvalidValueError(rf"error parsing regexp: invalid escape sequence: `\C` at position {token.start()}")
        if token["name"] and not token["name"].isascii():  # RE2 allows any letters, Go does not
            raise InvalidValueError(
                f"error parsing regexp: invalid named capture: `{token['name']}` at position {token.start()}"
            )
        if token["group"]:
            names.append(token["name"])
    return tuple(names)


def _reason(text: str, error: Exception) -> str:
    message = error.args[0]
    message = message.decode(errors="replace") if isinstance(message, bytes) else str(message)
    reason, _, fragment = message.partition(": ")
    if not fragment or fragment == text or (at := text.rfind(fragment)) < 0:
        return f"error parsing regexp: {reason}: `{text}`"
    return f"error parsing regexp: {reason}: `{fragment}` at position {at}"


def _re2_matcher(compiled: re2._Regexp) -> Matcher:
    # The package's own match object costs three to eight times as much as the match itself.
    run, anchor = compiled._regexp.Match, re2._Anchor.UNANCHORED  # noqa: SLF001

    def match(value: str) -> Groups | None:
        encoded = value.encode()
        spans = run(anchor, encoded, 0, len(encoded))
        if spans[0][0] < 0:
            return None
        if len(encoded) == len(value):
            return tuple([None if start < 0 else value[start:end] for start, end in spans])
        return tuple([None if start < 0 else encoded[start:end].decode() for start, end in spans])

    return match


def _choice_matcher(text: str) -> Matcher | None:
    """A matcher for ``a``, ``a|b``, ``(a|b)`` and ``(?:a|b)`` with literal a and b, or None for other texts."""
    shape = _CHOICE.fullmatch(text)
    if shape is None or bool(shape["open"]) != bool(shape["close"]):
        return None
    captures = shape["open"] == "("
    choices = [_ESCAPED.sub(r"\1", choice) for choice in re.findall(rf"(?:^|\|)({_LITERAL})", shape["choice"])]
    return {choice: (choice, choice) if captures else (choice,) for choice in choices}.get


def _wildcard_matcher(text: str) -> Matcher | None:
    """A matcher for literals around one ``.*``, ``.+``, ``(.*)`` or ``(.+)``, or None for other texts."""
    shape = _WILDCARD.fullmatch(text)
    if shape is None:
        return None
    prefix, suffix = (_ESCAPED.sub(r"\1", shape[part]) for part in ("prefix", "suffix"))
    captures = shape["open"] is not None
    start, end = len(prefix), len(suffix)
    shortest = start + end + ((shape["captured"] or shape["plain"]) == "+")

    def match(value: str) -> Groups | None:
        if len(value) < shortest or not value.startswith(prefix) or not value.endswith(suffix):
            return None
        return (value, value[start : len(value) - end]) if captures else (value,)

    return match
