"""All six roles while objects of all nine kinds come, change and go: promscout, Prometheus and a rebuild agree.

Nothing is ever scraped: every job drops all its targets, and what is compared are the labels before that.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress

import msgspec
import pytest
import yaml
from prometheus_client import CollectorRegistry

from differential.odd_objects import KINDS, TOUCHED, Script
from e2e.promscout_process import until
from promscout.config.loader import parse_config
from promscout.discovery.kubernetes.config import AttachMetadata, KubernetesSDConfig, Role
from promscout.discovery.kubernetes.discoverer import KubernetesFactory
from promscout.discovery.kubernetes.joined import Joined, nothing
from promscout.discovery.kubernetes.roles import ROLES
from promscout.discovery.manager import DiscoveryManager
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.kube import resource as kube
from promscout.kube.events import decode_event
from promscout.kube.informer import SharedInformers
from promscout.kube.objects import object_key
from promscout.scrape.target_builder import TargetBuilder
from promscout.sim import SimCluster

STEPS = 500  # changes between two comparisons
ROUNDS = 2
QUIET = 10.0  # seconds within which promscout must have seen the last change
TOUCHES = 4
AFTER_TOUCH = 6.5  # seconds; Prometheus passes discovered groups on every 5 s

# Known gaps between Prometheus 3.14, which promscout follows, and the Prometheus compared with here (3.5.3).


def _conditions_of_nodes(_job, labels):
    """3.5 has no labels of node conditions."""
    return {name: value for name, value in labels.items() if "kubernetes_node_condition_" not in name}


def _status_of_load_balancers(_job, labels):
    """3.5 shows the address that a service asks for, not those that its status says it got."""
    if labels.get("__meta_kubernetes_service_name") == "lb-given":
        labels.pop("__meta_kubernetes_service_loadbalancer_ip", None)
    return labels


def _second_family_of_dual_stack(_job, labels):
    """3.5 makes targets of both address families of a dual-stack service."""
    is_slice_of_dual = labels.get("__meta_kubernetes_endpointslice_label_kubernetes_io_service_name") == "dual"
    second = labels.get("__meta_kubernetes_endpointslice_address_type") == "IPv6"
    return None if is_slice_of_dual and second else labels


def _pods_of_unknown_nodes(job, labels):
    """3.5 keeps a pod whose node does not exist, without node labels, where node metadata is asked for."""
    return labels if job != "pod-node" or "__meta_kubernetes_node_name" in labels else None


def _touch_marks(_job, labels):
    """Prometheus (3.14, too) rebuilds the targets of endpoints when their own objects change, but for few changes of
    pods; ``Script.touch`` makes it do so, and leaves a mark that differs while that is under way.
    """
    return {name: value for name, value in labels.items() if not name.endswith(f"_{TOUCHED}")}


GAPS = (
    _conditions_of_nodes,
    _status_of_load_balancers,
    _second_family_of_dual_stack,
    _pods_of_unknown_nodes,
    _touch_marks,
)
# Besides, 3.5 cannot attach the metadata of namespaces, deployments, jobs and cron jobs: these are compared with a
# rebuild only. And where a job names several namespaces, Prometheus (3.14, too) does not know a pod of one that an
# endpoint of another refers to, but promscout does: pods beyond the own namespace are all in "data", which no such job
# of an endpoints role names.

JOBS = {
    **{role.value: {"role": role.value} for role in Role},
    "pod-node": {"role": "pod", "attach_metadata": {"node": True}},
    "endpoints-node": {"role": "endpoints", "attach_metadata": {"node": True}},
    "endpointslice-node": {"role": "endpointslice", "attach_metadata": {"node": True}},
    "pod-in-two": {"role": "pod", "namespaces": {"names": ["shop", "data"]}},
    "service-in-one": {"role": "service", "namespaces": {"names": ["infra"]}},
    "endpoints-in-two": {"role": "endpoints", "namespaces": {"names": ["shop", "infra"]}},
    "endpointslice-selected": {
        "role": "endpointslice",
        "selectors": [
            {"role": "pod", "label": "app in (a, b)"},
            {"role": "service", "label": "app"},
            {"role": "endpointslice", "label": "app!=c"},
        ],
    },
}


def configuration(cluster):
    return {
        "global": {"scrape_interval": "1h"},
        "scrape_configs": [
            {
                "job_name": name,
                "kubernetes_sd_configs": [{**options, "api_server": cluster.url}],
                "relabel_configs": [{"action": "drop"}],
            }
            for name, options in JOBS.items()
        ],
    }


class Rebuild:
    """Groups from scratch: the builders over the simulated cluster's own objects."""

    def __init__(self, store):
        self._store = store

    def groups(self, role):
        """With all metadata attached that there is."""
        objects = {resource: self._objects(resource) for resource in BY_PLURAL.values()}
        spec = ROLES[role]

        def get(resource):
            return objects[resource].get

        everything = Joined(
            node=get(kube.NODES) if spec.shows_pods else None,
            namespace=get(kube.NAMESPACES) if spec.namespaced else None,
            replica_set=get(kube.REPLICA_SETS),
            job=get(kube.JOBS),
            job_names=True,
            service=get(kube.SERVICES) if spec.joins_services else nothing,
            pod=get(kube.PODS) if spec.joins_services else nothing,
        )
        built = (spec.build(f"{spec.prefix}/{key}", obj, everything) for key, obj in objects[spec.resource].items())
        return {group.source: _flat(group) for group in built if group is not None and not group.is_empty}

    def _objects(self, resource):
        stored = self._store.list(SIM_OF[resource.plural])
        lines = (msgspec.json.encode({"type": "ADDED", "object": one.decode()}) for one in stored)
        return {object_key(obj): obj for obj in (decode_event(line, resource).object for line in lines)}


