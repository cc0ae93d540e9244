"""Discoverers of one mechanism, run by hand."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry

from promscout.config.target_groups import parse_target_groups
from promscout.discovery.mechanism import DiscoveryContext
from promscout.discovery.refresh import RefreshMetrics


class Discovered:
    """What discoverers publish: ``groups`` is all there is, ``changes`` has the sources of each time."""

    def __init__(self, make_factory):
        self.registry = CollectorRegistry()
        self.factory = make_factory(
            DiscoveryContext(
                registry=self.registry, refresh=RefreshMetrics(self.registry), parse_groups=parse_target_groups
            )
        )
        self.groups = {}
        self.changes = []

    @property
    def published(self):
        """How many times."""
        return len(self.changes)

    def publish(self, groups):
        groups = list(groups)
        self.changes.append([group.source for group in groups])
        for group in groups:
            self.groups.pop(group.source, None)
            if not group.is_empty:
                self.groups[group.source] = group

    @asynccontextmanager
    async def discovering(self, config):
        task = asyncio.create_task(self.factory(config).run(self.publish))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    def addresses_without(self, prefix):
        """Source, its ``prefix`` left out → the addresses of its targets."""
        return {
            source.removeprefix(prefix): [target["__address__"] for target in group.targets]
            for source, group in self.groups.items()
        }
