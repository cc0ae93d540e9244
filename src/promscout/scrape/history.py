"""How the last scrapes of one target went, in a byte each.

A target has one such text of bytes, of the same few for a plot: 64 bytes of memory once it has been scraped.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

KEPT: Final = 30
"""Scrapes that are remembered: with these, a text of bytes takes 64 bytes of memory."""

SHORTEST: Final = 0.000_2
LONGEST: Final = 120.0
"""Seconds that can be told apart; what is beyond counts as these."""

_LEVELS: Final = 127
_SCALE: Final = _LEVELS / math.log(LONGEST / SHORTEST)
_FAILED: Final = 0x80


class PastScrape(msgspec.Struct, frozen=True):
    """How long a scrape took, in seconds, to within six percent, and whether it succeeded."""

    duration: float
    up: bool


def noted(history: bytes, duration: float, *, up: bool) -> bytes:
    """``history`` with one scrape more; of more than ``KEPT`` the oldest is forgotten."""
    level = round(_SCALE * math.log(min(max(duration, SHORTEST), LONGEST) / SHORTEST))
    return history[1 - KEPT :] + bytes((level if up else level | _FAILED,))


def past_scrapes(history: bytes) -> list[PastScrape]:
    """The scrapes that ``history`` remembers, the oldest first."""
    return [PastScrape(_SECONDS[code & ~_FAILED], code < _FAILED) for code in history]


_SECONDS: Final = tuple(SHORTEST * math.exp(level / _SCALE) for level in range(_LEVELS + 1))
