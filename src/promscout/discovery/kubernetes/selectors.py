"""Checks label and field selectors before they are sent to the API server, as its own parsers would.

Source: k8s.io/apimachinery pkg/labels/selector.go Parse, pkg/fields/selector.go ParseSelector.
"""

from __future__ import annotations

import re
from typing import Final

from promscout.errors import InvalidValueError

_NAME: Final = r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN: Final = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*"
_KEY: Final = rf"(?:{_DOMAIN}/)?{_NAME}"
_VALUE: Final = rf"(?:{_NAME})?"
_REQUIREMENT: Final = re.compile(
    rf"\s*(?:!\s*{_KEY}"
    rf"|{_KEY}\s*(?:=|==|!=)\s*{_VALUE}"
    rf"|{_KEY}\s*[<>]\s*[0-9]+"
    rf"|{_KEY}\s+(?:in|notin)\s*\(\s*{_VALUE}(?:\s*,\s*{_VALUE})*\s*\)"
    rf"|{_KEY})\s*(?=,|\Z)"
)
_FIELD_TERM: Final = re.compile(r"(?:[^\\=!]|\\.|!(?!=))*(?:!=|==|=)(?:[^\\=,]|\\[\\=,])*", re.DOTALL)
_FIELD_SPLIT: Final = re.compile(r"((?:[^\\,]|\\.|\\$)*)(?:,|$)", re.DOTALL)


def check_label_selector(text: str) -> None:
    """Accept what the API server accepts as ``labelSelector``; the empty selector selects everything.

    Raises:
        InvalidValueError: not a label selector; the message says from where on.
    """
    at = 0
    while text.strip():
        match = _REQUIREMENT.match(text, at)
        if match is None:
            raise InvalidValueError(f"unable to parse label selector '{text}': cannot understand '{text[at:]}'")
        if match.end() == len(text):
            return
        at = match.end() + 1


def check_field_selector(text: str) -> None:
    """Accept what the API server accepts as ``fieldSelector``; the empty selector selects everything.

    Which fields a resource can be selected by, only the API server knows.

    Raises:
        InvalidValueError: not a field selector.
    """
    for match in _FIELD_SPLIT.finditer(text):
        term = match[1]
        if term and _FIELD_TERM.fullmatch(term) is None:
            raise InvalidValueError(f"invalid selector: '{text}'; can't understand '{term}'")
