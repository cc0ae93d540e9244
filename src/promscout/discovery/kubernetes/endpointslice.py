"""Role ``endpointslice``: one target per address and port, and one per further container port of the pods behind."""

from __future__ import annotations

from typing import Final

from promscout.discovery.kubernetes.joined import Joined
from promscout.discovery.kubernetes.labels import (
    NAMESPACE,
    PREFIX,
    add_namespace,
    add_node,
    add_object_meta,
    join_host_port,
    port_text,
)
from promscout.discovery.kubernetes.pod_backed import PodBackedTargets
from promscout.discovery.kubernetes.service import service_labels
from promscout.kube.objects import Endpoint, EndpointPort, EndpointSlice, Service
from promscout.model.group import TargetGroup
from promscout.model.labels import ADDRESS, sanitize_label_name

_SLICE: Final = PREFIX + "endpointslice_"
_ENDPOINT: Final = _SLICE + "endpoint_"
_SERVICE_NAME: Final = "kubernetes.io/service-name"
_DUAL_STACK: Final = ("PreferDualStack", "RequireDualStack")


def build_endpoint_slice(source: str, endpoint_slice: EndpointSlice, joined: Joined) -> TargetGroup:
    """The target group of one EndpointSlice, joined with its service, pods and nodes.

    The group is empty for the secondary address family of a dual-stack service, whose targets would be those of the
    primary one again.

    Source: prometheus v3.x discovery/kubernetes/endpointslice.go buildEndpointSlice, nonPrimaryIPFamilySlice.
    """
    meta = endpoint_slice.metadata
    labels = {NAMESPACE: meta.namespace, _SLICE + "address_type": endpoint_slice.address_type}
    add_object_meta(labels, meta, "endpointslice")
    service_name = (meta.labels or {}).get(_SERVICE_NAME)
    service = None if service_name is None else joined.service(f"{meta.namespace}/{service_name}")
    if service is not None:
        labels.update(service_labels(service))
        if _is_secondary(endpoint_slice, service):
            return TargetGroup(source)
    add_namespace(labels, meta.namespace, joined)
    targets = PodBackedTargets(joined)
    for endpoint in endpoint_slice.endpoints or ():
        for port in endpoint_slice.ports or ():
            for address in endpoint.addresses or ():
                targets.add(_target(address, endpoint, port, joined), endpoint.target_ref, port.port, None)
    return targets.group(source, labels)


def _is_secondary(endpoint_slice: EndpointSlice, service: Service) -> bool:
    families = service.spec.ip_families
    return (
        service.spec.ip_family_policy in _DUAL_STACK and bool(families) and endpoint_slice.address_type != families[0]
    )


def _target(address: str, endpoint: Endpoint, port: EndpointPort, joined: Joined) -> dict[str, str]:
    ref, conditions = endpoint.target_ref, endpoint.conditions
    target = {ADDRESS: address if port.port is None else join_host_port(address, port.port)}
    optional = {
        _SLICE + "port_name": port.name,
        _SLICE + "port_protocol": port.protocol,
        _SLICE + "port": None if port.port is None else port_text(port.port),
        _SLICE + "port_app_protocol": port.app_protocol,
        _ENDPOINT + "conditions_ready": _boolean(conditions.ready),
        _ENDPOINT + "conditions_serving": _boolean(conditions.serving),
        _ENDPOINT + "conditions_terminating": _boolean(conditions.terminating),
        _ENDPOINT + "hostname": endpoint.hostname,
        _ENDPOINT + "node_name": endpoint.node_name,
        _ENDPOINT + "zone": endpoint.zone,
        _SLICE + "address_target_kind": None if ref is None else ref.kind,
        _SLICE + "address_target_name": None if ref is None else ref.name,
    }
    target.update((label, value) for label, value in optional.items() if value is not None)
    for name, value in (endpoint.deprecated_topology or {}).items():
        safe = sanitize_label_name(name)
        target[f"{_ENDPOINT}topology_{safe}"] = value
        target[f"{_ENDPOINT}topology_present_{safe}"] = "true"
    add_node(target, ref.name if ref is not None and ref.kind == "Node" else endpoint.node_name, joined)
    return target


def _boolean(value: bool | None) -> str | None:
    return None if value is None else "true" if value else "false"
