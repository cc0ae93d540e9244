"""Targets that are written in the config."""

from __future__ import annotations

import asyncio

from promscout.discovery.config import StaticSDConfig
from promscout.discovery.discoverer import Publish


class StaticDiscoverer:
    """Publishes the configured groups once; their sources are their positions.

    Source: prometheus v3.x discovery/discovery.go staticDiscoverer.
    """

    def __init__(self, config: StaticSDConfig) -> None:
        self._config = config

    async def run(self, publish: Publish) -> None:
        """Publish, then wait for cancellation."""
        publish(group.group(str(position)) for position, group in enumerate(self._config.groups))
        await asyncio.get_running_loop().create_future()
