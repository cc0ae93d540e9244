"""Endpoints and endpoint slices: what the control plane derives from a service and the pods it selects. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from promscout.sim.resources import JsonObject


def selects(service: JsonObject, pod_labels: Mapping[str, str]) -> bool:
    """Whether the service's selector picks a pod of these labels; a service without a selector picks none."""
    selector = service["spec"].get("selector") or {}
    return bool(selector) and all(pod_labels.get(key) == value for key, value in selector.items())


def is_ready(pod: JsonObject) -> bool:
    """Whether the pod's Ready condition is true."""
    conditions = pod.get("status", {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _backing(pods: Iterable[JsonObject]) -> list[JsonObject]:
    """Pods that are endpoints at all: they have an address and have not finished."""
    finished = ("Succeeded", "Failed")
    return [pod for pod in pods if pod["status"].get("podIP") and pod["status"].get("phase") not in finished]


def _reference(pod: JsonObject) -> JsonObject:
    metadata = pod["metadata"]
    reference = {"kind": "Pod", "namespace": metadata["namespace"], "name": metadata["name"]}
    return {**reference, "uid": metadata["uid"]} if "uid" in metadata else reference


def _ports(service: JsonObject) -> list[JsonObject]:
    """The ports as endpoints have them: the numbers that pods listen on."""
    ports: Sequence[Mapping[str, Any]] = service["spec"].get("ports") or []
    return [
        {
            "name": one.get("name", ""),
            "port": one.get("targetPort", one["port"]),
            "protocol": one.get("protocol", "TCP"),
        }
        for one in ports
    ]


def endpoints(service: JsonObject, pods: Iterable[JsonObject]) -> JsonObject:
    """The Endpoints object of a service: ready addresses apart from those that are not."""
    addresses: dict[str, list[JsonObject]] = {"addresses": [], "notReadyAddresses": []}
    for pod in _backing(pods):
        address: JsonObject = {"ip": pod["status"]["podIP"], "targetRef": _reference(pod)}
        if pod["spec"].get("nodeName"):
            address["nodeName"] = pod["spec"]["nodeName"]
        addresses["addresses" if is_ready(pod) else "notReadyAddresses"].append(address)
    subset = {key: found for key, found in addresses.items() if found}
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": _metadata(service, service["metadata"]["name"], {}),
        "subsets": [{**subset, "ports": _ports(service)}] if subset else [],
    }


def endpoint_slice(service: JsonObject, pods: Iterable[JsonObject]) -> JsonObject:
    """The endpoint slice of a service; one slice holds all of its endpoints."""
    name = service["metadata"]["name"]
    found = []
    for pod in _backing(pods):
        leaving = "deletionTimestamp" in pod["metadata"]
        ready = is_ready(pod)
        endpoint: JsonObject = {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": ready and not leaving, "serving": ready, "terminating": leaving},
            "targetRef": _reference(pod),
        }
        if pod["spec"].get("nodeName"):
            endpoint["nodeName"] = pod["spec"]["nodeName"]
        found.append(endpoint)
    own = {
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": name,
    }
    metadata = _metadata(service, f"{name}-slice", own)
    owner = {"apiVersion": "v1", "kind": "Service", "name": name, "uid": service["metadata"].get("uid", f"uid-{name}")}
    metadata["ownerReferences"] = [{**owner, "controller": True, "blockOwnerDeletion": True}]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": found,
        "ports": _ports(service),
    }


def _metadata(service: JsonObject, name: str, labels: Mapping[str, str]) -> JsonObject:
    own = service["metadata"]
    metadata: JsonObject = {"name": name, "namespace": own["namespace"]}
    merged = {**(own.get("labels") or {}), **labels}
    if merged:
        metadata["labels"] = merged
    return metadata
