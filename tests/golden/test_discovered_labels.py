"""All roles against what Prometheus 3.5.3 discovered from the same real cluster: discovered-labels.json."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from promscout.config.loader import parse_config
from promscout.discovery.kubernetes.config import KubernetesSDConfig
from promscout.discovery.kubernetes.discoverer import KubernetesFactory
from promscout.discovery.manager import DiscoveryManager
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.kube.informer import SharedInformers
from promscout.scrape.target_builder import TargetBuilder

GOLDEN = Path(__file__).parent
EXPECTED = json.loads((GOLDEN / "discovered-labels.json").read_text())
NEWER_THAN_THE_RECORDING = ("__meta_kubernetes_node_condition_",)  # not in 3.5, in 3.14
JOBS = list(EXPECTED)


def _config(url):
    document = yaml.safe_load((GOLDEN / "prometheus.yml").read_text())
    jobs = [job for job in document["scrape_configs"] if job["job_name"] in JOBS]
    for job in jobs:
        job["kubernetes_sd_configs"][0]["api_server"] = url
    return parse_config(yaml.safe_dump({**document, "scrape_configs": jobs}), "prometheus.yml")


async def test_every_role_discovers_what_prometheus_does(recorded_cluster):
    config = _config(recorded_cluster.url)
    metrics = DiscoveryMetrics(CollectorRegistry())
    found = {}
    async with SharedInformers(metrics) as informers:
        factories = {KubernetesSDConfig: KubernetesFactory(informers, metrics)}
        async with DiscoveryManager(factories, metrics) as manager, asyncio.timeout(10):
            manager.apply_config({job.scrape.job_name: job.discovery for job in config.jobs})
            while len(found) < len(JOBS):
                found |= await manager.receive()
            watches = len(informers.informers)
    assert watches == 15, "one for each distinct resource, namespace and selector in the configuration"
    for job in config.jobs:
        name, builder = job.scrape.job_name, TargetBuilder(job.scrape)
        labels = [
            {
                label: value
                for label, value in builder.discovered_labels(group, position).items()
                if value and not label.startswith(NEWER_THAN_THE_RECORDING)
            }
            for group in found[name].values()
            for position in range(len(group.targets))
        ]
        assert sorted(map(sorted, (one.items() for one in labels))) == sorted(
            map(sorted, (one.items() for one in EXPECTED[name]))
        ), name
