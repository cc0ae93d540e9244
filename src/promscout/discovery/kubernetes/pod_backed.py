"""Targets of endpoints that pods stand behind: the pods' labels, and ports that no endpoint names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from promscout.discovery.kubernetes.joined import Joined
from promscout.discovery.kubernetes.labels import port_text
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
from promscout.model.address import join_host_port
from promscout.model.group import NO_LABELS, TargetGroup
from promscout.model.labels import ADDRESS, LabelRow, shared_names

_ADDRESS: Final = shared_names((ADDRESS,))
_CONTAINER_LABELS: Final = shared_names(
    (
        CONTAINER_NAME,
        CONTAINER_IMAGE,
        CONTAINER_PORT_NAME,
        CONTAINER_PORT_NUMBER,
        CONTAINER_PORT_PROTOCOL,
        CONTAINER_INIT,
    )
)


class _BackingPod(msgspec.Struct, frozen=True):
    """A pod behind endpoints: its shared labels, those of this role's own, and the ports that endpoints have."""

    pod: Pod
    labels: LabelRow
    own: LabelRow
    ports: set[int] = msgspec.field(default_factory=set)


class PodBackedTargets:
    """Collects the targets of one Endpoints or EndpointSlice object.

    Source: prometheus v3.x discovery/kubernetes/endpoints.go buildEndpoints, endpointslice.go buildEndpointSlice.
    """

    def __init__(self, joined: Joined) -> None:
        self._joined = joined
        self._targets: list[LabelRow] = []
        self._bases: list[LabelRow] = []
        self._pods: dict[str, _BackingPod] = {}

    def add(
        self,
        address: str,
        parts: Sequence[LabelRow],
        ref: ObjectReference | None,
        port: int | None,
        protocol: str | None,
    ) -> None:
        """Add the target at ``address`` with the labels of ``parts``; where ``ref`` is a known pod, with that pod's.

        ``protocol``, where given, is shown as the container port's protocol instead of the container's own.
        """
        row = LabelRow(_ADDRESS, (address,))
        backing = self._backing(ref) if ref is not None and ref.kind == "Pod" else None
        if backing is None:
            self._targets.append(LabelRow.joined(row, *parts))
            self._bases.append(NO_LABELS)
            return
        container = NO_LABELS
        if port is not None:
            backing.ports.add(port)
            container = _container_of(backing.pod, port, protocol)
        self._targets.append(LabelRow.joined(row, *parts, backing.own, container))
        self._bases.append(backing.labels)

    def group(self, source: str, labels: dict[str, str]) -> TargetGroup:
        """All targets: those added, then one for each container port of their pods that no endpoint has."""
        for backing in self._pods.values():
            pod = backing.pod
            if not pod.status.pod_ip:
                continue
            for container, port, is_init in _container_ports(pod):
                if port.container_port not in backing.ports:
                    row = LabelRow(_ADDRESS, (join_host_port(pod.status.pod_ip, port.container_port),))
                    shown = _container_labels(container, port, is_init, port.protocol)
                    self._targets.append(LabelRow.joined(row, shown, backing.own))
                    self._bases.append(backing.labels)
        return TargetGroup(source, tuple(self._targets), LabelRow.of(labels), tuple(self._bases) if self._pods else ())

    def _backing(self, ref: ObjectReference) -> _BackingPod | None:
        backing = self._pods.get(ref.key)
        if backing is None:
            pod = self._joined.pod(ref.key)
            if pod is not None:
                own = LabelRow.of(workload_labels(pod, self._joined))
                backing = self._pods[ref.key] = _BackingPod(pod, shared_pod_labels(pod, self._joined), own)
        return backing


def _container_of(pod: Pod, number: int, protocol: str | None) -> LabelRow:
    """The labels of the container that has port ``number``: of the last one, and of its first such port."""
    matched: Container | None = None
    labels = NO_LABELS
    for container, port, is_init in _container_ports(pod):
        if port.container_port == number and container is not matched:
            matched = container
            labels = _container_labels(container, port, is_init, port.protocol if protocol is None else protocol)
    return labels


def _container_ports(pod: Pod) -> Iterator[tuple[Container, ContainerPort, bool]]:
    for containers, is_init in ((pod.spec.containers or (), False), (pod.spec.init_containers, True)):
        for container in containers:
            for port in container.ports:
                yield container, port, is_init


def _container_labels(container: Container, port: ContainerPort, is_init: bool, protocol: str) -> LabelRow:
    number, init = port_text(port.container_port), "true" if is_init else "false"
    return LabelRow(_CONTAINER_LABELS, (container.name, container.image, port.name, number, protocol, init))
