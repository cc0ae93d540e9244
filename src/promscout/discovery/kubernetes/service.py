"""Role ``service``: one target per service port, at the service's name in the cluster's DNS."""

from __future__ import annotations

from typing import Final

from promscout.discovery.kubernetes.joined import Joined
from promscout.discovery.kubernetes.labels import NAMESPACE, PREFIX, add_namespace, add_object_meta
from promscout.kube.objects import Service
from promscout.model.address import join_host_port
from promscout.model.group import TargetGroup
from promscout.model.labels import ADDRESS

_SERVICE: Final = PREFIX + "service_"
_SERVICE_TYPE: Final = _SERVICE + "type"
_SERVICE_EXTERNAL_NAME: Final = _SERVICE + "external_name"
_SERVICE_CLUSTER_IP: Final = _SERVICE + "cluster_ip"
_SERVICE_LOADBALANCER_IP: Final = _SERVICE + "loadbalancer_ip"
_SERVICE_PORT_NAME: Final = _SERVICE + "port_name"
_SERVICE_PORT_NUMBER: Final = _SERVICE + "port_number"
_SERVICE_PORT_PROTOCOL: Final = _SERVICE + "port_protocol"


def service_labels(service: Service) -> dict[str, str]:
    """The labels of a service, for its own targets and for those of its endpoints."""
    labels = {NAMESPACE: service.metadata.namespace}
    add_object_meta(labels, service.metadata, "service")
    return labels


def build_service(source: str, service: Service, joined: Joined) -> TargetGroup:
    """The target group of one service; empty when it has no ports.

    Source: prometheus v3.x discovery/kubernetes/service.go buildService, loadBalancerIPs.
    """
    spec, meta = service.spec, service.metadata
    labels = service_labels(service)
    add_namespace(labels, meta.namespace, joined)
    common = {_SERVICE_TYPE: spec.type}
    if spec.type == "ExternalName":
        common[_SERVICE_EXTERNAL_NAME] = spec.external_name
    else:
        common[_SERVICE_CLUSTER_IP] = spec.cluster_ip
    if spec.type == "LoadBalancer":
        given = ",".join(ingress.ip for ingress in service.status.load_balancer.ingress or () if ingress.ip)
        common[_SERVICE_LOADBALANCER_IP] = given or spec.load_balancer_ip
    targets = (
        {
            ADDRESS: join_host_port(f"{meta.name}.{meta.namespace}.svc", port.port),
            _SERVICE_PORT_NAME: port.name,
            _SERVICE_PORT_NUMBER: str(port.port),
            _SERVICE_PORT_PROTOCOL: port.protocol,
            **common,
        }
        for port in spec.ports or ()
    )
    return TargetGroup.of(source, targets, labels)
