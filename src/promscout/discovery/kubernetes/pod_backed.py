"""Targets of endpoints that pods stand behind: the pods' labels, and ports that no endpoint names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from promscout.discovery.kubernetes.joined import Joined
from promscout.discovery.kubernetes.labels import join_host_port, port_text
from promscout.discovery.kubernetes.pod import (
    CONTAINER_IMAGE,
    CONTAINER_INIT,
    CONTAINER_NAME,
    CONTAINER_PORT_NAME,
    CONTAINER_PORT_NUMBER,
    CONTAINER_PORT_PROTOCOL,
    shared_pod_labels,
    workload_labels,
)
from promscout.kube.objects import Container, ContainerPort, ObjectReference, Pod
from promscout.model.group import NO_LABELS, TargetGroup
from promscout.model.labels import ADDRESS, LabelRow


@dataclass(frozen=True, slots=True)
class _BackingPod:
    """A pod behind endpoints: its shared labels, those of this role's own, and the ports that endpoints have."""

    pod: Pod
    labels: LabelRow
    own: dict[str, str]
    ports: set[int] = field(default_factory=set)


class PodBackedTargets:
    """Collects the targets of one Endpoints or EndpointSlice object.

    Source: prometheus v3.x discovery/kubernetes/endpoints.go buildEndpoints, endpointslice.go buildEndpointSlice.
    """

    def __init__(self, joined: Joined) -> None:
        self._joined = joined
        self._targets: list[dict[str, str]] = []
        self._bases: list[LabelRow] = []
        self._pods: dict[str, _BackingPod] = {}

    def add(self, target: dict[str, str], ref: ObjectReference | None, port: int | None, protocol: str | None) -> None:
        """Add the target of one address and port; where ``ref`` is a known pod, with that pod's labels.

        ``protocol``, where given, is shown as the container port's protocol instead of the container's own.
        """
        self._targets.append(target)
        pod = self._joined.pod(ref.key) if ref is not None and ref.kind == "Pod" else None
        if ref is None or pod is None:
            self._bases.append(NO_LABELS)
            return
        backing = self._pods.get(ref.key)
        if backing is None:
            labels, own = shared_pod_labels(pod, self._joined), workload_labels(pod, self._joined)
            backing = self._pods[ref.key] = _BackingPod(pod, labels, own)
        self._bases.append(backing.labels)
        target.update(backing.own)
        if port is not None:
            backing.ports.add(port)
            self._add_container(target, pod, port, protocol)

    def group(self, source: str, labels: dict[str, str]) -> TargetGroup:
        """All targets: those added, then one for each container port of their pods that no endpoint has."""
        for backing in self._pods.values():
            pod = backing.pod
            if not pod.status.pod_ip:
                continue
            for container, port, is_init in _container_ports(pod):
                if port.container_port not in backing.ports:
                    self._targets.append(
                        {
                            ADDRESS: join_host_port(pod.status.pod_ip, port.container_port),
                            **_container_labels(container, port, is_init, port.protocol),
                            **backing.own,
                        }
                    )
                    self._bases.append(backing.labels)
        bases = tuple(self._bases) if self._pods else ()
        return TargetGroup(source, tuple(map(LabelRow.of, self._targets)), LabelRow.of(labels), bases)

    @staticmethod
    def _add_container(target: dict[str, str], pod: Pod, number: int, protocol: str | None) -> None:
        """Add the labels of the container that has port ``number``: of the last one, and of its first such port."""
        matched: Container | None = None
        for container, port, is_init in _container_ports(pod):
            if port.container_port == number and container is not matched:
                matched = container
                shown = port.protocol if protocol is None else protocol
                target.update(_container_labels(container, port, is_init, shown))


def _container_ports(pod: Pod) -> Iterator[tuple[Container, ContainerPort, bool]]:
    for containers, is_init in ((pod.spec.containers or (), False), (pod.spec.init_containers, True)):
        for container in containers:
            for port in container.ports:
                yield container, port, is_init


def _container_labels(container: Container, port: ContainerPort, is_init: bool, protocol: str) -> dict[str, str]:
    return {
        CONTAINER_NAME: container.name,
        CONTAINER_IMAGE: container.image,
        CONTAINER_PORT_NAME: port.name,
        CONTAINER_PORT_NUMBER: port_text(port.container_port),
        CONTAINER_PORT_PROTOCOL: protocol,
        CONTAINER_INIT: "true" if is_init else "false",
    }
