"""Which resources each role needs, which events touch which group, and how a group is built from the stores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from promscout.discovery.kubernetes.collection import Collection, Needs
from promscout.discovery.kubernetes.config import AttachMetadata, KubernetesSDConfig, Role
from promscout.discovery.kubernetes.endpoints import build_endpoints
from promscout.discovery.kubernetes.endpointslice import build_endpoint_slice
from promscout.discovery.kubernetes.ingress import build_ingress
from promscout.discovery.kubernetes.joined import Joined, Lookup
from promscout.discovery.kubernetes.node import build_node
from promscout.discovery.kubernetes.pod import build_pod
from promscout.discovery.kubernetes.service import build_service
from promscout.discovery.kubernetes.uses import Uses
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.kube.objects import KubeObject
from promscout.kube.resource import (
    ENDPOINT_SLICES,
    ENDPOINTS,
    INGRESSES,
    JOBS,
    NAMESPACES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    Resource,
)
from promscout.kube.workqueue import WorkQueue
from promscout.model.group import TargetGroup

T = TypeVar("T", bound=KubeObject)


@dataclass(frozen=True, slots=True)
class RoleSpec(Generic[T]):
    """A role: the resource whose objects become groups, and what else their groups may show.

    ``prefix`` starts the groups' sources. ``shows_pods``: its targets may show the nodes and owners of pods.
    ``joins_services``: its targets show the service and the pods that they belong to.
    """

    resource: Resource[T]
    prefix: str
    build: Callable[[str, T, Joined], TargetGroup | None]
    namespaced: bool = True
    shows_pods: bool = False
    joins_services: bool = False


ROLES: Final[dict[Role, RoleSpec[Any]]] = {
    Role.NODE: RoleSpec(NODES, "node", build_node, namespaced=False),
    Role.POD: RoleSpec(PODS, "pod", build_pod, shows_pods=True),
    Role.SERVICE: RoleSpec(SERVICES, "svc", build_service),
    Role.ENDPOINTS: RoleSpec(ENDPOINTS, "endpoints", build_endpoints, shows_pods=True, joins_services=True),
    Role.ENDPOINTSLICE: RoleSpec(
        ENDPOINT_SLICES, "endpointslice", build_endpoint_slice, shows_pods=True, joins_services=True
    ),
    Role.INGRESS: RoleSpec(INGRESSES, "ingress", build_ingress),
}


class RoleGroups:
    """One role's groups over its stores.

    Guarantees: a change of an object of the role, or of one that a group shows, queues exactly the keys of the groups
    that show it; ``build`` reads the stores as they are at that moment.
    """

    def __init__(self, needs: Needs, config: KubernetesSDConfig, queue: WorkQueue, metrics: DiscoveryMetrics) -> None:
        self._spec = ROLES[config.role]
        self._needs = needs
        self._queue = queue
        self._events = metrics.kubernetes_events
        self._uses = Uses()
        self._objects = needs.collection(
            self._spec.resource, config.role, namespaced=self._spec.namespaced, optional=False
        )
        needs.on_change(self._objects, self._object_changed(config.role))
        self._joined = self._join(config.attach_metadata)

    def keys(self) -> tuple[str, ...]:
        """The key of every object."""
        return tuple(self._objects)

    def build(self, key: str) -> TargetGroup | None:
        """The group of ``key``: empty if the object is gone, None to leave the last one."""
        source = f"{self._spec.prefix}/{key}"
        obj = self._objects.get(key)
        self._uses.begin()
        group = TargetGroup(source) if obj is None else self._spec.build(source, obj, self._joined)
        self._uses.end(key)
        return group

    def _join(self, attach: AttachMetadata) -> Joined:
        spec = self._spec
        found: dict[str, Any] = {}
        if attach.node and spec.shows_pods:
            nodes = self._dependency(found, "node", NODES, Role.NODE, namespaced=False, shown=_metadata)
            found["nodes_are_complete"] = lambda: nodes.synced
            # Which pods a node selector filters is known only now.
            self._needs.on_synced(nodes, self._queue_all)
        if attach.namespace and spec.namespaced:
            self._dependency(found, "namespace", NAMESPACES, None, namespaced=False, shown=_metadata)
        if attach.deployment and spec.shows_pods:
            self._dependency(found, "replica_set", REPLICA_SETS, None)
        if attach.cronjob and spec.shows_pods:
            self._dependency(found, "job", JOBS, None)
        if spec.joins_services:
            self._dependency(found, "service", SERVICES, Role.SERVICE, events=Role.SERVICE)
            found["derive_pod"] = self._dependency(found, "pod", PODS, Role.POD, events=Role.POD).derived
        elif spec.shows_pods:
            found["derive_pod"] = self._objects.derived
        return Joined(job_names=attach.job, **found)

    def _dependency(
        self,
        found: dict[str, Any],
        name: str,
        resource: Resource[T],
        role: Role | None,
        *,
        namespaced: bool = True,
        shown: Callable[[T], object] | None = None,
        events: Role | None = None,
    ) -> Collection[T]:
        """Join ``resource`` under ``name``; ``shown`` gives the part that groups show, everything if not given."""
        collection = self._needs.collection(resource, role, namespaced=namespaced)
        uses, get = self._uses, collection.get

        def look_up(key: str) -> T | None:
            uses.record((name, key))
            return get(key)

        def changed(key: str, before: T | None, now: T | None) -> None:
            if events is not None:
                self._events[events][_event(before, now)].inc()
            if shown is not None and before is not None and now is not None and shown(before) == shown(now):
                return
            for user in uses.users((name, key)):
                self._queue.add(user)

        self._needs.on_change(collection, changed)
        lookup: Lookup[T] = look_up
        found[name] = lookup
        return collection

    def _object_changed(self, role: Role) -> Callable[[str, KubeObject | None, KubeObject | None], None]:
        counters = self._events[role]

        def changed(key: str, before: KubeObject | None, now: KubeObject | None) -> None:
            counters[_event(before, now)].inc()
            self._queue.add(key)

        return changed

    def _queue_all(self) -> None:
        for key in self.keys():
            self._queue.add(key)


def _event(before: object | None, now: object | None) -> str:
    return "add" if before is None else "delete" if now is None else "update"


def _metadata(obj: KubeObject) -> object:
    return (obj.metadata.labels, obj.metadata.annotations)
