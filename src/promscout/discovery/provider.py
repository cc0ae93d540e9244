"""A running discoverer and what it has found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

from promscout.discovery.config import SDConfig
from promscout.discovery.discoverer import Discoverer
from promscout.model.group import TargetGroup

OnChange: TypeAlias = Callable[["Provider", dict[str, TargetGroup]], None]


class Provider:
    """One distinct SD configuration, its discoverer, and the groups that are current.

    Guarantees: ``groups`` holds exactly the latest non-empty group of each source; ``on_change`` is told of groups that
    differ from before, and of nothing else; the first publication is passed on even when it is empty, so ``synced``
    tells "nothing there" from "not known yet"; ``target_count`` is the number of targets in all groups, ``changed_at``
    the loop's time when they changed last, or were known first. When the discoverer had to be run again, groups that
    its first publication does not have are gone.
    """

    def __init__(self, name: str, config: SDConfig, discoverer: Discoverer, on_change: OnChange) -> None:
        self.name = name
        self.config = config
        self.groups: dict[str, TargetGroup] = {}
        self.jobs: frozenset[str] = frozenset()
        self.synced = False
        self.target_count = 0
        self.changed_at: float | None = None
        self.discoverer = discoverer
        self._on_change = on_change
        self._replace_all = False

    @property
    def last_error(self) -> str:
        """Why the discoverer's last attempt failed, if it tells; empty while all is well."""
        return str(getattr(self.discoverer, "last_error", ""))

    async def run(self) -> None:
        """The updater: discover until cancelled."""
        self._replace_all = self.synced
        await self.discoverer.run(self._update)

    def _update(self, groups: Iterable[TargetGroup]) -> None:
        changed: dict[str, TargetGroup] = {}
        if self._replace_all:
            groups = list(groups)
            gone = self.groups.keys() - {group.source for group in groups}
            groups += map(TargetGroup, gone)
            self._replace_all = False
        for group in groups:
            before = self.groups.get(group.source)
            if group.is_empty:
                if before is None:
                    continue
                del self.groups[group.source]
            elif before == group:
                continue
            else:
                self.groups[group.source] = group
            changed[group.source] = group
            self.target_count += len(group.targets) - (len(before.targets) if before is not None else 0)
        first, self.synced = not self.synced, True
        if changed or first:
            self.changed_at = asyncio.get_running_loop().time()
            self._on_change(self, changed)
