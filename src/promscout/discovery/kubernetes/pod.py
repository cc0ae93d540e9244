"""Role ``pod``: one target per declared container port, or per container without ports."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain
from typing import Final

from promscout.discovery.kubernetes.joined import Joined
from promscout.discovery.kubernetes.labels import (
    NAMESPACE,
    PREFIX,
    add_namespace,
    add_node,
    add_object_meta,
    port_text,
)
from promscout.kube.objects import Container, ContainerStatus, Owned, Pod, object_key
from promscout.model.address import join_host_port
from promscout.model.group import TargetGroup
from promscout.model.labels import ADDRESS, LabelRow, shared_names

_POD: Final = PREFIX + "pod_"
_CONTAINER: Final = _POD + "container_"
_POD_IP: Final = _POD + "ip"
_POD_READY: Final = _POD + "ready"
_POD_PHASE: Final = _POD + "phase"
_POD_NODE_NAME: Final = _POD + "node_name"
_POD_HOST_IP: Final = _POD + "host_ip"
_POD_UID: Final = _POD + "uid"
_POD_CONTROLLER_KIND: Final = _POD + "controller_kind"
_POD_CONTROLLER_NAME: Final = _POD + "controller_name"
_POD_DEPLOYMENT_NAME: Final = _POD + "deployment_name"
_POD_JOB_NAME: Final = _POD + "job_name"
_POD_CRONJOB_NAME: Final = _POD + "cronjob_name"
CONTAINER_NAME: Final = _CONTAINER + "name"
CONTAINER_ID: Final = _CONTAINER + "id"
CONTAINER_IMAGE: Final = _CONTAINER + "image"
CONTAINER_INIT: Final = _CONTAINER + "init"
CONTAINER_PORT_NUMBER: Final = _CONTAINER + "port_number"
CONTAINER_PORT_NAME: Final = _CONTAINER + "port_name"
CONTAINER_PORT_PROTOCOL: Final = _CONTAINER + "port_protocol"


def build_pod(source: str, pod: Pod, joined: Joined) -> TargetGroup:
    """The target group of one pod.

    The group is empty while the pod has no address, and, where node metadata is asked for, when its node does not
    exist: node selectors filter pods that way.

    Source: prometheus v3.x discovery/kubernetes/pod.go buildPod.
    """
    if not pod.status.pod_ip or not _node_may_exist(pod.spec.node_name, joined):
        return TargetGroup(source)
    labels = workload_labels(pod, joined)
    labels[NAMESPACE] = pod.metadata.namespace
    add_node(labels, pod.spec.node_name, joined)
    add_namespace(labels, pod.metadata.namespace, joined)
    targets = tuple(
        chain(
            _targets(pod.status.pod_ip, pod.spec.containers or (), pod.status.container_statuses, "false"),
            _targets(pod.status.pod_ip, pod.spec.init_containers, pod.status.init_container_statuses, "true"),
        )
    )
    return TargetGroup(
        source,
        targets,
        _shared_row(tuple(labels), tuple(labels.values())),
        (shared_pod_labels(pod, joined),) * len(targets),
    )


@lru_cache(maxsize=1024)
def _shared_row(names: tuple[str, ...], values: tuple[str, ...]) -> LabelRow:
    """One row for all pods of a namespace, or node, that have nothing else of their own in their group's labels."""
    return LabelRow(shared_names(names), values)


def shared_pod_labels(pod: Pod, joined: Joined) -> LabelRow:
    """``pod_labels`` of a pod, one row for all targets of all roles that show it."""
    return joined.derive_pod(object_key(pod), pod_labels) or pod_labels(pod)


def pod_labels(pod: Pod) -> LabelRow:
    """The labels that every target of a pod shares; namespace, node and what stands behind its controller excepted.

    Source: prometheus v3.x discovery/kubernetes/pod.go podLabels.
    """
    status = pod.status
    labels = {
        _POD_IP: status.pod_ip,
        _POD_READY: _ready(pod),
        _POD_PHASE: status.phase,
        _POD_NODE_NAME: pod.spec.node_name,
        _POD_HOST_IP: status.host_ip,
        _POD_UID: pod.metadata.uid,
    }
    add_object_meta(labels, pod.metadata, "pod")
    controller = pod.metadata.controller
    if controller is not None:
        if controller.kind:
            labels[_POD_CONTROLLER_KIND] = controller.kind
        if controller.name:
            labels[_POD_CONTROLLER_NAME] = controller.name
    return LabelRow.of(labels)


def _ready(pod: Pod) -> str:
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            return sys.intern(condition.status.lower())
    return "unknown"


def workload_labels(pod: Pod, joined: Joined) -> dict[str, str]:
    """The names of what stands behind a pod's controller, as far as asked for. A new dict.

    Source: prometheus v3.x discovery/kubernetes/pod.go podLabels.
    """
    labels: dict[str, str] = {}
    controller = pod.metadata.controller
    if controller is None:
        return labels
    key = f"{pod.metadata.namespace}/{controller.name}"
    if controller.kind == "ReplicaSet" and joined.replica_set is not None:
        name = _controller_name(joined.replica_set(key), "Deployment")
        if name is not None:
            labels[_POD_DEPLOYMENT_NAME] = name
    elif controller.kind == "Job":
        if joined.job_names:
            labels[_POD_JOB_NAME] = controller.name
        if joined.job is not None:
            name = _controller_name(joined.job(key), "CronJob")
            if name is not None:
                labels[_POD_CRONJOB_NAME] = name
    return labels


def _controller_name(owned: Owned | None, kind: str) -> str | None:
    controller = owned.metadata.controller if owned is not None else None
    return controller.name if controller is not None and controller.kind == kind else None


def _node_may_exist(name: str, joined: Joined) -> bool:
    return joined.node is None or joined.node(name) is not None or not joined.nodes_are_complete()


_CONTAINER_LABELS: Final = shared_names((ADDRESS, CONTAINER_NAME, CONTAINER_ID, CONTAINER_IMAGE, CONTAINER_INIT))
_PORT_LABELS: Final = shared_names(
    (*_CONTAINER_LABELS, CONTAINER_PORT_NUMBER, CONTAINER_PORT_NAME, CONTAINER_PORT_PROTOCOL)
)


def _targets(
    ip: str, containers: Iterable[Container], statuses: Iterable[ContainerStatus], is_init: str
) -> Iterator[LabelRow]:
    ids: dict[str, str] = {}
    for status in statuses:
        ids.setdefault(status.name, status.container_id)
    for container in containers:
        common = (container.name, ids.get(container.name, ""), container.image, is_init)
        if not container.ports:
            yield LabelRow(_CONTAINER_LABELS, (ip, *common))
        for port in container.ports:
            number = port_text(port.container_port)
            address = join_host_port(ip, number)
            yield LabelRow(_PORT_LABELS, (address, *common, number, port.name, port.protocol))
