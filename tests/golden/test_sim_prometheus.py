"""A real Prometheus finds in the simulated cluster what it found in the real one: discovered-labels.json."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
import yaml

GOLDEN = Path(__file__).parent
EXPECTED = json.loads((GOLDEN / "discovered-labels.json").read_text())


@pytest.fixture
def cluster(recorded_cluster):
    return recorded_cluster


def _config(url):
    document = yaml.safe_load((GOLDEN / "prometheus.yml").read_text())
    for job in document["scrape_configs"]:
        assert any(rule["action"] == "drop" for rule in job["relabel_configs"]), "nothing is ever scraped"
        for discovery in job["kubernetes_sd_configs"]:
            discovery["api_server"] = url
            discovery.pop("authorization", None)
            discovery.pop("tls_config", None)
    return document


def _by_job(labels):
    found = {job: Counter() for job in EXPECTED}
    for one in labels:
        found[one["job"]][frozenset(one.items())] += 1
    return found


async def test_prometheus_discovers_in_the_simulation_what_it_did_in_the_real_cluster(cluster, prometheus):
    wanted = {job: Counter(frozenset(one.items()) for one in labels) for job, labels in EXPECTED.items()}
    peer = await prometheus(_config(cluster.url))
    found = None
    async with asyncio.timeout(40):
        while found != wanted:
            await asyncio.sleep(0.3)
            found = _by_job(one["discoveredLabels"] for one in (await peer.targets())["droppedTargets"])
            if sum(map(Counter.total, found.values())) >= sum(map(Counter.total, wanted.values())):
                break
    for job, labels in wanted.items():
        assert found[job] == labels, job
    assert cluster.apiserver.open_watches > 0
