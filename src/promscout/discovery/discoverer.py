"""What finds targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol, TypeAlias

from promscout.discovery.config import SDConfig
from promscout.model.group import TargetGroup

Publish: TypeAlias = Callable[[Iterable[TargetGroup]], None]
"""Takes groups that are new or changed, and empty ones for sources that are gone. Never blocks."""


class Discoverer(Protocol):
    """Finds target groups for ever.

    Guarantees expected of an implementation: the first ``publish`` carries everything found so far, never a part of a
    list; a group is published as a whole whenever it changes; while the source of truth is unreachable nothing is
    published, so that targets stay; cancellation ends it and releases what it holds.
    """

    async def run(self, publish: Publish) -> None:
        """Publish groups until cancelled."""
        ...


Factory: TypeAlias = Callable[[Any], Discoverer]
"""Makes the discoverer of one SD configuration; holds what discoverers of its kind share."""

Factories: TypeAlias = Mapping[type[SDConfig], Factory]
