"""Kubernetes objects, projected: only what labels and addresses are made of is decoded.

Everything else in the JSON (managed fields, environment, volumes, images of nodes) is skipped by the decoder and
never becomes a Python object. Decoded objects are equal when everything that discovery can show is equal:
``take_resource_version`` moves the version out, so a status heartbeat yields an equal object. None can be part of a
reference cycle, so the garbage collector need not look at them (``gc=False``). Frozen ones are values that
``StringPool`` shares between objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

import msgspec


class OwnerReference(msgspec.Struct, frozen=True, gc=False):
    """``metadata.ownerReferences[]``."""

    kind: str = ""
    name: str = ""
    controller: bool = False


class ObjectMeta(msgspec.Struct, rename="camel", gc=False):
    """``metadata`` of any object."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that manages the object, if any."""
        for owner in self.owner_references:
            if owner.controller:
                return owner
        return None


class KubeObject(Protocol):
    """What every projected object has."""

    metadata: ObjectMeta


def object_key(obj: KubeObject) -> str:
    """``namespace/name``, or ``name`` for objects of the cluster. Unique within one resource."""
    meta = obj.metadata
    return f"{meta.namespace}/{meta.name}" if meta.namespace else meta.name


def take_resource_version(obj: KubeObject) -> str:
    """Move the resource version out of ``obj``: what stays is equal unless something that discovery shows changed."""
    version, obj.metadata.resource_version = obj.metadata.resource_version, ""
    return version


