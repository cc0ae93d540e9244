"""Every page there is, in the states that look different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode

from browser import payloads


@dataclass(frozen=True)
class Shown:
    """A page in one state. ``shows`` are hostile texts that must be readable on it, exactly as they are."""

    name: str
    path: str
    agent: Literal["sending", "storing"] = "sending"
    status: int = 200
    shows: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name


def _url(path: str, **parameters: str) -> str:
    return f"{path}?{urlencode(parameters)}"


_JOB = f"hostile {payloads.IMAGE}"

PAGES = (
    Shown("targets", "/targets", shows=(_JOB,)),
    Shown("targets-of-job", _url("/targets", pool=_JOB), shows=(_JOB, *payloads.ALL)),
    Shown("targets-down", _url("/targets", health="down"), shows=(_JOB, payloads.IMAGE)),
    Shown("targets-dropped", _url("/targets", health="dropped", pool="pods"), shows=payloads.ALL),
    Shown("targets-paged", _url("/targets", pool="many", page="2")),
    Shown("targets-searched", _url("/targets", q=payloads.ENDINGS), shows=(payloads.ENDINGS,)),
    Shown("targets-not-found", _url("/targets", q=payloads.SCRIPT, pool=payloads.COMMENT, health=payloads.LINK)),
    Shown("graph", _url("/graph", match="work_total", range="15m"), "storing", shows=payloads.ALL),
    Shown("graph-empty", "/graph", "storing"),
    Shown("graph-refused", _url("/graph", match=payloads.SCRIPT), "storing", shows=(payloads.SCRIPT,)),
    Shown("graph-without-store", "/graph"),
    Shown("remote-write", "/remote-write", shows=(payloads.SCRIPT,)),
    Shown("remote-write-none", "/remote-write", "storing"),
    Shown("config", "/config", shows=(payloads.SCRIPT, payloads.TEMPLATE)),
)
BY_NAME = {page.name: page for page in PAGES}
