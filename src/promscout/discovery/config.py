"""What every service discovery configuration is, and the ``static_configs`` section."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Final, Protocol, Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup
from promscout.model.labels import ADDRESS, LabelRow, shared_names

_ADDRESS: Final = shared_names((ADDRESS,))


class SDConfig(Protocol):
    """A frozen, hashable value. Equal configurations share one provider, also across reloads."""

    mechanism: ClassVar[str]
    """Name of the mechanism, as in ``<mechanism>_sd_configs``."""

    def __hash__(self) -> int: ...

    def __eq__(self, other: object, /) -> bool: ...

    def with_directory(self, directory: Path) -> Self:
        """The same configuration with relative file names taken from ``directory``."""
        ...


def check_refresh_interval(interval: float) -> None:
    """Refuse an interval in which nothing could be refreshed.

    Raises:
        InvalidValueError: it is 0.
    """
    if interval <= 0:
        raise InvalidValueError("must be greater than 0", key="refresh_interval")


class StaticConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One group of targets given by address, with labels for all of them."""

    targets: tuple[str, ...] = ()
    labels: FrozenDict[str, str] = FrozenDict()

    def __post_init__(self) -> None:
        if "" in self.labels:
            raise InvalidValueError('"" is not a valid label name', key="labels")

    def group(self, source: str, /, **labels: str) -> TargetGroup:
        """The target group that it is; ``labels`` win over its own."""
        targets = tuple([LabelRow(_ADDRESS, (target,)) for target in self.targets])
        return TargetGroup(source, targets, LabelRow.of({**self.labels, **labels}))


class StaticSDConfig(msgspec.Struct, frozen=True, kw_only=True):
    """All ``static_configs`` of one job: one provider whose groups have the sources ``0``, ``1``, … in this order.

    Source: prometheus v3.x discovery/registry.go readConfigs.
    """

    mechanism: ClassVar[str] = "static"

    groups: tuple[StaticConfig, ...] = ()

    def with_directory(self, directory: Path) -> Self:  # noqa: ARG002 - part of the protocol
        """The same value: it names no files."""
        return self
