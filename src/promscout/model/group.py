"""Target groups: what discovery produces and scraping consumes."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class TargetGroup(msgspec.Struct, frozen=True):
    """Targets that share labels and come from one source.

    ``source`` is unique within its provider and names the object behind the group (``pod/default/web-0``). A new group
    of the same source replaces the old one as a whole. Each target is a set of labels; the target's own labels win
    over the group's. Groups are equal by value, and nobody mutates their dicts after construction.

    Source: prometheus v3.x discovery/targetgroup/targetgroup.go Group.
    """

    source: str
    targets: tuple[dict[str, str], ...] = ()
    labels: dict[str, str] = {}

    @property
    def is_empty(self) -> bool:
        """An empty group says that its source has no targets (any more)."""
        return not self.targets


GroupKey: TypeAlias = tuple[str, str]
"""Provider name and source: unique over all groups of a target set."""

TargetSetChange: TypeAlias = dict[str, dict[GroupKey, TargetGroup]]
"""Job name → the groups that changed since the last change of that job; an empty group means deletion."""
