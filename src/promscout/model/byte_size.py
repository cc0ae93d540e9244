"""Numbers of bytes as Prometheus writes them: ``10MB``, ``1.5GiB``."""

from __future__ import annotations

import re
from typing import Final, Self

from promscout.errors import InvalidValueError

_UNITS: Final = {"B": 1} | {
    prefix + suffix: 1024**power for power, prefix in enumerate("KMGTPE", 1) for suffix in ("B", "iB")
}
_PART: Final = r"[0-9]+\.?[0-9]*|\.[0-9]+"
_PARTS: Final = re.compile(rf"({_PART})([KMGTPE]?i?B)", re.ASCII)
_SIZE: Final = re.compile(rf"\+?(?:(?:{_PART})(?:[KMGTPE]i?)?B)+", re.ASCII)


class ByteSize(int):
    """A number of bytes. Units are powers of 1024 with or without the ``i``.

    Source: github.com/alecthomas/units ParseBase2Bytes.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``512KB``, ``1.5MiB``, ``1GB512MB`` or a bare ``0``.

        Raises:
            InvalidValueError: no number, no unit, an unknown unit, or 8 EiB and more.
        """
        if text in ("0", "+0", "-0"):
            return cls(0)
        if _SIZE.fullmatch(text) is None:
            raise InvalidValueError(f'not a valid size: "{text}" (a number and a unit, such as 10MB)')
        size = int(sum(float(number) * _UNITS[unit] for number, unit in _PARTS.findall(text)))
        if size >= 1 << 63:
            raise InvalidValueError(f'size out of range: "{text}"')
        return cls(size)

    def __str__(self) -> str:
        for unit in ("EiB", "PiB", "TiB", "GiB", "MiB", "KiB"):
            if self and self % _UNITS[unit] == 0:
                return f"{self // _UNITS[unit]}{unit}"
        return f"{int(self)}B"
