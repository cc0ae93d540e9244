"""Role ``endpoints``: one target per address and port, and one per further container port of the pods behind."""

from __future__ import annotations

from typing import Final

from promscout.discovery.kubernetes.joined import Joined
from promscout.discovery.kubernetes.labels import (
    NAMESPACE,
    PREFIX,
    add_namespace,
    add_node,
    add_object_meta,
)
from promscout.discovery.kubernetes.pod_backed import PodBackedTargets
from promscout.discovery.kubernetes.service import service_labels
from promscout.kube.objects import EndpointAddress, EndpointPort, Endpoints
from promscout.model.address import join_host_port
from promscout.model.group import TargetGroup
from promscout.model.labels import LabelRow

_ENDPOINT: Final = PREFIX + "endpoint_"
_ENDPOINT_PORT_NAME: Final = _ENDPOINT + "port_name"
_ENDPOINT_PORT_PROTOCOL: Final = _ENDPOINT + "port_protocol"
_ENDPOINT_READY: Final = _ENDPOINT + "ready"
_ENDPOINT_ADDRESS_TARGET_KIND: Final = _ENDPOINT + "address_target_kind"
_ENDPOINT_ADDRESS_TARGET_NAME: Final = _ENDPOINT + "address_target_name"
_ENDPOINT_NODE_NAME: Final = _ENDPOINT + "node_name"
_ENDPOINT_HOSTNAME: Final = _ENDPOINT + "hostname"


def build_endpoints(source: str, endpoints: Endpoints, joined: Joined) -> TargetGroup:
    """The target group of one Endpoints object, joined with its service, pods and nodes.

    Source: prometheus v3.x discovery/kubernetes/endpoints.go buildEndpoints.
    """
    meta = endpoints.metadata
    labels = {NAMESPACE: meta.namespace}
    service = joined.service(f"{meta.namespace}/{meta.name}")
    if service is not None:
        labels.update(service_labels(service))
    add_object_meta(labels, meta, "endpoints")
    add_namespace(labels, meta.namespace, joined)
    targets = PodBackedTargets(joined)
    for subset in endpoints.subsets or ():
        for port in subset.ports or ():
            for ready, addresses in (("true", subset.addresses), ("false", subset.not_ready_addresses)):
                for address in addresses or ():
                    number, protocol = port.port or 0, port.protocol or ""
                    labels_of_target = LabelRow.of(_labels(address, port, ready, joined))
                    where = join_host_port(address.ip, number)
                    targets.add(where, (labels_of_target,), address.target_ref, number, protocol)
    return targets.group(source, labels)


def _labels(address: EndpointAddress, port: EndpointPort, ready: str, joined: Joined) -> dict[str, str]:
    target = {
        _ENDPOINT_PORT_NAME: port.name or "",
        _ENDPOINT_PORT_PROTOCOL: port.protocol or "",
        _ENDPOINT_READY: ready,
    }
    ref = address.target_ref
    if ref is not None:
        target[_ENDPOINT_ADDRESS_TARGET_KIND] = ref.kind
        target[_ENDPOINT_ADDRESS_TARGET_NAME] = ref.name
    if address.node_name is not None:
        target[_ENDPOINT_NODE_NAME] = address.node_name
    if address.hostname:
        target[_ENDPOINT_HOSTNAME] = address.hostname
    node = address.node_name
    if node is None and ref is not None and ref.kind == "Node":
        node = ref.name
    add_node(target, node, joined)
    return target
