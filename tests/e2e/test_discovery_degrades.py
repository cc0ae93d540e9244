"""Kubernetes discovery where the account may not see everything."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from harness.waiting import until
from promscout.discovery.kubernetes.config import AttachMetadata, KubernetesSDConfig, Role
from promscout.discovery.kubernetes.discoverer import KubernetesFactory
from promscout.discovery.kubernetes.status import WatchCollector, WatchState, degradations, watch_statuses
from promscout.discovery.manager import DiscoveryManager
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.kube.informer import SharedInformers
from promscout.sim import SimCluster, populate_demo

ALL = AttachMetadata(node=True, namespace=True, deployment=True, job=True, cronjob=True)
OPTIONAL = {
    Role.POD: ("nodes", "namespaces", "replicasets", "jobs"),
    Role.SERVICE: ("namespaces",),
    Role.ENDPOINTS: ("nodes", "namespaces", "replicasets", "jobs", "services", "pods"),
    Role.ENDPOINTSLICE: ("nodes", "namespaces", "replicasets", "jobs", "services", "pods"),
    Role.INGRESS: ("namespaces",),
}


@pytest.fixture
async def cluster():
    cluster = SimCluster(live=True)
    populate_demo(cluster.store)
    async with cluster:
        await cluster.settled()
        yield cluster


@asynccontextmanager
async def _discovering(cluster, role, *, strict=False):
    metrics = DiscoveryMetrics(CollectorRegistry())
    async with SharedInformers(metrics) as informers:
        factories = {KubernetesSDConfig: KubernetesFactory(informers, metrics, strict=strict)}
        async with DiscoveryManager(factories, metrics, interval=0.01) as manager:
            config = KubernetesSDConfig(role=role, api_server=cluster.url, attach_metadata=ALL)
            manager.apply_config({"job": [config]})
            yield manager


def _groups(manager):
    return manager.providers[0].groups


@pytest.mark.parametrize(("role", "resource"), [(role, one) for role in OPTIONAL for one in OPTIONAL[role]])
async def test_a_forbidden_optional_resource_costs_its_labels_and_heals_when_it_is_granted(cluster, role, resource):
    async with _discovering(cluster, role) as manager:
        await until(lambda: manager.providers[0].synced)
        complete = dict(_groups(manager))
    assert complete
    cluster.apiserver.faults.forbidden.add(resource)
    async with _discovering(cluster, role) as manager:
        await until(lambda: manager.providers[0].synced)
        assert _groups(manager).keys() == complete.keys()
        (missing,) = degradations(watch_statuses(manager.providers))
        assert (missing.job, missing.resource, missing.reason) == ("job", resource, WatchState.FORBIDDEN)
        assert f"{resource}" in missing.error
        registry = CollectorRegistry()
        registry.register(WatchCollector(lambda: watch_statuses(manager.providers)))
        labels = {"job": "job", "resource": resource, "reason": "forbidden"}
        assert registry.get_sample_value("promscout_sd_degraded", labels) == 1
        cluster.apiserver.faults.forbidden.clear()
        await until(lambda: not degradations(watch_statuses(manager.providers)))
        await until(lambda: _groups(manager) == complete)


@pytest.mark.parametrize("role", OPTIONAL)
async def test_a_forbidden_primary_resource_says_what_is_lacking_and_gives_no_targets(cluster, role):
    plural = {Role.POD: "pods", Role.SERVICE: "services", Role.INGRESS: "ingresses"}.get(
        role, f"{role}s".replace("ss", "s")
    )
    cluster.apiserver.faults.forbidden.add(plural)
    async with _discovering(cluster, role) as manager:

        def primary():
            return next((one for one in watch_statuses(manager.providers) if one.jobs), None)

        await until(lambda: primary() is not None and primary().error)
        assert primary().state is WatchState.FORBIDDEN
        assert (
            f'cannot watch resource "{plural}"' in primary().error
            or f'cannot list resource "{plural}"' in primary().error
        )
        assert "at the cluster scope" in primary().error
        assert not manager.providers[0].synced
        cluster.apiserver.faults.forbidden.clear()
        await until(lambda: manager.providers[0].synced)


async def test_a_strict_job_waits_for_every_resource(cluster):
    cluster.apiserver.faults.forbidden.add("nodes")
    async with _discovering(cluster, Role.POD, strict=True) as manager:
        await until(lambda: degradations(watch_statuses(manager.providers))[:1] and not manager.providers[0].synced)
        await asyncio.sleep(0.5)
        assert not manager.providers[0].synced
        cluster.apiserver.faults.forbidden.clear()
        await until(lambda: manager.providers[0].synced)
        assert _groups(manager)
