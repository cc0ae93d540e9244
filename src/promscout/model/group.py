"""Target groups: what discovery produces and scraping consumes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Self, TypeAlias

import msgspec

from promscout.model.labels import LabelRow

NO_LABELS: Final = LabelRow()


class TargetGroup(msgspec.Struct, frozen=True, gc=False):
    """Targets that share labels and come from one source.

    ``source`` is unique within its provider and names the object behind the group (``pod/default/web-0``). A new group
    of the same source replaces the old one as a whole. Each target is a row of labels, laid over ``bases`` at the same
    position, if there are any, laid over the group's ``labels``: several targets of one pod share that pod's labels as
    one row. Groups are equal by value.

    Source: prometheus v3.x discovery/targetgroup/targetgroup.go Group.
    """

    source: str
    targets: tuple[LabelRow, ...] = ()
    labels: LabelRow = NO_LABELS
    bases: tuple[LabelRow, ...] = ()

    @classmethod
    def of(cls, source: str, targets: Iterable[Mapping[str, str]], labels: Mapping[str, str] | None = None) -> Self:
        """A group of targets whose labels are mappings."""
        return cls(source, tuple(map(LabelRow.of, targets)), LabelRow.of(labels) if labels else NO_LABELS)

    def labels_of(self, position: int) -> dict[str, str]:
        """All labels of one target, as a new dict."""
        labels = self.labels.as_dict()
        if self.bases:
            labels |= self.bases[position].as_dict()
        return labels | self.targets[position].as_dict()

    def rows_of(self, position: int) -> tuple[LabelRow, ...]:
        """The rows that the labels of one target consist of, the later over the earlier."""
        own = self.targets[position]
        return (self.labels, self.bases[position], own) if self.bases else (self.labels, own)

    @property
    def is_empty(self) -> bool:
        """An empty group says that its source has no targets (any more)."""
        return not self.targets


GroupKey: TypeAlias = tuple[str, str]
"""Provider name and source: unique over all groups of a target set."""

TargetSetChange: TypeAlias = dict[str, dict[GroupKey, TargetGroup]]
"""Job name → the groups that changed since the last change of that job; an empty group means deletion."""
