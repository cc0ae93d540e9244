"""Colours for people who look at a terminal."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TextIO


class Style(StrEnum):
    """How a piece of text looks: the parameter of ECMA-48's SGR."""

    BOLD = "1"
    DIM = "2"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"
    CYAN = "36"


class Painter:
    """Styles text for one stream: not at all unless it is a terminal, nor where ``NO_COLOR`` is set."""

    def __init__(self, stream: TextIO) -> None:
        self._wanted = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, text: str, style: Style) -> str:
        """``text`` as it should be written."""
        return f"\x1b[{style}m{text}\x1b[0m" if self._wanted and text else text
