from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from promscout.discovery.kubernetes.config import KubernetesSDConfig, Role
from promscout.discovery.kubernetes.discoverer import KubernetesDiscoverer
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.kube.informer import SharedInformers

KUBECONFIG = """
current-context: x
contexts: [{name: x, context: {cluster: c}}]
clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]
"""


async def test_a_config_without_usable_access_counts_as_failed_until_it_is_or_is_gone(tmp_path):
    registry = CollectorRegistry()
    metrics = DiscoveryMetrics(registry)
    path = tmp_path / "kubeconfig"
    config = KubernetesSDConfig(role=Role.POD, kubeconfig_file=str(path))

    def failed():
        return registry.get_sample_value("prometheus_sd_failed_configs", {"name": "scrape"})

    async with SharedInformers(metrics) as informers:
        first, second = (
            asyncio.create_task(KubernetesDiscoverer(config, informers, metrics, strict=False).run(lambda _: None))
            for _ in range(2)
        )
        assert failed() == 0
        await asyncio.sleep(5)
        assert failed() == 2, "each once, however often it was tried"
        first.cancel()
        await asyncio.wait({first})
        assert failed() == 1
        path.write_text(KUBECONFIG)
        await asyncio.sleep(60)
        assert failed() == 0
        second.cancel()
        await asyncio.wait({second})
    assert failed() == 0
