"""What can go wrong on purpose: switches that tests flip while clients are connected."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """How the API server misbehaves from now on. Everything off is a healthy server.

    ``unavailable`` answers 503 to everything; ``abort`` drops the connection without an answer. ``fail_next`` is how
    many of the next requests are answered with 500. ``delay`` is seconds before each answer begins. ``forbidden``
    holds plural resource names (``pods``) that answer 403, or ``verb resource`` (``watch pods``) to forbid only that.
    ``break_lists`` breaks the connection in the middle of every list that is long enough to be sent in pieces.
    ``drop_bookmarks`` sends no bookmarks except the one that ends a streaming list. ``no_watch_list`` answers
    ``sendInitialEvents`` as a server does that cannot stream lists.
    """

    unavailable: bool = False
    abort: bool = False
    fail_next: int = 0
    delay: float = 0.0
    break_lists: bool = False
    drop_bookmarks: bool = False
    no_watch_list: bool = False
    forbidden: set[str] = field(default_factory=set)

    def forbids(self, verb: str, plural: str) -> bool:
        """Whether this verb on this resource is to be answered with 403."""
        return plural in self.forbidden or f"{verb} {plural}" in self.forbidden

    def takes_a_failure(self) -> bool:
        """Whether this request is one of the next that fail; counts it."""
        if self.fail_next <= 0:
            return False
        self.fail_next -= 1
        return True
