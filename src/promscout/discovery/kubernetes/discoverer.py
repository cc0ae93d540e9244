"""Discovers one role of one cluster."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from promscout.discovery.discoverer import Publish
from promscout.discovery.kubernetes.collection import Needs
from promscout.discovery.kubernetes.config import KubernetesSDConfig
from promscout.discovery.kubernetes.roles import RoleGroups
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.errors import InvalidValueError
from promscout.kube.access import ClusterAccess, access_by_kubeconfig, access_in_cluster
from promscout.kube.backoff import Backoff
from promscout.kube.informer import SharedInformers
from promscout.kube.workqueue import WorkQueue
from promscout.logs import EventLog
from promscout.model.group import TargetGroup

BUILD_SLICE: Final = 2000
"""Targets built in one go, so that a first list of thousands of objects holds up nobody."""

_log = EventLog("promscout.discovery.kubernetes")


class KubernetesFactory:
    """Makes Kubernetes discoverers that share informers and metrics."""

    def __init__(self, informers: SharedInformers, metrics: DiscoveryMetrics, *, strict: bool = False) -> None:
        self._informers = informers
        self._metrics = metrics
        self._strict = strict

    def __call__(self, config: KubernetesSDConfig) -> KubernetesDiscoverer:
        """The discoverer of ``config``."""
        return KubernetesDiscoverer(config, self._informers, self._metrics, strict=self._strict)


class KubernetesDiscoverer:
    """Turns the objects of one role into target groups, one per object.

    Guarantees: nothing is published before the lists of the role's own objects are complete; then everything at once,
    then single groups as objects, or objects that they show, change. A resource that only adds labels and cannot be had
    delays nothing: its labels are missing until it can. With ``strict`` it is waited for, as Prometheus does.

    ``needs`` holds the informers in use, or is None before access to the API server is known.
    """

    def __init__(
        self, config: KubernetesSDConfig, informers: SharedInformers, metrics: DiscoveryMetrics, *, strict: bool
    ) -> None:
        self._config = config
        self._informers = informers
        self._metrics = metrics
        self._strict = strict
        self.needs: Needs | None = None

    async def run(self, publish: Publish) -> None:
        """Publish groups until cancelled."""
        access = await self._access()
        queue = WorkQueue(self._metrics.kubernetes_queue(self._config.role))
        with closing(queue), Needs(self._informers, access, self._config) as self.needs:
            needs = self.needs
            groups = RoleGroups(needs, self._config, queue, self._metrics)
            await needs.wait(strict=self._strict)
            # What arrived with the first lists is published as one; from here on the queue tells what changed.
            queue.take_all()
            publish(await _build(groups, groups.keys()))
            queue.done()
            loop, event_to_group = asyncio.get_running_loop(), self._metrics.event_to_group[self._config.role]
            while True:
                keys = await queue.take()
                publish(await _build(groups, tuple(keys)))
                queue.done()
                now = loop.time()
                for since in keys.values():
                    event_to_group.observe(now - since)

    async def _access(self) -> ClusterAccess:
        """How to reach the cluster, as soon as the files that say so can be used."""
        backoff = Backoff()
        try:
            while True:
                try:
                    return access_of(self._config)
                except InvalidValueError as error:
                    if not backoff.failures:
                        self._metrics.failed_configs.inc()
                    pause = backoff.next()
                    self._metrics.failed("access")
                    _log.error("no access to the API server", role=self._config.role, error=str(error), pause=pause)
                    await asyncio.sleep(pause)
        finally:
            if backoff.failures:
                self._metrics.failed_configs.dec()


def access_of(config: KubernetesSDConfig) -> ClusterAccess:
    """The access that ``config`` describes: ``kubeconfig_file``, ``api_server``, or the pod's service account.

    Raises:
        InvalidValueError: a file is missing or unusable.
    """
    if config.kubeconfig_file:
        return access_by_kubeconfig(Path(config.kubeconfig_file))
    if config.api_server:
        return ClusterAccess(config.api_server, config.http_client_config())
    access = access_in_cluster()
    if config.namespaces.own_namespace and not access.own_namespace:
        raise InvalidValueError("could not determine the pod's namespace: the service account has no namespace file")
    return access


async def _build(groups: RoleGroups, keys: Sequence[str]) -> list[TargetGroup]:
    """The groups of ``keys``. What changes meanwhile is queued and comes later, so nothing is missed."""
    found: list[TargetGroup] = []
    size = 0
    for key in keys:
        if size >= BUILD_SLICE:
            await asyncio.sleep(0)
            size = 0
        group = groups.build(key)
        if group is not None:
            found.append(group)
            size += max(1, len(group.targets))
    return found
