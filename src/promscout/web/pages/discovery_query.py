"""What the discovery page is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, Self

import msgspec

from promscout.web.pages.target_query import number, url_of
from promscout.web.search import Search

PAGE_TARGETS: Final = 25
"""Targets on a page: each with all its labels."""


class Fate(StrEnum):
    """What became of a discovered target."""

    ACTIVE = "active"  # it is scraped
    DROPPED = "dropped"  # by a rule
    REFUSED = "refused"  # it cannot be scraped with these labels
    DUPLICATE = "duplicate"  # equal to another one, which is scraped for it


class DiscoveryQuery(msgspec.Struct, frozen=True):
    """The page's parameters; without ``job`` it shows all jobs. ``rule`` is the index of the rule that drops, or None.

    ``count`` asks to count the targets that each rule drops, however many there are.
    """

    job: str = ""
    fate: str = ""
    q: str = ""
    page: int = 1
    rule: int | None = None
    count: bool = False

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> Self:
        """From the URL's parameters; what cannot be understood is left out."""
        fate, rule = given.get("state", ""), given.get("rule", "")
        return cls(
            given.get("job", ""),
            fate if fate in list(Fate) else "",
            given.get("q", "").strip(),
            max(1, number(given.get("page", ""))),
            number(rule) if rule.isascii() and rule.isdigit() else None,
            given.get("count", "") == "1",
        )

    def url(self, **changes: str | int) -> str:
        """The page's URL with some parameters changed; a change of anything else leads to the first page."""
        return url_of("/discovery", self.given | {"page": 1} | changes)

    @property
    def given(self) -> dict[str, str | int]:
        """All parameters."""
        rule = "" if self.rule is None else self.rule
        count = "1" if self.count else ""
        return {"job": self.job, "state": self.fate, "q": self.q, "rule": rule, "count": count, "page": self.page}

    @property
    def search(self) -> Search:
        """The words that all must occur in the discovered labels."""
        return Search.parse(self.q)
