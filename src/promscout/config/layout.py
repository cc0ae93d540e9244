"""The layout of YAML: only blanks and line ends change, every other character stays where it is in the order.

Blocks are indented by two, lists below their key too; one blank after ``:`` and ``-``, two before a comment, at most
one empty line in a row, none at the ends. Values of several lines and flow collections keep their inner layout. A
comment on a line of its own stands like the line that it was aligned with.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
import yaml

from promscout.config.tree import parse_tree
from promscout.errors import ConfigError, Problem

STEP: Final = 2

_BLANKS: Final = re.compile(r"\s+")
_KEPT_ENDS: Final = re.compile(r"[|>][0-9-]*\+")
_LIST_COMMENT: Final = re.compile(r"#+\s*- ")
_FLOW_OPENING: Final = (yaml.FlowMappingStartToken, yaml.FlowSequenceStartToken)
_FLOW_CLOSING: Final = (yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_OUTSIDE: Final = (yaml.DirectiveToken, yaml.DocumentStartToken, yaml.DocumentEndToken)


def format_yaml(text: str, file: str) -> str:
    """``text`` in the layout above. Formatting what is formatted changes nothing.

    Raises:
        ConfigError: it is not YAML, or has explicit keys (``? key``).
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    parse_tree(text, file)
    made = _Formatter(text, file).run()
    if _meaning(made) != _meaning(text) or _BLANKS.sub("", made) != _BLANKS.sub("", text):
        raise ConfigError((Problem(file, 0, 0, "", "cannot be formatted without changing what it means"),))
    return made


def _meaning(text: str) -> list[tuple[Any, ...]]:
    parts = ("anchor", "tag", "value", "implicit", "style", "flow_style")
    events = yaml.parse(text, Loader=yaml.CSafeLoader)
    return [(type(event), *(getattr(event, part, None) for part in parts)) for event in events]


class _Block(msgspec.Struct, frozen=True):
    """An open mapping or list: the column it has, and the one that it gets."""

    before: int
    after: int
    is_list: bool
    indentless: bool = False  # a list whose hyphens stand below their key's first letter


class _Comment(msgspec.Struct, frozen=True):
    """A comment on a line of its own, its column, and the blocks that were open there; without text an empty line."""

    text: str
    column: int = 0
    blocks: tuple[_Block, ...] = ()

    def new_column(self, before: int, after: int) -> int:
        """Where it goes when the next line goes from one column to another."""
        own = [block for block in self.blocks if block.before == self.column]
        if not own or self.column < before:
            return after
        is_item = own[-1].is_list and _LIST_COMMENT.match(self.text)  # one that is commented out
        return own[-1].after if self.column > before or is_item else after


