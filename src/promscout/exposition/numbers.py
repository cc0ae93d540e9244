"""Numbers as Go reads and writes them."""

from __future__ import annotations

import math
import re
import struct
from decimal import Decimal
from typing import Final

NORMAL_NAN_BITS: Final = 0x7FF8000000000001
"""Bit pattern of every NaN that was scraped, so that none looks like a staleness marker.

Source: prometheus v3.x model/value/value.go NormalNaN.
"""

NORMAL_NAN: Final[float] = struct.unpack("<d", struct.pack("<Q", NORMAL_NAN_BITS))[0]
"""The NaN with these bits."""

_FLOAT: Final = re.compile(
    rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|(?P<special>inf(?:inity)?))|(?P<nan>nan)", re.IGNORECASE
)


def parse_go_float(text: bytes) -> float:
    """``text`` as Prometheus reads a sample value: decimal, ``Inf`` with or without sign, or ``NaN``.

    Raises:
        ValueError: anything else, hexadecimal numbers, underscores and numbers beyond a float64 included.

    Source: Go's strconv.ParseFloat; prometheus v3.x model/textparse parseFloat.
    """
    shape = _FLOAT.fullmatch(text)
    if shape is None:
        raise ValueError("not a number")
    number = float(text)
    if math.isinf(number) and shape["special"] is None:
        raise ValueError("number out of range")
    return number


def format_open_metrics_float(number: float) -> str:
    """``number`` as the label values ``le`` and ``quantile`` have it: shortest form, always with a point or exponent.

    Source: prometheus v3.x model/labels/float.go FormatOpenMetricsFloat; Go's strconv format 'g'.
    """
    if math.isnan(number):
        return "NaN"
    if math.isinf(number):
        return "+Inf" if number > 0 else "-Inf"
    if number == 0:
        return "0.0"
    sign, digits, exponent = Decimal(repr(number)).normalize().as_tuple()
    power = len(digits) - 1 + int(exponent)
    text = "".join(map(str, digits))
    prefix = "-" if sign else ""
    if power < -4 or power >= 6:
        mantissa = text[0] + ("." + text[1:] if len(text) > 1 else "")
        return f"{prefix}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if power < 0:
        return f"{prefix}0.{'0' * (-power - 1)}{text}"
    whole, fraction = text[: power + 1].ljust(power + 1, "0"), text[power + 1 :]
    return f"{prefix}{whole}.{fraction or '0'}"
