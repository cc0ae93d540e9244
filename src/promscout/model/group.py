"""Target groups: what discovery produces and scraping consumes."""

from __future__ import annotations

from typing import TypeAlias

import msgspec


class TargetGroup(msgspec.Struct, frozen=True, gc=False):
    """Targets that share labels and come from one source.

    ``source`` is unique within its provider and names the object behind the group (``pod/default/web-0``). A new group
    of the same source replaces the old one as a whole. Each target is a set of labels, laid over ``bases`` at the same
    position, if there are any, laid over the group's ``labels``: several targets of one pod share that pod's labels as
    one dict. Groups are equal by value, and nobody mutates their dicts after construction.

    Source: prometheus v3.x discovery/targetgroup/targetgroup.go Group.
    """

    source: str
    targets: tuple[dict[str, str], ...] = ()
    labels: dict[str, str] = {}
    bases: tuple[dict[str, str], ...] = ()

    def labels_of(self, position: int) -> dict[str, str]:
        """All labels of one target, as a new dict."""
        if self.bases:
            return self.labels | self.bases[position] | self.targets[position]
        return self.labels | self.targets[position]

    @property
    def is_empty(self) -> bool:
        """An empty group says that its source has no targets (any more)."""
        return not self.targets


GroupKey: TypeAlias = tuple[str, str]
"""Provider name and source: unique over all groups of a target set."""

TargetSetChange: TypeAlias = dict[str, dict[GroupKey, TargetGroup]]
"""Job name → the groups that changed since the last change of that job; an empty group means deletion."""