class _Formatter:
    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._at = 0  # everything before it is written, or waits
        self._out: list[str] = []
        self._waiting: list[_Comment] = []
        self._blocks: list[_Block] = []
        self._new_line = True
        self._is_key = False
        self._flow = 0
        self._last: Any = None  # the token that was written last
        self._delta = 0  # how far its further lines move, and where they begin at least
        self._least = 0

    def run(self) -> str:
        for token in yaml.scan(self._text, Loader=yaml.CSafeLoader):
            if self._flow == 0:
                self._gap(token.start_mark.index)
            self._take(token)
        self._gap(len(self._text))
        self._start_line(0, 0)
        return "".join(self._out).rstrip("\n") + "\n" if self._text.strip() else ""

    def _gap(self, end: int) -> None:
        """Take blanks and comments until the next token."""
        gap, self._at = self._text[self._at : end], end
        first, *lines = gap.split("\n")
        if self._new_line:
            lines = [first, *lines]
        elif first.strip():
            self._out.append("  " + first.strip())
        for line in lines[:-1]:
            comment = line.strip()
            column = len(line) - len(line.lstrip())
            self._waiting.append(_Comment(comment, column, tuple(self._blocks)) if comment else _Comment(""))
        if lines:
            self._new_line = True
            if lines[-1].strip():  # a comment without a line end, at the end of the file
                self._waiting.append(_Comment(lines[-1].strip(), len(lines[-1]) - len(lines[-1].lstrip())))

    def _take(self, token: Any) -> None:  # noqa: ANN401 - PyYAML's tokens share no typed base
        if isinstance(token, _FLOW_OPENING):
            self._flow += 1
            if self._flow == 1:
                self._place(token)
        elif isinstance(token, _FLOW_CLOSING):
            self._flow -= 1
            if self._flow == 0:
                self._write(token)
        elif self._flow == 0:
            self._take_block(token)

    def _take_block(self, token: Any) -> None:  # noqa: ANN401 - as above
        column = token.start_mark.column
        if isinstance(token, yaml.BlockMappingStartToken | yaml.BlockSequenceStartToken):
            self._open(column, is_list=isinstance(token, yaml.BlockSequenceStartToken))
        elif isinstance(token, yaml.BlockEndToken):
            self._end_indentless()
            self._blocks.pop()
        elif isinstance(token, yaml.KeyToken):
            self._end_indentless()
            self._is_key = True
            if token.end_mark.index > token.start_mark.index:
                mark = token.start_mark
                raise ConfigError(
                    (Problem(self._file, mark.line + 1, mark.column + 1, "", "explicit keys (?) are not formatted"),)
                )
        elif token.end_mark.index > token.start_mark.index:
            if isinstance(token, yaml.BlockEntryToken) and not (self._blocks and self._blocks[-1].is_list):
                self._open(column, is_list=True, indentless=True)
            self._place(token)
            self._write(token)

    def _open(self, column: int, *, is_list: bool, indentless: bool = False) -> None:
        after = self._blocks[-1].after + STEP if self._blocks else 0
        self._blocks.append(_Block(column, after, is_list, indentless))

    def _end_indentless(self) -> None:
        if self._blocks and self._blocks[-1].indentless:
            self._blocks.pop()

    def _place(self, token: Any) -> None:  # noqa: ANN401 - as above
        """Write what goes before a token: a new line with its indentation, or a blank."""
        self._delta = self._blocks[-1].after - self._blocks[-1].before if self._blocks else 0
        self._least = 0
        if self._new_line:
            before, after = token.start_mark.column, self._column(token)
            self._start_line(before, after)
            if not self._is_key:  # a value on a line of its own
                self._delta, self._least = after - before, after
        elif self._last is not None and not (
            isinstance(token, yaml.ValueToken) and isinstance(self._last, (yaml.ScalarToken, *_FLOW_CLOSING))
        ):
            self._out.append(" ")
        self._new_line = False

    def _column(self, token: Any) -> int:  # noqa: ANN401 - as above
        if not self._blocks or isinstance(token, _OUTSIDE):
            return 0
        starts_entry = self._is_key or isinstance(token, yaml.BlockEntryToken)
        return self._blocks[-1].after + (0 if starts_entry else STEP)

    def _start_line(self, before: int, after: int) -> None:
        lines = [
            " " * comment.new_column(before, after) + comment.text if comment.text else "" for comment in self._waiting
        ]
        self._waiting.clear()
        if self._out:
            lines.insert(0, self._out.pop())
        before_it = ""
        for line in lines:
            if line or before_it:  # at most one empty line, none at the start
                self._out.append(f"{line}\n")
            before_it = line
        self._out.append(" " * after)

    def _write(self, token: Any) -> None:  # noqa: ANN401 - as above
        """Write a token, or all of a flow collection, its further lines moved with the block that they are in."""
        text, self._at = self._text[self._at : token.end_mark.index], token.end_mark.index
        if isinstance(token, yaml.ScalarToken) and token.style in ("|", ">"):
            text = self._block_scalar(text)
        first, *lines = text.split("\n")
        self._out.append("\n".join([first, *(_moved(line, self._delta, self._least) for line in lines)]))
        self._last = token
        if isinstance(token, yaml.ValueToken | yaml.BlockEntryToken):
            self._is_key = False

    def _block_scalar(self, text: str) -> str:
        """The text without its last line end: what follows starts a new line anyway."""
        kept = text.removesuffix("\n")
        self._new_line = kept != text
        if not _KEPT_ENDS.match(text):
            kept = text.rstrip("\n")
            self._waiting += [_Comment("")] * (len(text) - len(kept) - 1)
        return kept


def _moved(line: str, delta: int, least: int) -> str:
    if delta >= 0:
        return " " * delta + line if line else line
    blanks = len(line) - len(line.lstrip(" "))
    return line[min(-delta, max(blanks - least, 0)) :]
