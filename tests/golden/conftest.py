"""The recorded cluster, served again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from promscout.sim import SimCluster
from promscout.sim.resources import RESOURCES

LISTS = Path(__file__).parent / "apiserver" / "lists"
REVISION = 334  # of every recorded list


@pytest.fixture
async def recorded_cluster() -> AsyncIterator[SimCluster]:
    """A simulated cluster with exactly the recorded objects."""
    cluster = SimCluster(bookmark_interval=0.05)
    for resource in RESOURCES:
        recorded = LISTS / f"{resource.plural}.json"
        if recorded.exists():
            cluster.store.load(resource, json.loads(recorded.read_text())["items"], REVISION)
    async with cluster:
        yield cluster
