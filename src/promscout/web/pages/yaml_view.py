"""A YAML text for reading: coloured lines as HTML, and where its sections are."""

from __future__ import annotations

import re
from html import escape
from typing import Final

import msgspec

MAX_LINE: Final = 4000
"""Characters of a line that are shown: a whole configuration can be one line."""

MAX_SECTIONS: Final = 500

_KEY: Final = re.compile(r"""(?P<lead>\s*(?:-\s+)*)(?P<key>[^\s'"#:{}\[\],][^'"#:{}\[\],]*|"[^"]*"|'[^']*'):(?=\s|$)""")
_DASHES: Final = re.compile(r"\s*(?:-\s+)+")
_COMMENT: Final = re.compile(r"(?:^|\s)#")
_NUMBER: Final = re.compile(r"[-+]?[0-9][0-9_.]*(?:[eE][-+]?[0-9]+|ms|[smhdwy]|[KMGTPE]i?B)?(?:[0-9]+(?:ms|[smhdwy]))*")
_WORDS: Final = frozenset({"true", "false", "null", "~", "yes", "no", "on", "off"})
_SECTION: Final = re.compile(r"([A-Za-z_][\w-]*):")
_NAME: Final = re.compile(r"""\s*-?\s*(?:job_name|name):\s*["']?([^"']+?)["']?\s*""")
_NAMED: Final = {"scrape_configs", "remote_write"}


class Section(msgspec.Struct, frozen=True):
    """A top-level key, or below it an entry with a name; ``line`` counts from 1."""

    name: str
    line: int
    entry: bool = False


class YAMLText(msgspec.Struct, frozen=True):
    """A text taken apart once. Making one of a large text takes a while: not on the event loop."""

    lines: tuple[str, ...]
    sections: tuple[Section, ...]

    @classmethod
    def of(cls, text: str) -> YAMLText:
        """From the text."""
        lines = tuple(text.splitlines())
        found: list[Section] = []
        inside = ""
        for number, line in enumerate(lines, 1):
            if len(found) >= MAX_SECTIONS:
                break
            if top := _SECTION.match(line):
                inside = top[1]
                found.append(Section(inside, number))
            elif inside in _NAMED and (entry := _NAME.fullmatch(line[:MAX_LINE])):
                found.append(Section(entry[1], number, entry=True))
        return cls(lines, tuple(found))


def coloured(line: str) -> str:
    """One line as HTML: keys, texts, numbers, words and comments in ``span``; everything is escaped."""
    if len(line) > MAX_LINE:
        return f'{escape(line[:MAX_LINE])}<span class="y-comment"> … {len(line) - MAX_LINE:,} characters more</span>'
    key = _KEY.match(line)
    if key is not None:
        start = f'{escape(key["lead"])}<span class="y-key">{escape(key["key"])}</span>:'
        return start + _value(line[key.end() :])
    dashes = _DASHES.match(line)
    return _value(line) if dashes is None else escape(dashes[0]) + _value(line[dashes.end() :])


def _value(text: str) -> str:
    bare = text.strip()
    if not bare:
        return text
    lead, _, tail = text.partition(bare)
    return f"{lead}{_bare_value(bare)}{tail}"


def _bare_value(text: str) -> str:
    if text.startswith("#"):
        return f'<span class="y-comment">{escape(text)}</span>'
    if text[0] in "\"'":
        return f'<span class="y-text">{escape(text)}</span>'
    comment = _COMMENT.search(text)
    if comment is None:
        return _scalar(text)
    return f'{_scalar(text[: comment.start()])}<span class="y-comment">{escape(text[comment.start() :])}</span>'


def _scalar(text: str) -> str:
    if text == "<secret>":
        return f'<span class="y-secret">{escape(text)}</span>'
    if text.lower() in _WORDS or _NUMBER.fullmatch(text):
        return f'<span class="y-word">{escape(text)}</span>'
    if text[:1] in "|>&*!":
        return escape(text)
    return f'<span class="y-text">{escape(text)}</span>'
