"""Kubernetes objects, projected: only what labels and addresses are made of is decoded.

Everything else in the JSON (managed fields, environment, volumes, images of nodes) is skipped by the decoder and
never becomes a Python object. Decoded objects are equal when everything that discovery can show is equal:
``take_resource_version`` moves the version out, so a status heartbeat yields an equal object.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class OwnerReference(msgspec.Struct, gc=False):
    """``metadata.ownerReferences[]``."""

    kind: str = ""
    name: str = ""
    controller: bool = False


class ObjectMeta(msgspec.Struct, rename="camel"):
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


class ContainerPort(msgspec.Struct, rename="camel", gc=False):
    """``spec.containers[].ports[]``."""

    container_port: int = 0
    name: str = ""
    protocol: str = ""


class Container(msgspec.Struct):
    """``spec.containers[]`` and ``spec.initContainers[]``."""

    name: str = ""
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()


class ContainerStatus(msgspec.Struct, gc=False):
    """``status.containerStatuses[]`` and ``status.initContainerStatuses[]``."""

    name: str = ""
    container_id: str = msgspec.field(default="", name="containerID")


class Condition(msgspec.Struct, gc=False):
    """``status.conditions[]`` of a pod or node."""

    type: str = ""
    status: str = ""


class PodSpec(msgspec.Struct, rename="camel"):
    """``spec`` of a pod."""

    node_name: str = ""
    containers: tuple[Container, ...] | None = ()  # null in bookmarks, which are pods without a spec
    init_containers: tuple[Container, ...] = ()


class PodStatus(msgspec.Struct, rename="camel"):
    """``status`` of a pod."""

    phase: str = ""
    host_ip: str = msgspec.field(default="", name="hostIP")
    pod_ip: str = msgspec.field(default="", name="podIP")
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()

    def __post_init__(self) -> None:
        # Of a pod's conditions only Ready becomes a label; probe times and the rest never matter.
        self.conditions = tuple(condition for condition in self.conditions if condition.type == "Ready")


class Pod(msgspec.Struct):
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


class NodeDaemonEndpoints(msgspec.Struct, rename="camel"):
    """``status.daemonEndpoints``."""

    kubelet_endpoint: DaemonEndpoint = msgspec.field(default_factory=DaemonEndpoint)


class NodeStatus(msgspec.Struct, rename="camel"):
    """``status`` of a node."""

    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[Condition, ...] = ()
    daemon_endpoints: NodeDaemonEndpoints = msgspec.field(default_factory=NodeDaemonEndpoints)


class Node(msgspec.Struct):
    """A core/v1 Node."""

    metadata: ObjectMeta = msgspec.field(default_factory=ObjectMeta)
    spec: NodeSpec = msgspec.field(default_factory=NodeSpec)
    status: NodeStatus = msgspec.field(default_factory=NodeStatus)
