"""Texts of single values as booleans, numbers and strings, the way Go's yaml.v2 reads them into typed fields."""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Final

from promscout.config.tree import Scalar
from promscout.errors import InvalidValueError

_TRUE: Final = frozenset({"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"})
_FALSE: Final = frozenset({"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"})
_INT: Final = re.compile(r"([-+]?)(0b[01]+|0o?[0-7]+|0x[0-9a-fA-F]+|0|[1-9][0-9]*)", re.ASCII)
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_LONGEST_NUMBER: Final = 80
_LONGEST_QUOTE: Final = 80


def quoted(text: str) -> str:
    """``text`` as it appears in messages: in quotes, on one line, not too long."""
    short = text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…"
    return f'"{short}"' if short.isprintable() else f'"{short.encode("unicode_escape").decode("ascii")}"'


def to_bool(node: Scalar) -> bool:
    """``true``, ``yes``, ``on``, ``y`` and their opposites, unquoted.

    Raises:
        InvalidValueError: anything else.
    """
    if node.plain and node.text in _TRUE:
        return True
    if node.plain and node.text in _FALSE:
        return False
    raise InvalidValueError(f"expected true or false, got {_shown(node)}")


def to_int(node: Scalar) -> int:
    """Decimal, octal (``0644``, ``0o644``), hexadecimal or binary, with ``_`` anywhere, or a float without fraction.

    Raises:
        InvalidValueError: anything else, quoted numbers included, and what does not fit 64 bits.
    """
    text = node.text.replace("_", "")
    number: int | None = None
    if node.plain and len(text) <= _LONGEST_NUMBER:
        if match := _INT.fullmatch(text):
            sign, digits = match.groups()
            octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
            number = int(sign + digits, 8 if octal else 0)
        elif _FLOAT.fullmatch(text) and float(text).is_integer():
            number = int(float(text))
    if number is None:
        raise InvalidValueError(f"expected an integer, got {_shown(node)}")
    if not -(1 << 63) <= number < 1 << 64:
        raise InvalidValueError(f"out of range: {_shown(node)}")
    return number


def to_float(node: Scalar) -> float:
    """A finite decimal number.

    Raises:
        InvalidValueError: anything else.
    """
    text = node.text.replace("_", "")
    if node.plain and _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    raise InvalidValueError(f"expected a number, got {_shown(node)}")


def to_text(node: Scalar) -> str:
    """The text as written, whatever it looks like; ``!!binary`` is decoded.

    Raises:
        InvalidValueError: ``!!binary`` that is not base64 of UTF-8.
    """
    if node.tag != "tag:yaml.org,2002:binary":
        return node.text
    try:
        return base64.b64decode("".join(node.text.split()), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        reason = "is not valid UTF-8" if isinstance(error, UnicodeDecodeError) else "contains invalid base64 data"
        raise InvalidValueError(f"!!binary value {reason}") from None


def _shown(node: Scalar) -> str:
    return quoted(node.text) if node.plain else f"the text {quoted(node.text)}"
