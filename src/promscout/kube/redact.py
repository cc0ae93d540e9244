"""Text of foreign programs made fit for messages: short, printable, without what looks like a secret."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from promscout.httpclient.secret import HIDDEN

MAX_LINES: Final = 5
MAX_TEXT: Final = 600
MAX_LINE: Final = 300
"""Characters."""

_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
# Tokens and keys are long unbroken words of mixed characters; host names, paths and UUIDs are not.
_WORD: Final = re.compile(r"[A-Za-z0-9_+=.~-]{20,}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{32,}")


def printable(text: str, *, limit: int = MAX_TEXT) -> str:
    """``text`` on one line, without colours and control characters, at most ``limit`` characters of it."""
    plain = _ESCAPE.sub("", text)
    words = "".join(character if character.isprintable() else " " for character in plain).split()
    joined = " ".join(words)
    return joined if len(joined) <= limit else joined[: limit - 1] + "…"


def last_words(said: bytes, secrets: Iterable[str] = ()) -> str:
    """The last lines of ``said``, as one, without ``secrets`` and whatever else looks like one."""
    text = said.decode(errors="replace")
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    lines = [line for line in (printable(_WORD.sub(_hide, line), limit=MAX_LINE) for line in text.splitlines()) if line]
    joined = " | ".join(lines[-MAX_LINES:])
    return joined if len(joined) <= MAX_TEXT else "…" + joined[1 - MAX_TEXT :]


def _hide(word: re.Match[str]) -> str:
    text = word[0]
    mixed = any(c.isdigit() for c in text) and any(c.isupper() for c in text) and any(c.islower() for c in text)
    return HIDDEN if mixed or _HEX.search(text) else text
