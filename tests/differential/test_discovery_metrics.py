"""The same cluster: what dashboards know of Prometheus's Kubernetes discovery is here under the same names."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from e2e.promscout_process import Promscout, until
from promscout.sim import SimCluster
from promscout.sim.churn import set_label
from promscout.sim.demo_population import populate_demo
from promscout.sim.resources import NODES, PODS

ROLES = ("pod", "endpointslice", "endpoints", "service", "node", "ingress")
SHARED = ("prometheus_sd_failed_configs", "prometheus_sd_received_updates", "prometheus_sd_updates")
OTHER_MANAGER = "notify"  # Prometheus discovers Alertmanagers by a manager of its own


def configuration(cluster):
    """Jobs that drop all they discover: it is looked at, not scraped."""

    def job(name, role, **options):
        discovery = {"role": role, "api_server": cluster.url, **options}
        return {"job_name": name, "kubernetes_sd_configs": [discovery], "relabel_configs": [{"action": "drop"}]}

    everywhere = [job(role, role) for role in ROLES]
    return {"scrape_configs": [*everywhere, job("some", "pod", namespaces={"names": ["shop"]})]}


async def families(program):
    """The families of Kubernetes discovery and of the manager, by name: type, and the label sets of its samples."""
    text = await program.request("GET", "/metrics", headers={"Accept": "text/plain"})
    return {
        one.name: (
            one.type,
            {
                tuple(sorted(sample.labels.items()))
                for sample in one.samples
                if sample.labels.get("name") != OTHER_MANAGER
            },
        )
        for one in text_string_to_metric_families(text)
        if one.name.startswith(("prometheus_sd_kubernetes_", *SHARED))
    }


async def value(program, name, **labels):
    text = await program.request("GET", "/metrics", headers={"Accept": "text/plain"})
    return sum(
        sample.value
        for one in text_string_to_metric_families(text)
        for sample in one.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


@pytest.fixture
async def cluster():
    async with SimCluster(live=True) as cluster:
        populate_demo(cluster.store)
        await cluster.settled()
        yield cluster


async def test_families_types_and_label_sets_are_those_of_prometheus(cluster, prometheus, tmp_path):
    config = configuration(cluster)
    theirs = await prometheus(config)
    async with Promscout(tmp_path, config) as ours:
        items = "prometheus_sd_kubernetes_workqueue_work_duration_seconds_count"
        nodes = len(cluster.store.list(NODES))
        for program in (theirs, ours):
            for role in ROLES:
                await until(lambda one=program, role=role: _some(one, items, role), 20, f"{program} has role {role}")
            await until(lambda one=program: _is(nodes, one, items, queue_name="node"), 20, f"{program} has all nodes")
        found = await families(ours)
        # Streaming lists are no requests whose duration is measured; Prometheus does not even name the family then.
        assert found.pop("prometheus_sd_kubernetes_http_request_duration_seconds") == ("summary", set())
        assert found == await families(theirs)

        in_shop = [pod.namespace == "shop" for pod in cluster.store.list(PODS)]
        worked_off = len(in_shop) + sum(in_shop) + 1
        set_label(cluster.store, next(pod for pod in cluster.store.list(PODS) if pod.namespace != "shop"), "step", "1")
        expected = {
            "items_total": worked_off,
            "latency_seconds_count": worked_off,
            "depth": 0,
            "unfinished_work_seconds": 0,
            "longest_running_processor_seconds": 0,
        }
        for program in (theirs, ours):
            await until(
                lambda one=program: _is(worked_off, one, items, queue_name="pod"), 20, f"{program} has all pods"
            )
            for name, number in expected.items():
                found = await value(program, f"prometheus_sd_kubernetes_workqueue_{name}", queue_name="pod")
                assert found == number, (program, name)


async def _some(program, name, role):
    return await value(program, name, queue_name=role) > 0


async def _is(expected, program, name, **labels):
    return await value(program, name, **labels) == expected
