"""Environment variables in external labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from promscout.errors import InvalidValueError

_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # what Python has in place of bytes that are no UTF-8
_REFERENCE: Final = re.compile(
    r"\$(?:\{(?P<braced>[^}]*)\}|(?P<open>\{)|(?P<special>[*#$@!?0-9-])|(?P<name>[A-Za-z_]\w*))", re.ASCII
)


def expand(text: str, environment: Mapping[str, str]) -> tuple[str, list[str]]:
    """``text`` with ``$NAME`` and ``${NAME}`` replaced, and the names that are unset or empty (replaced by nothing).

    ``$$`` is a dollar sign.

    Raises:
        InvalidValueError: a variable is not valid UTF-8.

    Source: prometheus v3.x config/config.go Load; Go's os.Expand.
    """
    missing: list[str] = []

    def replace(match: re.Match[str]) -> str:
        name = match["braced"] or match["special"] or match["name"]
        if name == "$":
            return "$"
        value = environment.get(name, "") if name else ""
        if name and not value:
            missing.append(name)
        if _SURROGATE.search(value):
            raise InvalidValueError(f"the environment variable {name} is not valid UTF-8")
        return value

    return _REFERENCE.sub(replace, text), missing
