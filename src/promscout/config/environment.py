"""Environment variables in external labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_REFERENCE: Final = re.compile(
    r"\$(?:\{(?P<braced>[^}]*)\}|(?P<open>\{)|(?P<special>[*#$@!?0-9-])|(?P<name>[A-Za-z_]\w*))", re.ASCII
)


def expand(text: str, environment: Mapping[str, str]) -> tuple[str, list[str]]:
    """``text`` with ``$NAME`` and ``${NAME}`` replaced, and the names that are unset or empty (replaced by nothing).

    ``$$`` is a dollar sign.

    Source: prometheus v3.x config/config.go Load; Go's os.Expand.
    """
    missing: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match["braced"] or match["special"] or match["name"]
        if name == "$":
            return "$"
        if name and not environment.get(name):
            missing.append(name)
        return environment.get(name, "") if name else ""

    return _REFERENCE.sub(replace, text), missing
