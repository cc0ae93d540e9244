"""Role ``pod``: one target per declared container port, or per container without ports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from promscout.discovery.kubernetes.labels import (
    NAMESPACE,
    PREFIX,
    add_node_metadata,
    add_object_meta,
    join_host_port,
)
from promscout.kube.objects import Container, ContainerStatus, Node, Pod
from promscout.model.group import TargetGroup
from promscout.model.labels import ADDRESS

_POD: Final = PREFIX + "pod_"
_CONTAINER: Final = _POD + "container_"


def pod_source(key: str) -> str:
    """The source of the pod under the store key ``namespace/name``."""
    return f"pod/{key}"


def build_pod(key: str, pod: Pod, *, node: Node | None = None, with_node: bool = False) -> TargetGroup:
    """The target group of one pod.

    The group is empty while the pod has no address, and, where node metadata is asked for (``with_node``), while its
    ``node`` is not known: node selectors filter pods that way.

    Source: prometheus v3.x discovery/kubernetes/pod.go buildPod, podLabels.
    """
    source = pod_source(key)
    if not pod.status.pod_ip or (with_node and node is None):
        return TargetGroup(source)
    labels = pod_labels(pod)
    labels[NAMESPACE] = pod.metadata.namespace
    if node is not None:
        add_node_metadata(labels, node)
    targets = chain(
        _targets(pod.status.pod_ip, pod.spec.containers or (), pod.status.container_statuses, "false"),
        _targets(pod.status.pod_ip, pod.spec.init_containers, pod.status.init_container_statuses, "true"),
    )
    return TargetGroup(source, tuple(targets), labels)


def pod_labels(pod: Pod) -> dict[str, str]:
    """The labels that every target of a pod shares, namespace and attached metadata excepted."""
    status = pod.status
    labels = {
        _POD + "ip": status.pod_ip,
        _POD + "ready": next((c.status.lower() for c in status.conditions if c.type == "Ready"), "unknown"),
        _POD + "phase": status.phase,
        _POD + "node_name": pod.spec.node_name,
        _POD + "host_ip": status.host_ip,
        _POD + "uid": pod.metadata.uid,
    }
    add_object_meta(labels, pod.metadata, "pod")
    controller = pod.metadata.controller
    if controller is not None:
        if controller.kind:
            labels[_POD + "controller_kind"] = controller.kind
        if controller.name:
            labels[_POD + "controller_name"] = controller.name
    return labels


def _targets(
    ip: str, containers: Iterable[Container], statuses: Iterable[ContainerStatus], is_init: str
) -> Iterator[dict[str, str]]:
    ids: dict[str, str] = {}
    for status in statuses:
        ids.setdefault(status.name, status.container_id)
    for container in containers:
        common = {
            _CONTAINER + "name": container.name,
            _CONTAINER + "id": ids.get(container.name, ""),
            _CONTAINER + "image": container.image,
            _CONTAINER + "init": is_init,
        }
        if not container.ports:
            yield {ADDRESS: ip, **common}
        for port in container.ports:
            number = str(port.container_port)
            yield {
                ADDRESS: join_host_port(ip, number),
                **common,
                _CONTAINER + "port_number": number,
                _CONTAINER + "port_name": port.name,
                _CONTAINER + "port_protocol": port.protocol,
            }
