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
    port_text,
)
from promscout.discovery.kubernetes.pod_backed import PodBackedTargets
from promscout.discovery.kubernetes.service import service_labels
from promscout.kube.objects import Endpoint, EndpointPort, EndpointSlice, Service
from promscout.model.address import join_host_port
from promscout.model.group import TargetGroup
from promscout.model.labels import LabelRow, sanitize_label_name

_SLICE: Final = PREFIX + "endpointslice_"
_ENDPOINT: Final = _SLICE + "endpoint_"
_SLICE_ADDRESS_TYPE: Final = _SLICE + "address_type"
_SLICE_PORT_NAME: Final = _SLICE + "port_name"
_SLICE_PORT_PROTOCOL: Final = _SLICE + "port_protocol"
_SLICE_PORT: Final = _SLICE + "port"
_SLICE_PORT_APP_PROTOCOL: Final = _SLICE + "port_app_protocol"
_SLICE_ADDRESS_TARGET_KIND: Final = _SLICE + "address_target_kind"
_SLICE_ADDRESS_TARGET_NAME: Final = _SLICE + "address_target_name"
_ENDPOINT_CONDITIONS_READY: Final = _ENDPOINT + "conditions_ready"
_ENDPOINT_CONDITIONS_SERVING: Final = _ENDPOINT + "conditions_serving"
_ENDPOINT_CONDITIONS_TERMINATING: Final = _ENDPOINT + "conditions_terminating"
_ENDPOINT_HOSTNAME: Final = _ENDPOINT + "hostname"
_ENDPOINT_NODE_NAME: Final = _ENDPOINT + "node_name"
_ENDPOINT_ZONE: Final = _ENDPOINT + "zone"
_SERVICE_NAME: Final = "kubernetes.io/service-name"
_DUAL_STACK: Final = ("PreferDualStack", "RequireDualStack")


def build_endpoint_slice(source: str, endpoint_slice: EndpointSlice, joined: Joined) -> TargetGroup:
    """The target group of one EndpointSlice, joined with its service, pods and nodes.

    The group is empty for the secondary address family of a dual-stack service, whose targets would be those of the
    primary one again.

    Source: prometheus v3.x discovery/kubernetes/endpointslice.go buildEndpointSlice, nonPrimaryIPFamilySlice.
    """
    meta = endpoint_slice.metadata
    labels = {NAMESPACE: meta.namespace, _SLICE_ADDRESS_TYPE: endpoint_slice.address_type}
    add_object_meta(labels, meta, "endpointslice")
    service_name = (meta.labels or {}).get(_SERVICE_NAME)
    service = None if service_name is None else joined.service(f"{meta.namespace}/{service_name}")
    if service is not None:
        labels.update(service_labels(service))
        if _is_secondary(endpoint_slice, service):
            return TargetGroup(source)
    add_namespace(labels, meta.namespace, joined)
    targets = PodBackedTargets(joined)
    ports = [(port.port, _of_port(port)) for port in endpoint_slice.ports or ()]
    for endpoint in endpoint_slice.endpoints or ():
        of_endpoint = _of_endpoint(endpoint, joined)
        for number, of_port in ports:
            for host in endpoint.addresses or ():
                address = host if number is None else join_host_port(host, number)
                targets.add(address, (of_port, of_endpoint), endpoint.target_ref, number, None)
    return targets.group(source, labels)


def _is_secondary(endpoint_slice: EndpointSlice, service: Service) -> bool:
    families = service.spec.ip_families
    return (
        service.spec.ip_family_policy in _DUAL_STACK and bool(families) and endpoint_slice.address_type != families[0]
    )


def _of_port(port: EndpointPort) -> LabelRow:
    return _present(
        {
            _SLICE_PORT_NAME: port.name,
            _SLICE_PORT_PROTOCOL: port.protocol,
            _SLICE_PORT: None if port.port is None else port_text(port.port),
            _SLICE_PORT_APP_PROTOCOL: port.app_protocol,
        }
    )


def _of_endpoint(endpoint: Endpoint, joined: Joined) -> LabelRow:
    ref, conditions = endpoint.target_ref, endpoint.conditions
    row = _present(
        {
            _ENDPOINT_CONDITIONS_READY: _boolean(conditions.ready),
            _ENDPOINT_CONDITIONS_SERVING: _boolean(conditions.serving),
            _ENDPOINT_CONDITIONS_TERMINATING: _boolean(conditions.terminating),
            _ENDPOINT_HOSTNAME: endpoint.hostname,
            _ENDPOINT_NODE_NAME: endpoint.node_name,
            _ENDPOINT_ZONE: endpoint.zone,
            _SLICE_ADDRESS_TARGET_KIND: None if ref is None else ref.kind,
            _SLICE_ADDRESS_TARGET_NAME: None if ref is None else ref.name,
        }
    )
    more: dict[str, str] = {}
    for name, value in (endpoint.deprecated_topology or {}).items():
        safe = sanitize_label_name(name)
        more[f"{_ENDPOINT}topology_{safe}"] = value
        more[f"{_ENDPOINT}topology_present_{safe}"] = "true"
    add_node(more, ref.name if ref is not None and ref.kind == "Node" else endpoint.node_name, joined)
    return LabelRow.joined(row, LabelRow.of(more)) if more else row


def _present(labels: dict[str, str | None]) -> LabelRow:
    return LabelRow.of({name: value for name, value in labels.items() if value is not None})


def _boolean(value: bool | None) -> str | None:
    return None if value is None else "true" if value else "false"
