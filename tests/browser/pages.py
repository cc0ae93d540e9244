"""Every page there is, in the states that look different."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, urlencode

from browser import payloads
from browser.site import Site


@dataclass(frozen=True)
class Shown:
    """A page in one state. In ``path``, ``{scene}`` stands for where the scene is.

    ``shows`` are hostile texts that must be readable on it, exactly as they are.
    """

    name: str
    path: str
    agent: Literal["sending", "storing"] = "sending"
    status: int = 200
    shows: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    def path_on(self, site: Site) -> str:
        """Its path on an agent of ``site``."""
        return self.path.replace("{scene}", quote(site.scene.url, safe=""))


def _url(path: str, **parameters: str) -> str:
    return f"{path}?{urlencode(parameters)}"


_JOB = f"hostile {payloads.IMAGE}"
_TARGET = "/target?" + urlencode({"pool": _JOB, "url": "SCENE/t/"}).replace("SCENE", "{scene}")
_LABELS = "\n".join(f"name_{at}: {text!r}" for at, text in enumerate(payloads.ALL))
_RULES = """
- source_labels: [__address__]
  target_label: seen
- regex: "seen"
  action: labeldrop
- source_labels: [text]
  regex: ".*script.*"
  action: drop
"""

PAGES = (
    Shown("overview", "/", shows=(_JOB,)),
    Shown("overview-of-store", "/", "storing", shows=(_JOB,)),
    Shown("targets", "/targets?size=25", shows=(_JOB,)),
    Shown("targets-of-job", _url("/targets", pool=_JOB), shows=(_JOB, *payloads.ALL)),
    Shown("targets-down", _url("/targets", health="down"), shows=(_JOB, payloads.IMAGE)),
    Shown("targets-dropped", _url("/targets", health="dropped", pool="pods"), shows=payloads.ALL),
    Shown("targets-paged", _url("/targets", pool="many", page="2", size="25", sort="-duration")),
    Shown("targets-searched", _url("/targets", q=payloads.ENDINGS), shows=(payloads.ENDINGS,)),
    Shown("targets-not-found", _url("/targets", q=payloads.SCRIPT, pool=payloads.COMMENT, health=payloads.LINK)),
    Shown("target", f"{_TARGET}evil-0", shows=(_JOB, *payloads.ALL)),
    Shown("target-down", f"{_TARGET}evil-status", shows=(_JOB, payloads.IMAGE)),
    Shown("target-unreadable", f"{_TARGET}evil-body"),
    Shown("target-gone", _url("/target", pool=_JOB, url=payloads.SCRIPT)),
    Shown("discovery", "/discovery", shows=(_JOB, payloads.IMAGE)),
    Shown("discovery-of-job", _url("/discovery", job=_JOB), shows=(_JOB, *payloads.ALL)),
    Shown("discovery-dropped", _url("/discovery", job="pods", state="dropped"), shows=payloads.ALL),
    Shown("discovery-duplicates", _url("/discovery", job="many", state="duplicate")),
    Shown("discovery-not-found", _url("/discovery", job=payloads.SCRIPT), shows=(payloads.SCRIPT,)),
    Shown("relabel", "/relabel"),
    Shown("relabel-of-job", _url("/relabel", job=_JOB), shows=(_JOB,)),
    Shown(
        "relabel-tried",
        _url("/relabel", labels=_LABELS, rules=_RULES),
        shows=(payloads.TEMPLATE, payloads.COMMENT),
    ),
    Shown(
        "relabel-refused",
        _url("/relabel", labels=payloads.IMAGE, rules=payloads.ENDINGS),
        shows=(payloads.ENDINGS, payloads.IMAGE),
    ),
    Shown("graph", _url("/graph", match="work_total", range="15m"), "storing", shows=payloads.ALL),
    Shown("graph-empty", "/graph", "storing"),
    Shown("graph-refused", _url("/graph", match=payloads.SCRIPT), "storing", shows=(payloads.SCRIPT,)),
    Shown("graph-without-store", "/graph"),
    Shown("remote-write", "/remote-write", shows=(payloads.SCRIPT,)),
    Shown("remote-write-none", "/remote-write", "storing"),
    Shown("config", "/config", shows=(payloads.SCRIPT, payloads.TEMPLATE)),
    Shown("status", "/status"),
    Shown("missing", f"/{quote(payloads.SCRIPT)}", status=404),
)
