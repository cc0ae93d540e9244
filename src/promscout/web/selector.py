"""Series selectors as queries write them: ``up{job="node", instance!~"10.*"}``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.model.labels import METRIC_NAME, LabelSet
from promscout.relabel.regex import Regex

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\r\n]*)*")
_METRIC: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_OPERATOR: Final = re.compile(r"=~|!~|!=|=")
_STRING: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|' r"'(?:[^'\\\n]|\\.)*'|`[^`]*`")
_ESCAPE: Final = re.compile(
    r"\\(?:([abfnrtv\\\"'])|([0-7]{3})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|.)"
)
_SIMPLE: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class Matcher(msgspec.Struct, frozen=True):
    """One condition on a label's value; a label that is not there has the empty value.

    The value has to be ``wanted``, or to be matched by it as a whole; with ``negated`` it must not.
    """

    name: str
    wanted: str | Regex
    negated: bool = False

    def accepts(self, value: str) -> bool:
        """Whether a label with that value meets the condition."""
        wanted = self.wanted
        found = value == wanted if isinstance(wanted, str) else wanted.match(value) is not None
        return found is not self.negated


class Selector(msgspec.Struct, frozen=True):
    """Conditions that must all be met. Source: prometheus v3.x promql/parser ParseMetricSelector."""

    matchers: tuple[Matcher, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a selector.

        Raises:
            InvalidValueError: it is none; the message says at which line and column.
        """
        return cls(tuple(_Parser(text).selector()))

    def accepts(self, labels: LabelSet) -> bool:
        """Whether a series with these labels is selected."""
        values = dict(labels)
        return self.accepts_values(lambda name: values.get(name, ""))

    def accepts_values(self, value_of: Callable[[str], str]) -> bool:
        """Whether a series is selected; ``value_of`` gives the value of a label, empty where there is none."""
        return all(matcher.accepts(value_of(matcher.name)) for matcher in self.matchers)


class _Parser:
    """Reads one selector from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def selector(self) -> list[Matcher]:
        found = []
        name = self._take(_METRIC)
        if name is not None:
            found.append(Matcher(METRIC_NAME, name))
        if self._take_sign("{"):
            while not self._take_sign("}"):
                found.append(self._matcher())
                if not self._take_sign(","):
                    if not self._take_sign("}"):
                        raise self._unexpected('"," or "}"')
                    break
        elif name is None:
            raise self._unexpected("a metric selector")
        self._skip()
        if self._at < len(self._text):
            raise self._unexpected("the end")
        return found

    def _matcher(self) -> Matcher:
        quoted = self._take(_STRING)
        name = self._take(_LABEL) if quoted is None else self._unquote(quoted)
        if name is None:
            raise self._unexpected("a label name")
        operator = self._take(_OPERATOR)
        if operator is not None:
            literal = self._take(_STRING)
            if literal is None:
                raise self._unexpected("a string")
            value = self._unquote(literal)
        elif quoted is not None:
            operator, name, value = "=", METRIC_NAME, name  # a metric name in quotes
        else:
            raise self._unexpected("a label matching operator")
        return Matcher(name, self._regex(value) if "~" in operator else value, operator.startswith("!"))

    def _regex(self, text: str) -> Regex:
        try:
            return Regex.parse_small(text)
        except InvalidValueError as error:
            raise self._error(str(error)) from error

    def _unquote(self, literal: str) -> str:
        if literal[0] == "`":
            return literal[1:-1]
        return _ESCAPE.sub(self._unescape, literal[1:-1])

    def _unescape(self, escape: re.Match[str]) -> str:
        simple, octal, *hexadecimal = escape.groups()
        if simple is not None:
            return _SIMPLE.get(simple, simple)
        digits = next((one for one in hexadecimal if one is not None), None)
        number = int(octal, 8) if octal is not None else int(digits, 16) if digits is not None else -1
        if not 0 <= number <= 0x10FFFF or 0xD800 <= number < 0xE000:
            raise self._error("invalid escape sequence in a string")
        return chr(number)

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        """What ``pattern`` finds here, after blanks and comments; None and no step when it finds nothing."""
        self._skip()
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def _take_sign(self, sign: str) -> bool:
        self._skip()
        found = self._text.startswith(sign, self._at)
        self._at += found
        return found

    def _skip(self) -> None:
        blank = _BLANK.match(self._text, self._at)
        self._at = blank.end() if blank is not None else self._at

    def _unexpected(self, wanted: str) -> InvalidValueError:
        rest = self._text[self._at : self._at + 1]
        found = f'"{rest}"' if rest else "end of input"
        return self._error(f"unexpected {found}, expected {wanted}")

    def _error(self, message: str) -> InvalidValueError:
        before = self._text[: self._at]
        line, column = before.count("\n") + 1, self._at - (before.rfind("\n") + 1) + 1
        return InvalidValueError(f"{line}:{column}: parse error: {message}")
