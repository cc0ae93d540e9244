"""What the targets page is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self
from urllib.parse import urlencode

import msgspec

from promscout.scrape.pool import ActiveTarget
from promscout.web.search import Search

DEFAULT_SIZE: Final = 100
SIZES: Final = (25, 50, DEFAULT_SIZE, 250, 500)
"""Targets on a page."""

HEALTHS: Final = ("up", "down", "unknown")
DROPPED: Final = "dropped"
SORTS: Final = ("health", "last", "duration", "samples")
"""What targets can be sorted by; with a minus in front the other way round."""

_BY_HEALTH: Final = {"down": 0.0, "unknown": 1.0, "up": 2.0}


class TargetQuery(msgspec.Struct, frozen=True):
    """The page's parameters. An empty string means "any", no ``sort`` the order of discovery; pages count from 1."""

    pool: str = ""
    health: str = ""
    q: str = ""
    page: int = 1
    error: str = ""
    sort: str = ""
    size: int = DEFAULT_SIZE

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Self:
        """From the URL's parameters; what cannot be understood is left out."""
        health, sort, size = given.get("health", ""), given.get("sort", ""), number(given.get("size", ""))
        return cls(
            given.get("pool", ""),
            health if health in (*HEALTHS, DROPPED) else "",
            given.get("q", "").strip(),
            max(1, number(given.get("page", ""))),
            given.get("error", ""),
            sort if sort.removeprefix("-") in SORTS else "",
            size if size in SIZES else DEFAULT_SIZE,
        )

    def url(self, **changes: str | int) -> str:
        """The page's URL with some parameters changed; a change of anything else leads to the first page."""
        return url_of("/targets", self.given | {"page": 1} | changes)

    @property
    def given(self) -> dict[str, str | int]:
        """All parameters."""
        return {
            "pool": self.pool,
            "health": self.health,
            "q": self.q,
            "error": self.error,
            "sort": self.sort,
            "size": "" if self.size == DEFAULT_SIZE else self.size,
            "page": self.page,
        }

    @property
    def search(self) -> Search:
        """The words that all must occur."""
        return Search.parse(self.q)

    @property
    def start(self) -> int:
        """How many targets come before the page's first."""
        return (self.page - 1) * self.size

    @property
    def is_plain(self) -> bool:
        """Whether nothing about a target decides if it is shown."""
        return not (self.health or self.q or self.error)

    def sorted_by(self, column: str) -> str:
        """What the ``sort`` of a link is that sorts by ``column``, or the other way round where that is so already."""
        return f"-{column}" if self.sort == column else column

    def rank(self, active: ActiveTarget, state: str) -> float:
        """What a target is sorted by, rising: failed, slow, large and long-past ones come first."""
        last, sort = active.loop.last, self.sort
        if sort.endswith("health"):
            found = _BY_HEALTH[state]
        elif last is None:
            return float("inf")  # in either direction: there is nothing to compare
        elif sort.endswith("duration"):
            found = -last.duration
        elif sort.endswith("samples"):
            found = -float(last.scraped)
        else:
            found = float(last.start_ms)
        return -found if sort.startswith("-") else found


def url_of(path: str, parameters: Mapping[str, str | int]) -> str:
    """``path`` with those parameters that say anything."""
    given = {name: value for name, value in parameters.items() if value != "" and (name, value) != ("page", 1)}
    return f"{path}?{urlencode(given)}" if given else path


def number(text: str) -> int:
    """The number that ``text`` is, in up to eight digits; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
