"""Role ``node``: one target per node, at its kubelet."""

from __future__ import annotations

from typing import Final

from promscout.discovery.kubernetes.joined import Joined
from promscout.discovery.kubernetes.labels import PREFIX, add_object_meta
from promscout.kube.objects import Node
from promscout.model.address import join_host_port
from promscout.model.group import TargetGroup
from promscout.model.labels import ADDRESS, INSTANCE, sanitize_label_name

_NODE: Final = PREFIX + "node_"
_NODE_PROVIDER_ID: Final = _NODE + "provider_id"

ADDRESS_PRIORITY: Final = ("InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname")
"""Types of node addresses, the first that a node has being its target's address."""


def build_node(source: str, node: Node, _joined: Joined) -> TargetGroup | None:
    """The target group of one node, or None when it has no usable address: then its last group stays.

    Source: prometheus v3.x discovery/kubernetes/node.go buildNode, nodeAddress.
    """
    addresses: dict[str, str] = {}
    for address in node.status.addresses:
        addresses.setdefault(address.type, address.address)
    host = next((addresses[kind] for kind in ADDRESS_PRIORITY if kind in addresses), None)
    if host is None:
        return None
    target = {
        ADDRESS: join_host_port(host, node.status.daemon_endpoints.kubelet_endpoint.port),
        INSTANCE: node.metadata.name,
    }
    for kind, address_of_kind in addresses.items():
        target[sanitize_label_name(f"{_NODE}address_{kind}")] = address_of_kind
    labels = {_NODE_PROVIDER_ID: node.spec.provider_id}
    for condition in node.status.conditions:
        labels[f"{_NODE}condition_{sanitize_label_name(condition.type.lower())}"] = condition.status.lower()
    add_object_meta(labels, node.metadata, "node")
    return TargetGroup.of(source, (target,), labels)
