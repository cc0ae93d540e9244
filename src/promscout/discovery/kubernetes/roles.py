"""Which informers each role needs, which events touch which group, and how a group is built from the stores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any, Final, Protocol, Self, TypeVar

from promscout.discovery.kubernetes.config import KubernetesSDConfig, Role
from promscout.discovery.kubernetes.node import build_node, node_source
from promscout.discovery.kubernetes.pod import build_pod, pod_source
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.kube.access import ClusterAccess
from promscout.kube.informer import Informer, SharedInformers
from promscout.kube.objects import KubeObject, Node, Pod
from promscout.kube.resource import NODES, PODS, Resource, Scope
from promscout.kube.workqueue import WorkQueue
from promscout.model.group import TargetGroup

T = TypeVar("T", bound=KubeObject)

_PODS_BY_NODE: Final = "node"


class Needs:
    """The informers that one discoverer holds, as a context manager that gives them back."""

    def __init__(self, shared: SharedInformers, access: ClusterAccess, config: KubernetesSDConfig) -> None:
        self._shared = shared
        self._access = access
        self._config = config
        self._held: list[Informer[Any]] = []
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._exit.close()

    def cluster(self, role: Role, resource: Resource[T]) -> Informer[T]:
        """An informer of the whole cluster, with the selectors that the config has for ``role``."""
        return self._acquire(role, resource, "")

    def namespaced(self, role: Role, resource: Resource[T]) -> dict[str, Informer[T]]:
        """An informer for each configured namespace, by its name; one under ``""`` for all namespaces."""
        names = list(self._config.namespaces.names)
        if self._config.namespaces.own_namespace and self._access.own_namespace:
            names.append(self._access.own_namespace)
        return {name: self._acquire(role, resource, name) for name in dict.fromkeys(names or [""])}

    def on_change(self, informer: Informer[T], handler: Callable[[str, T | None, T | None], None]) -> None:
        """Call ``handler`` at every change of the informer's store while it is held."""
        self._exit.callback(informer.store.subscribe(handler))

    async def wait_synced(self) -> None:
        """Wait until every informer has its first complete list."""
        for informer in self._held:
            await informer.wait_synced()

    def _acquire(self, role: Role, resource: Resource[T], namespace: str) -> Informer[T]:
        selector = next((one for one in self._config.selectors if one.role == role), None)
        scope = Scope(namespace, selector.label if selector else "", selector.field if selector else "")
        informer = self._shared.acquire(self._access, resource, scope)
        self._held.append(informer)
        self._exit.callback(self._shared.release, informer)
        return informer


class RoleGroups(Protocol):
    """A role's view of its stores: which keys there are, and the group of a key."""

    def keys(self) -> Iterable[str]:
        """Every key that has a group now."""
        ...

    def build(self, key: str) -> TargetGroup | None:
        """The group of ``key`` from what the stores hold now; empty if it is gone; None to leave the last one."""
        ...


class PodGroups:
    """Role ``pod``: a group per pod; with node metadata, a node's labels touch the groups of its pods."""

    def __init__(self, needs: Needs, config: KubernetesSDConfig, queue: WorkQueue, metrics: DiscoveryMetrics) -> None:
        self._pods = needs.namespaced(Role.POD, PODS)
        self._nodes = needs.cluster(Role.NODE, NODES) if config.attach_metadata.node else None
        self._queue = queue
        self._metrics = metrics
        for pods in self._pods.values():
            needs.on_change(pods, self._pod_changed)
            if self._nodes is not None:
                pods.store.add_index(_PODS_BY_NODE, lambda pod: (pod.spec.node_name,))
        if self._nodes is not None:
            needs.on_change(self._nodes, self._node_changed)

    def keys(self) -> Iterator[str]:
        """The key of every pod."""
        for pods in self._pods.values():
            yield from pods.store

    def build(self, key: str) -> TargetGroup:
        """The group of one pod."""
        pods = self._pods.get("") or self._pods[key.partition("/")[0]]
        pod = pods.store.get(key)
        if pod is None:
            return TargetGroup(pod_source(key))
        if self._nodes is None:
            return build_pod(key, pod)
        return build_pod(key, pod, node=self._nodes.store.get(pod.spec.node_name), with_node=True)

    def _pod_changed(self, key: str, before: Pod | None, now: Pod | None) -> None:
        _count(self._metrics, Role.POD, before, now)
        self._queue.add(key)

    def _node_changed(self, key: str, before: Node | None, now: Node | None) -> None:
        if before is not None and now is not None and _same_metadata(before, now):
            return
        for pods in self._pods.values():
            for pod in pods.store.by_index(_PODS_BY_NODE, key):
                self._queue.add(pod)


class NodeGroups:
    """Role ``node``: a group per node."""

    def __init__(self, needs: Needs, config: KubernetesSDConfig, queue: WorkQueue, metrics: DiscoveryMetrics) -> None:
        self._nodes = needs.cluster(config.role, NODES)
        self._queue = queue
        self._metrics = metrics
        needs.on_change(self._nodes, self._node_changed)

    def keys(self) -> Iterator[str]:
        """The name of every node."""
        return iter(self._nodes.store)

    def build(self, key: str) -> TargetGroup | None:
        """The group of one node."""
        node = self._nodes.store.get(key)
        return TargetGroup(node_source(key)) if node is None else build_node(key, node)

    def _node_changed(self, key: str, before: Node | None, now: Node | None) -> None:
        _count(self._metrics, Role.NODE, before, now)
        self._queue.add(key)


ROLES: Final[dict[Role, Callable[[Needs, KubernetesSDConfig, WorkQueue, DiscoveryMetrics], RoleGroups]]] = {
    Role.POD: PodGroups,
    Role.NODE: NodeGroups,
}


def _count(metrics: DiscoveryMetrics, role: Role, before: object | None, now: object | None) -> None:
    event = "add" if before is None else "delete" if now is None else "update"
    metrics.kubernetes_events[role.value][event].inc()


def _same_metadata(before: KubeObject, now: KubeObject) -> bool:
    """Whether what other objects' groups show of this object is unchanged."""
    return before.metadata.labels == now.metadata.labels and before.metadata.annotations == now.metadata.annotations
