"""What a mechanism consists of, and what its discoverers get from the agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from promscout.discovery.config import SDConfig, StaticConfig
from promscout.discovery.discoverer import Factory

if TYPE_CHECKING:  # `promscout check` needs no metrics, only configurations
    from prometheus_client import CollectorRegistry

    from promscout.discovery.refresh import RefreshMetrics

ParseGroups: TypeAlias = Callable[[str, str], tuple[StaticConfig, ...]]
"""Reads a list of target groups as YAML; takes the text and the file's name for messages. Raises ``ConfigError``."""


class DiscoveryContext(msgspec.Struct, frozen=True, kw_only=True):
    """What one agent shares with its discoverers.

    ``registry`` is where a factory registers metrics of its own, once; ``refresh`` counts refreshes of all mechanisms.
    """

    registry: CollectorRegistry
    refresh: RefreshMetrics
    parse_groups: ParseGroups


class Mechanism(msgspec.Struct, frozen=True, kw_only=True):
    """What a package gives under an entry point of the group ``promscout.discovery``.

    ``config`` is the type of one item of ``<mechanism>_sd_configs``. ``factory`` is called once per agent, and what it
    returns once per distinct configuration.
    """

    config: type[SDConfig]
    factory: Callable[[DiscoveryContext], Factory]