SIM_OF = {one.plural: one for one in KINDS}
BY_PLURAL = {
    one.plural: one
    for one in (
        *(spec.resource for spec in ROLES.values()),
        kube.NAMESPACES,
        kube.REPLICA_SETS,
        kube.JOBS,
    )
}


def _flat(group):
    """What a group says, however it shares dicts."""
    return [group.labels_of(position) for position in range(len(group.targets))]


class Ours:
    """promscout's discovery in this process: ``config``'s jobs, and each role with all metadata attached."""

    EVERYTHING = AttachMetadata(node=True, namespace=True, deployment=True, job=True, cronjob=True)

    def __init__(self, manager, config):
        self._manager = manager
        self._builders = {job.scrape.job_name: TargetBuilder(job.scrape) for job in config.jobs}

    @classmethod
    @asynccontextmanager
    async def running(cls, config, url):
        metrics = DiscoveryMetrics(CollectorRegistry())
        jobs = {job.scrape.job_name: job.discovery for job in config.jobs}
        full = {
            f"all/{role}": [KubernetesSDConfig(role=role, api_server=url, attach_metadata=cls.EVERYTHING)]
            for role in Role
        }
        async with SharedInformers(metrics) as informers:
            factories = {KubernetesSDConfig: KubernetesFactory(informers, metrics)}
            async with DiscoveryManager(factories, metrics) as manager:
                manager.apply_config({**jobs, **full})
                yield cls(manager, config)

    def targets(self):
        """(job, discovered labels) of every target of the configuration's jobs."""
        for provider in self._manager.providers:
            for job in provider.jobs & self._builders.keys():
                for group in provider.groups.values():
                    for position in range(len(group.targets)):
                        yield job, self._builders[job].discovered_labels(group, position)

    def full(self, role):
        """The groups of a role with all metadata, by source; None before they are known."""
        provider = next(one for one in self._manager.providers if f"all/{role}" in one.jobs)
        return {source: _flat(group) for source, group in provider.groups.items()} if provider.synced else None


def comparable(targets):
    """A multiset of (job, labels), without what is known to differ."""
    found = Counter()
    for job, labels in targets:
        known = {name: value for name, value in labels.items() if value}
        for gap in GAPS:
            if known is not None:
                known = gap(job, known)
        if known is not None:
            found[job, tuple(sorted(known.items()))] += 1
    return found


def difference(ours, theirs):
    """Empty when equal; else how many only one has, and for the first few in what labels they differ."""
    mine, other = sorted((ours - theirs).elements()), sorted((theirs - ours).elements())
    shown = [(a[0], set(a[1]) - set(b[1]), set(b[1]) - set(a[1])) for a, b in zip(mine, other, strict=False)][:5]
    return {"ours": len(mine), "theirs": len(other), "differ in": shown} if mine or other else {}


class Watchers:
    """promscout and Prometheus, both watching since before the first object."""

    def __init__(self, script, ours, theirs):
        self.script = script
        self.ours = ours
        self.theirs = theirs
        self._touches = 0

    async def agree(self):
        """Both have the same targets, and promscout those of a rebuild, by itself."""
        rebuild = Rebuild(self.script.store)
        for role in Role:
            expected = rebuild.groups(role)
            await until(
                lambda role=role, expected=expected: self.ours.full(role) == expected, QUIET, f"{role} is rebuilt"
            )
        found = {}
        for _ in range(TOUCHES):
            self._touches += 1
            self.script.touch(str(self._touches))
            with suppress(AssertionError):
                await until(lambda: self._equal(found), AFTER_TOUCH, "both have the same targets")
                return found["theirs"]
        raise AssertionError(found["difference"])

    async def _equal(self, found):
        answer = await self.theirs.targets()
        assert not answer["activeTargets"], "every job drops its targets"
        found["theirs"] = comparable((one["scrapePool"], one["discoveredLabels"]) for one in answer["droppedTargets"])
        found["difference"] = difference(comparable(self.ours.targets()), found["theirs"])
        return not found["difference"]


@pytest.fixture
async def cluster():
    async with SimCluster() as cluster:
        yield cluster


@pytest.mark.parametrize("seed", [1, 2])
async def test_promscout_prometheus_and_a_rebuild_agree_whenever_the_cluster_is_quiet(cluster, prometheus, seed):
    config = configuration(cluster)
    theirs = await prometheus(config)
    async with Ours.running(parse_config(yaml.safe_dump(config), "prometheus.yml"), cluster.url) as ours:
        watchers = Watchers(Script(cluster.store, seed), ours, theirs)
        seen = Counter()
        for _ in range(ROUNDS):
            for _ in range(STEPS):
                watchers.script.step()
                await asyncio.sleep(0.001)
            agreed = await watchers.agree()
            seen.update(job for job, _ in agreed.elements())
        assert seen.keys() == JOBS.keys(), "every job must have found something"
