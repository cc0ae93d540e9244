"""Label and field selectors with the API server's grammar and its words for what is wrong with one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from promscout.sim.resources import Resource
from promscout.sim.status import bad_request

_TOKEN: Final = re.compile(r"\s*(==|!=|=|!|,|\(|\)|<|>|[^\s=!,()<>]+|$)")
_LABEL_VALUE: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY: Final = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_SPECIAL: Final = frozenset({"==", "!=", "=", "!", ",", "(", ")", "<", ">", ""})


@dataclass(frozen=True, slots=True)
class Requirement:
    """``key operator values`` over labels. Operators: ``in``, ``notin``, ``exists``, ``!``, ``gt``, ``lt``.

    An absent label satisfies ``notin`` and ``!`` and nothing else.
    """

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether ``labels`` satisfy the requirement."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value in self.values
            case "notin":
                return value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
        bound = int(next(iter(self.values)))
        if value is None or not re.fullmatch(r"-?[0-9]+", value):
            return False
        return int(value) > bound if self.operator == "gt" else int(value) < bound


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """``field = value`` or, when ``negated``, ``field != value``."""

    name: str
    value: str
    negated: bool

    def matches(self, fields: Mapping[str, str]) -> bool:
        """Whether ``fields`` satisfy the term."""
        return (fields.get(self.name, "") == self.value) is not self.negated


@dataclass(frozen=True, slots=True)
class Selector:
    """Which objects a list or watch is about: all of its requirements hold. Empty selects everything."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[FieldTerm, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.labels or self.fields)

    def matches(self, labels: Mapping[str, str], fields: Mapping[str, str]) -> bool:
        """Whether an object of these labels and fields is selected."""
        return all(one.matches(labels) for one in self.labels) and all(one.matches(fields) for one in self.fields)


EVERYTHING: Final = Selector()


class _Tokens:
    """A label selector cut into words; the empty word is the end."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = []
        at = 0
        while at <= len(text):
            match = _TOKEN.match(text, at)
            if match is None or match[1] == "":
                break
            self._words.append(match[1])
            at = match.end()
        self._at = 0

    def peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def next(self) -> str:
        word = self.peek()
        self._at += 1
        return word


def _fail(found: str, expected: str) -> Exception:
    return bad_request(f"unable to parse requirement: found '{found}', expected: {expected}")


def _check(value: str, pattern: re.Pattern[str], what: str) -> str:
    if pattern.fullmatch(value) is None:
        raise bad_request(f'unable to parse requirement: {what}: Invalid value: "{value}": not a valid label {what}')
    return value


def _value_set(tokens: _Tokens) -> frozenset[str]:
    opening = tokens.next()
    if opening != "(":
        raise _fail(opening, "'('")
    values: set[str] = set()
    while True:
        word = tokens.next()
        if word == ",":
            values.add("")  # an empty member, as in (a,)
        elif word == ")":
            values.add("")
            return frozenset(values)
        elif word in _SPECIAL:
            raise _fail(word, "',', ')' or identifier")
        else:
            values.add(_check(word, _LABEL_VALUE, "values"))
            separator = tokens.next()
            if separator == ")":
                return frozenset(values)
            if separator != ",":
                raise _fail(separator, "',' or ')'")


def _requirement(tokens: _Tokens) -> Requirement:
    word = tokens.next()
    if word == "!":
        key = tokens.next()
        if key in _SPECIAL:
            raise _fail(key, "identifier")
        return Requirement(_check(key, _LABEL_KEY, "key"), "!")
    if word in _SPECIAL:
        raise _fail(word, "!, identifier, or 'end of string'")
    key = _check(word, _LABEL_KEY, "key")
    operator = tokens.peek()
    if operator in ("", ","):
        return Requirement(key, "exists")
    tokens.next()
    if operator in ("in", "notin"):
        return Requirement(key, operator, _value_set(tokens))
    if operator in ("=", "==", "!="):
        value = "" if tokens.peek() in ("", ",") else tokens.next()
        if value in _SPECIAL and value:
            raise _fail(value, "identifier")
        return Requirement(
            key, "notin" if operator == "!=" else "in", frozenset({_check(value, _LABEL_VALUE, "values")})
        )
    if operator in ("<", ">"):
        bound = tokens.next()
        if not re.fullmatch(r"-?[0-9]+", bound):
            raise bad_request(
                f"unable to parse requirement: values[0][{key}]: Invalid value: {bound!r}: not an integer"
            )
        return Requirement(key, "gt" if operator == ">" else "lt", frozenset({bound}))
    raise _fail(operator, "in, notin, =, ==, !=, gt, lt")


def parse_label_selector(text: str) -> tuple[Requirement, ...]:
    """Read ``a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1``; blank text selects everything.

    Raises:
        Refusal: 400, in the server's words.
    """
    tokens = _Tokens(text)
    if tokens.peek() == "":
        return ()
    requirements = []
    while True:
        requirements.append(_requirement(tokens))
        separator = tokens.next()
        if separator == "":
            return tuple(requirements)
        if separator != ",":
            raise _fail(separator, "',' or 'end of string'")
        if tokens.peek() in _SPECIAL - {"!"}:
            raise _fail(tokens.peek(), "identifier after ','")


def _unescape(value: str) -> str:
    return re.sub(r"\\([\\,=])", r"\1", value)


def parse_field_selector(text: str, resource: Resource) -> tuple[FieldTerm, ...]:
    """Read ``a.b=c,d!=e`` over the fields that ``resource`` can be selected by.

    Raises:
        Refusal: 400, for a term without operator or a field that the resource does not offer.
    """
    terms = []
    for part in filter(None, re.split(r"(?<!\\),", text)):
        match = re.fullmatch(r"(.*?)(!=|==|=)(.*)", part, re.DOTALL)
        if match is None:
            raise bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        name, operator, value = match.groups()
        if name not in resource.fields and name not in ("metadata.name", "metadata.namespace"):
            raise bad_request(f"field label not supported: {name}")
        terms.append(FieldTerm(name, _unescape(value), operator == "!="))
    return tuple(terms)
