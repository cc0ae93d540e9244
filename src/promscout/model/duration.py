"""Durations as Prometheus writes them: ``15s``, ``1h30m``, ``1y``."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Self

from promscout.errors import InvalidValueError

_UNITS_MS: Final = {
    "y": 365 * 24 * 3600 * 1000,
    "w": 7 * 24 * 3600 * 1000,
    "d": 24 * 3600 * 1000,
    "h": 3600 * 1000,
    "m": 60 * 1000,
    "s": 1000,
    "ms": 1,
}
_DURATION: Final = re.compile(
    r"(?:(?P<y>[0-9]+)y)?(?:(?P<w>[0-9]+)w)?(?:(?P<d>[0-9]+)d)?(?:(?P<h>[0-9]+)h)?"
    r"(?:(?P<m>[0-9]+)m)?(?:(?P<s>[0-9]+)s)?(?:(?P<ms>[0-9]+)ms)?",
    re.ASCII,
)
_MAX_MS: Final = (1 << 63) // 1_000_000  # Go's time.Duration counts nanoseconds in 63 bits


@lru_cache(maxsize=256)  # every target's interval and timeout are parsed, and nearly all are the same
def _parse_ms(text: str) -> int:
    if text == "0":
        return 0
    match = _DURATION.fullmatch(text)
    if not text:
        raise InvalidValueError("empty duration string")
    if match is None:
        raise InvalidValueError(f'not a valid duration string: "{text}"')
    total_ms = sum(int(digits) * _UNITS_MS[unit] for unit, digits in match.groupdict().items() if digits)
    if total_ms > _MAX_MS:
        raise InvalidValueError("duration out of range")
    return total_ms


class Duration(float):
    """A length of time in seconds, exact to the millisecond, that prints as Prometheus writes it.

    Source: prometheus/common model/time.go ParseDuration, Duration.String.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``1h30m`` and the like: units ``y w d h m s ms``, largest first, each at most once, or a bare ``0``.

        Raises:
            InvalidValueError: not a duration, or longer than 292 years.
        """
        return cls(_parse_ms(text) / 1000)

    @property
    def milliseconds(self) -> int:
        """The same length in whole milliseconds."""
        return round(self * 1000)

    def __str__(self) -> str:
        left = self.milliseconds
        if left == 0:
            return "0s"
        parts = []
        for unit, size in _UNITS_MS.items():
            # Years and weeks only where they divide exactly, so that 400d does not become 1y5w.
            if unit in ("y", "w", "d") and left % size:
                continue
            count, left = divmod(left, size)
            if count:
                parts.append(f"{count}{unit}")
        return "".join(parts)

    def __repr__(self) -> str:
        return f"Duration({str(self)!r})"
