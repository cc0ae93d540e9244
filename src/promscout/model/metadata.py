"""What targets say about their metric families."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final, Protocol

import msgspec


class MetricMetadata(msgspec.Struct, frozen=True):
    """What a body says about a metric family; empty texts where it says nothing. ``type`` is OpenMetrics's word."""

    type: str = "unknown"
    help: str = ""
    unit: str = ""


class Families(Protocol):
    """The metric families of some series."""

    def by_family(self) -> Mapping[str, MetricMetadata]:
        """Metric family name → its metadata. May be made at each call."""
        ...

    @property
    def fingerprint(self) -> Hashable:
        """Families with equal ones are equal: a cheap way to see that many targets say the same."""
        ...


class KnownFamilies:
    """Families whose metadata are at hand."""

    __slots__ = ("_metadata",)

    def __init__(self, metadata: Mapping[str, MetricMetadata]) -> None:
        self._metadata = metadata

    def by_family(self) -> Mapping[str, MetricMetadata]:
        """Metric family name → its metadata."""
        return self._metadata

    @property
    def fingerprint(self) -> Hashable:
        """The families themselves."""
        return frozenset(self._metadata.items())


NO_FAMILIES: Final = KnownFamilies({})
"""Of series about which nothing is known."""
