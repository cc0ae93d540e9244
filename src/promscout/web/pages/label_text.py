"""Labels as people paste them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import msgspec

from promscout.errors import InvalidValueError
from promscout.model import labels as names

MOST_LABELS: Final = 1000

_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
_PAIR: Final = re.compile(rf"(?:{_QUOTED}|([^\s\"{{}},=:]+))\s*=\s*{_QUOTED}\s*,?\s*")
_SERIES: Final = re.compile(r"([^\s\"{}=,]*)\{(.*)\}(?:\s+[^\s\"]+){0,2}", re.DOTALL)
_ASSIGNMENT: Final = re.compile(r"([^\s=\"]+?)\s*(?:=|:(?=\s|$|\"))\s*(.*)", re.DOTALL)
_ADDRESS: Final = re.compile(r"\[?[\w.:-]+\]?:\d{1,5}", re.ASCII)
_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_ESCAPE: Final = re.compile(r'\\(["\\n])')


def parse_label_text(text: str) -> dict[str, str]:
    r"""The labels that ``text`` says, in any of these forms, also mixed, one or several in a line.

    ``name="value"``, ``name=value``, ``name: value``; ``metric{name="value", …}``; a URL or ``host:port`` as the
    address of a target; or the whole text as JSON: an object of labels, an item of file or HTTP discovery, or a list of
    these, of which the first counts. Empty lines and those that begin with ``#`` are left out. The last of several
    values of a label counts.

    Raises:
        InvalidValueError: with the line that is none of that; or there are more than ``MOST_LABELS``.
    """
    found: dict[str, str] = {}
    stripped = text.strip()
    if re.match(r'\{\s*("[^"]*"\s*:|\})|\[\s*[\]{]', stripped):
        found = _from_json(stripped)
    else:
        for number, written in enumerate(text.split("\n"), 1):
            line = written.strip().removesuffix(",").rstrip()
            if line and not line.startswith("#"):
                labels = _from_line(line)
                if labels is None:
                    raise InvalidValueError(f'line {number}: "{line[:80]}" is no label')
                found.update(labels)
    if len(found) > MOST_LABELS:
        raise InvalidValueError(f"more than {MOST_LABELS} labels")
    try:
        "".join((*found, *found.values())).encode()
    except UnicodeEncodeError:
        raise InvalidValueError("a label is not valid UTF-8") from None
    return {name: value for name, value in found.items() if name and value}


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """``labels`` in the first of these forms, one in a line."""
    return "\n".join(f"{_written(name)}={_quoted(value)}" for name, value in labels)


def _written(name: str) -> str:
    return name if _NAME.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'


def _from_json(text: str) -> dict[str, str]:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidValueError(f"not valid JSON: {error}") from None
    item = value[0] if isinstance(value, list) and value else value
    if not isinstance(item, dict):
        raise InvalidValueError("the JSON is no object of labels")
    if isinstance(item.get("targets"), list):
        own = _texts(item.get("labels") or {})
        first = item["targets"][0] if item["targets"] else ""
        return own | {names.ADDRESS: str(first)}
    return _texts(item)


def _texts(item: Any) -> dict[str, str]:  # noqa: ANN401 - whatever the JSON has
    if not isinstance(item, dict) or any(isinstance(value, list | dict) for value in item.values()):
        raise InvalidValueError("the JSON is no object of labels: a value is a list or an object")
    return {name: _text(value) for name, value in item.items()}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _from_line(line: str) -> dict[str, str] | None:
    if line.startswith(("http://", "https://")):
        return _from_url(line)
    series = _SERIES.fullmatch(line)
    if series is not None and (pairs := _pairs(series[2].strip())) is not None:
        return ({names.METRIC_NAME: series[1]} if series[1] else {}) | pairs
    pairs = _pairs(line)
    if pairs is not None:
        return pairs
    if _ADDRESS.fullmatch(line):
        return {names.ADDRESS: line}
    assignment = _ASSIGNMENT.fullmatch(line)
    if assignment is None:
        return None
    value = assignment[2].strip()
    if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
        value = _unescaped(value[1:-1]) if value[0] == '"' else value[1:-1]
    return {assignment[1]: value}


def _pairs(text: str) -> dict[str, str] | None:
    """``name="value"``, once or more; None if that is not all of ``text``."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            return None
        found[pair[2] or _unescaped(pair[1] or "")] = _unescaped(pair[3])
        at = pair.end()
    return found


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda escape: "\n" if escape[1] == "n" else escape[1], text)


def _from_url(line: str) -> dict[str, str]:
    try:
        parts = urlsplit(line)
        params = parse_qsl(parts.query, max_num_fields=MOST_LABELS)
    except ValueError as error:
        raise InvalidValueError(f'"{line[:80]}" is no URL: {error}') from None
    found = {names.SCHEME: parts.scheme, names.ADDRESS: parts.netloc.rpartition("@")[2]}
    if parts.path not in ("", "/"):
        found[names.METRICS_PATH] = parts.path
    return found | {f"{names.PARAM_PREFIX}{name}": value for name, value in reversed(params)}