class ContainerPort(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """``spec.containers[].ports[]``."""

    container_port: int = 0
    name: str = ""
    protocol: str = ""


class Container(msgspec.Struct, frozen=True, gc=False):
    """``spec.containers[]`` and ``spec.initContainers[]``."""

    name: str = ""
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()


class ContainerStatus(msgspec.Struct, gc=False):
    """``status.containerStatuses[]`` and ``status.initContainerStatuses[]``."""

    name: str = ""
    container_id: str = msgspec.field(default="", name="containerID")


class Condition(msgspec.Struct, frozen=True, gc=False):
    """``status.conditions[]`` of a pod or node."""

    type: str = ""
    status: str = ""


_READY: Final = {status: (Condition("Ready", status),) for status in ("True", "False", "Unknown")}


class PodSpec(msgspec.Struct, rename="camel", gc=False):
    """``spec`` of a pod."""

    node_name: str = ""
    containers: tuple[Container, ...] | None = ()  # null in bookmarks, which are pods without a spec
    init_containers: tuple[Container, ...] = ()


class PodStatus(msgspec.Struct, rename="camel", gc=False):
    """``status`` of a pod."""

    phase: str = ""
    host_ip: str = msgspec.field(default="", name="hostIP")
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()

    def __post_init__(self) -> None:
        # Of a pod's conditions only Ready becomes a label; probe times and the rest never matter.
        for condition in self.conditions:
            if condition.type == "Ready":
                self.conditions = _READY.get(condition.status) or (condition,)
                return
        self.conditions = ()


class Pod(msgspec.Struct, gc=False):
    """A core/v1 Pod."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    spec: PodSpec = msgspec.field(default_factory=PodSpec)
    status: PodStatus = msgspec.field(default_factory=PodStatus)


class NodeSpec(msgspec.Struct, gc=False):
    """``spec`` of a node."""

    provider_id: str = msgspec.field(default="", name="providerID")


class NodeAddress(msgspec.Struct, gc=False):
    """``status.addresses[]``."""

    type: str = ""
    address: str = ""


class DaemonEndpoint(msgspec.Struct, rename="pascal", gc=False):
    """``status.daemonEndpoints.kubeletEndpoint``: its one key is written ``Port``."""

    port: int = 0


class NodeDaemonEndpoints(msgspec.Struct, rename="camel", gc=False):
    """``status.daemonEndpoints``."""

    kubelet_endpoint: DaemonEndpoint = msgspec.field(default_factory=DaemonEndpoint)


class NodeStatus(msgspec.Struct, rename="camel", gc=False):
    """``status`` of a node."""

    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()
    daemon_endpoints: NodeDaemonEndpoints = msgspec.field(default_factory=NodeDaemonEndpoints)


class Node(msgspec.Struct, gc=False):
    """A core/v1 Node."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)


class Namespace(msgspec.Struct, gc=False):
    """A core/v1 Namespace."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)


class Owned(msgspec.Struct, gc=False):
    """An apps/v1 ReplicaSet or batch/v1 Job: of interest for its controller only."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)

    def __post_init__(self) -> None:
        # Nothing else of theirs shows, and a ReplicaSet's annotations can be large.
        self.metadata.uid = ""
        self.metadata.labels = None
        self.metadata.annotations = None


class ServicePort(msgspec.Struct, gc=False):
    """``spec.ports[]`` of a service."""

    port: int = 0
    name: str = ""
    protocol: str = ""


class ServiceSpec(msgspec.Struct, rename="camel", gc=False):
    """``spec`` of a service."""

    type: str = ""
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    external_name: str = ""
    load_balancer_ip: str = msgspec.field(default="", name="loadBalancerIP")
    ip_family_policy: str = ""
    ip_families: tuple[str, ...] = ()
    ports: tuple[ServicePort, ...] | None = ()


class LoadBalancerIngress(msgspec.Struct, gc=False):
    """``status.loadBalancer.ingress[]``."""

    ip: str = ""


class LoadBalancerStatus(msgspec.Struct, gc=False):
    """``status.loadBalancer``."""

    ingress: tuple[LoadBalancerIngress, ...] | None = ()


class ServiceStatus(msgspec.Struct, rename="camel", gc=False):
    """``status`` of a service."""

    load_balancer: LoadBalancerStatus = msgspec.field(default_factory=LoadBalancerStatus)


class Service(msgspec.Struct, gc=False):
    """A core/v1 Service."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    spec: ServiceSpec = msgspec.field(default_factory=ServiceSpec)
    status: ServiceStatus = msgspec.field(default_factory=ServiceStatus)


class ObjectReference(msgspec.Struct, gc=False):
    """``targetRef`` of an endpoint."""

    kind: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def key(self) -> str:
        """The store key of the object referred to."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class EndpointAddress(msgspec.Struct, rename="camel", gc=False):
    """``subsets[].addresses[]`` of an Endpoints object."""

    ip: str = ""
    hostname: str = ""
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A port of an Endpoints object or an EndpointSlice; only the latter may leave everything out."""

    name: str | None = None
    port: int | None = None
    protocol: str | None = None
    app_protocol: str | None = None


class EndpointSubset(msgspec.Struct, rename="camel", gc=False):
    """``subsets[]`` of an Endpoints object."""

    addresses: tuple[EndpointAddress, ...] | None = ()
    not_ready_addresses: tuple[EndpointAddress, ...] | None = ()
    ports: tuple[EndpointPort, ...] | None = ()


class Endpoints(msgspec.Struct, gc=False):
    """A core/v1 Endpoints."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    subsets: tuple[EndpointSubset, ...] | None = ()

    @property
    def addresses(self) -> Iterator[EndpointAddress]:
        """Every address, ready or not."""
        for subset in self.subsets or ():
            yield from subset.addresses or ()
            yield from subset.not_ready_addresses or ()


class EndpointConditions(msgspec.Struct, frozen=True, gc=False):
    """``endpoints[].conditions`` of an EndpointSlice."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(msgspec.Struct, rename="camel", gc=False):
    """``endpoints[]`` of an EndpointSlice."""

    addresses: tuple[str, ...] | None = ()
    conditions: EndpointConditions = msgspec.field(default_factory=EndpointConditions)
    hostname: str | None = None
    node_name: str | None = None
    zone: str | None = None
    target_ref: ObjectReference | None = None
    deprecated_topology: dict[str, str] | None = None


class EndpointSlice(msgspec.Struct, rename="camel", gc=False):
    """A discovery.k8s.io/v1 EndpointSlice."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    address_type: str = ""
    endpoints: tuple[Endpoint, ...] | None = ()
    ports: tuple[EndpointPort, ...] | None = ()


class IngressPath(msgspec.Struct, gc=False):
    """``spec.rules[].http.paths[]``."""

    path: str = ""


class IngressHTTP(msgspec.Struct, gc=False):
    """``spec.rules[].http``."""

    paths: tuple[IngressPath, ...] | None = ()


class IngressRule(msgspec.Struct, gc=False):
    """``spec.rules[]``."""

    host: str = ""
    http: IngressHTTP | None = None


class IngressTLS(msgspec.Struct, gc=False):
    """``spec.tls[]``."""

    hosts: tuple[str, ...] | None = ()


class IngressSpec(msgspec.Struct, rename="camel", gc=False):
    """``spec`` of an ingress."""

    ingress_class_name: str | None = None
    rules: tuple[IngressRule, ...] | None = ()
    tls: tuple[IngressTLS, ...] | None = ()


class Ingress(msgspec.Struct, gc=False):
    """A networking.k8s.io/v1 Ingress."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    spec: IngressSpec = msgspec.field(default_factory=IngressSpec)
