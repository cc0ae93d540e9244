"""Makes realistic pods, nodes, services and namespaces: what they look like in a cluster that people run.

Every maker returns a fresh object with ``apiVersion`` and ``kind``, to be given to :meth:`ObjectStore.add`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from promscout.sim.resources import JsonObject

STARTED: Final = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Owner:
    """The controlling owner of an object."""

    kind: str
    name: str
    api_version: str = "apps/v1"

    def reference(self) -> JsonObject:
        """The owner as an entry of ``ownerReferences``."""
        return {
            "apiVersion": self.api_version,
            "kind": self.kind,
            "name": self.name,
            "uid": f"uid-{self.kind.lower()}-{self.name}",
            "controller": True,
            "blockOwnerDeletion": True,
        }


@dataclass(frozen=True, slots=True)
class Port:
    """A named port of a container or service."""

    name: str
    number: int
    protocol: str = "TCP"


HTTP: Final = (Port("http", 8080),)


def pod_address(index: int, net: int = 1) -> str:
    """A loopback address of its own for the pod of this index: ``127.net.1.1`` and up; 62,500 to a net.

    Raises:
        ValueError: the index has no address in this net.
    """
    if not 0 <= index < 62_500:
        raise ValueError(f"no pod address for index {index}")
    return f"127.{net}.{1 + index // 250}.{1 + index % 250}"


def node_address(index: int, net: int = 1) -> str:
    """A loopback address for the node of this index, apart from all pod addresses of the net: ``127.net.252.1`` …"""
    return f"127.{net}.{252 + index // 250}.{1 + index % 250}"


def metadata_of(
    name: str,
    namespace: str = "",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: Owner | None = None,
) -> JsonObject:
    """Metadata with only the parts that are given."""
    metadata: JsonObject = {"name": name}
    if namespace:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    if owner is not None:
        metadata["ownerReferences"] = [owner.reference()]
    return metadata


def _container(name: str, image: str, ports: Iterable[Port], env: Mapping[str, str]) -> JsonObject:
    container: JsonObject = {"name": name, "image": image}
    if ports:
        container["ports"] = [
            {"name": one.name, "containerPort": one.number, "protocol": one.protocol} for one in ports
        ]
    if env:
        container["env"] = [{"name": key, "value": value} for key, value in env.items()]
    container["resources"] = {"requests": {"cpu": "100m", "memory": "128Mi"}}
    container["terminationMessagePath"] = "/dev/termination-log"
    container["terminationMessagePolicy"] = "File"
    container["imagePullPolicy"] = "IfNotPresent"
    return container


def pod(
    name: str,
    namespace: str = "default",
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    owner: Owner | None = None,
    node: str = "",
    ip: str = "",
    ports: Sequence[Port] = HTTP,
    sidecar_ports: Sequence[Port] = (),
    image: str = "registry.example/app:v1",
    env: Mapping[str, str] | None = None,
) -> JsonObject:
    """A pod. With an ``ip`` it runs and is ready; without one it waits (a live cluster's kubelet then starts it).

    ``sidecar_ports`` add a second container named ``sidecar``.
    """
    containers = [_container("app", image, ports, env or {})]
    if sidecar_ports:
        containers.append(_container("sidecar", "registry.example/sidecar:v1", sidecar_ports, {}))
    spec: JsonObject = {
        "containers": containers,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "serviceAccountName": "default",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }
    if node:
        spec["nodeName"] = node
    obj = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata_of(name, namespace, labels, annotations, owner),
        "spec": spec,
    }
    obj["status"] = running_status(obj, ip) if ip else {"phase": "Pending", "qosClass": "Burstable"}
    return obj


def running_status(obj: JsonObject, ip: str, *, host_ip: str = "", started: str = STARTED) -> JsonObject:
    """The status of a pod that runs at ``ip`` and whose containers are all ready."""
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    condition = {"status": "True", "lastProbeTime": None, "lastTransitionTime": started}
    status: JsonObject = {
        "phase": "Running",
        "conditions": [{"type": kind, **condition} for kind in kinds],
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "startTime": started,
        "containerStatuses": [_container_status(one, started) for one in obj["spec"].get("containers") or []],
        "qosClass": "Burstable",
    }
    if host_ip:
        status["hostIP"] = host_ip
        status["hostIPs"] = [{"ip": host_ip}]
    return status


def _container_status(container: Mapping[str, Any], started: str) -> JsonObject:
    image = container.get("image", "unknown")
    digest = f"{hash_text(image):064x}"
    return {
        "name": container["name"],
        "state": {"running": {"startedAt": started}},
        "lastState": {},
        "ready": True,
        "restartCount": 0,
        "image": image,
        "imageID": f"{image.partition(':')[0]}@sha256:{digest}",
        "containerID": f"containerd://{hash_text(container['name'] + digest):064x}",
        "started": True,
    }


def hash_text(text: str) -> int:
    """A repeatable 64-bit number from a text (FNV-1a); Python's own hash differs in every process."""
    number = 0xCBF29CE484222325
    for byte in text.encode():
        number = (number ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return number


def node(name: str, *, ip: str = "", zone: str = "eu-1a", images: int = 0, kubelet_port: int = 10250) -> JsonObject:
    """A ready node; one without an ``ip`` gets its address from a live cluster's kubelet."""
    labels = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/zone": zone,
    }
    condition = {"lastHeartbeatTime": STARTED, "lastTransitionTime": STARTED}
    kinds = {"MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False", "Ready": "True"}
    status = {
        "capacity": {"cpu": "4", "memory": "16Gi", "pods": "110"},
        "conditions": [{"type": kind, "status": value, **condition} for kind, value in kinds.items()],
        "addresses": [*([{"type": "InternalIP", "address": ip}] if ip else []), {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet_port}},
        "nodeInfo": {
            "machineID": f"{hash_text(name):032x}",
            "systemUUID": f"{hash_text(name):032x}",
            "bootID": f"{hash_text(name):032x}",
            "kernelVersion": "6.12.0",
            "osImage": "Debian GNU/Linux 13",
            "containerRuntimeVersion": "containerd://2.1.0",
            "kubeletVersion": "v1.36.2",
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": "amd64",
        },
        "images": [
            {"names": [f"registry.example/image-{one}@sha256:{hash_text(str(one)):064x}"], "sizeBytes": 10_000_000}
            for one in range(images)
        ],
    }
    spec = {"providerID": f"sim:///{zone}/{name}"}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": metadata_of(name, labels=labels),
        "spec": spec,
        "status": status,
    }


def namespace(name: str) -> JsonObject:
    """An active namespace."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata_of(name, labels={"kubernetes.io/metadata.name": name}),
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def service(
    name: str,
    namespace: str = "default",
    *,
    selector: Mapping[str, str],
    ports: Sequence[Port] = HTTP,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    cluster_ip: str = "None",
) -> JsonObject:
    """A service; headless unless it is given a ``cluster_ip``."""
    spec = {
        "ports": [
            {"name": one.name, "protocol": one.protocol, "port": one.number, "targetPort": one.number} for one in ports
        ],
        "selector": dict(selector),
        "clusterIP": cluster_ip,
        "clusterIPs": [cluster_ip],
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack",
    }
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata_of(name, namespace, labels, annotations),
        "spec": spec,
        "status": {"loadBalancer": {}},
    }
