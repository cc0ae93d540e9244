"""What makes a cluster live: pods start and get addresses and exporters, services get their endpoints.

Controllers work level-based: a change only marks what to look at, and looking compares the wanted with the actual.
They write to the store like any client, so everybody watching sees what they did.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from promscout.sim.endpoints import endpoint_slice, endpoints, selects
from promscout.sim.exporter import Exporters
from promscout.sim.objects import Change, ObjectKey, Stored
from promscout.sim.population import node_address, pod_address, running_status
from promscout.sim.resources import ENDPOINTS, ENDPOINTSLICES, NODES, PODS, SERVICES, JsonObject, Resource, of_object
from promscout.sim.status import Refusal
from promscout.sim.store import ObjectStore


class Kubelet:
    """Runs pods and nodes: gives them loopback addresses of a net, a Running status, and exporters.

    A pod that brings an address keeps it, and gets an exporter where the address is a loopback one. The exporter
    listens on the port that the annotation ``prometheus.io/port`` names, else on the port named like metrics, else on
    the first; at the path of ``prometheus.io/path``, else ``/metrics``.
    """

    def __init__(self, store: ObjectStore, exporters: Exporters, net: int) -> None:
        self._store = store
        self._exporters = exporters
        self._net = net
        self._started = 0
        self._nodes = 0

    async def sync_pod(self, key: ObjectKey) -> None:
        """Make what runs for a pod what should run."""
        pod = _find(self._store, PODS, key)
        if pod is None:
            await self._exporters.close(key)
            return
        if not pod.setdefault("status", {}).get("podIP") and pod["status"].get("phase", "Pending") == "Pending":
            pod = self._start(key)
        running = pod["status"].get("podIP") if pod["status"].get("phase") == "Running" else None
        if not running or "deletionTimestamp" in pod["metadata"]:
            await self._exporters.close(key)
        elif not _has_crashed(pod):
            await self._expose(key, running, pod)

    async def sync_node(self, key: ObjectKey) -> None:
        """Make what runs for a node what should run."""
        node = _find(self._store, NODES, key)
        if node is None:
            await self._exporters.close(key)
            return
        status = node.setdefault("status", {})
        addresses = {one["type"]: one["address"] for one in status.get("addresses") or []}
        if "InternalIP" not in addresses:
            addresses["InternalIP"] = node_address(self._nodes, self._net)
            self._nodes += 1
            status["addresses"] = [{"type": kind, "address": one} for kind, one in sorted(addresses.items())]
            self._store.replace(NODES, *key, node)
        port = status.get("daemonEndpoints", {}).get("kubeletEndpoint", {}).get("Port", 0)
        if port and _is_loopback(addresses["InternalIP"]):
            annotations = node["metadata"].get("annotations") or {}
            await self._exporters.open(key, addresses["InternalIP"], port, annotations=annotations)

    def _start(self, key: ObjectKey) -> JsonObject:
        address = pod_address(self._started % 62_500, self._net)
        self._started += 1
        nodes = self._store.list(NODES)
        host = nodes[self._started % len(nodes)] if nodes else None

        def run(pod: JsonObject) -> JsonObject:
            if host is not None:
                pod["spec"].setdefault("nodeName", host.name)
            pod["status"] = running_status(pod, address, started=self._store.now())
            return pod

        return self._store.patch(PODS, *key, run).decode()

    async def _expose(self, key: ObjectKey, address: str, pod: JsonObject) -> None:
        annotations = pod["metadata"].get("annotations") or {}
        port = _metrics_port(pod, annotations)
        if port and _is_loopback(address):
            path = annotations.get("prometheus.io/path", "/metrics")
            try:
                await self._exporters.open(key, address, port, path=path, annotations=annotations)
            except (OSError, ValueError, OverflowError) as error:
                with suppress(Refusal):  # the pod may be gone by now
                    self._store.patch(PODS, *key, partial(_crashing, why=str(error)))


def _has_crashed(pod: JsonObject) -> bool:
    statuses = pod["status"].get("containerStatuses") or []
    return any("waiting" in (one.get("state") or {}) for one in statuses)


def _crashing(pod: JsonObject, *, why: str) -> JsonObject:
    """The pod as it looks when its process cannot listen where it should."""
    for condition in pod["status"].get("conditions") or []:
        if condition["type"] in ("Ready", "ContainersReady"):
            condition["status"] = "False"
    for container in pod["status"].get("containerStatuses") or []:
        container["ready"] = False
        container["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": why}}
    return pod


class EndpointController:
    """Keeps an Endpoints object and an endpoint slice for every service that has a selector."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def sync_namespace(self, namespace: str) -> None:
        """Bring the endpoints of all services of a namespace up to date."""
        pods = [stored.decode() for stored in self._store.list(PODS, namespace)]
        for stored in self._store.list(SERVICES, namespace):
            service = stored.decode()
            if not service["spec"].get("selector"):
                continue
            backing = [pod for pod in pods if selects(service, pod["metadata"].get("labels") or {})]
            for wanted in (endpoints(service, backing), endpoint_slice(service, backing)):
                self._put(wanted)

    def forget_service(self, key: ObjectKey) -> None:
        """Delete what belonged to a service that is gone."""
        for resource, name in ((ENDPOINTS, key[1]), (ENDPOINTSLICES, f"{key[1]}-slice")):
            if _find(self._store, resource, (key[0], name)) is not None:
                self._store.delete(resource, key[0], name)

    def _put(self, wanted: JsonObject) -> None:
        resource, metadata = of_object(wanted), wanted["metadata"]
        key = (metadata["namespace"], metadata["name"])
        if _find(self._store, resource, key) is None:
            self._store.add(wanted)
        else:
            self._store.replace(resource, *key, wanted)


class Controllers:
    """Runs the kubelet and the endpoint controller: whatever changes in the store is looked at soon after."""

    def __init__(self, store: ObjectStore, exporters: Exporters, net: int) -> None:
        self._store = store
        self._kubelet = Kubelet(store, exporters, net)
        self._endpoints = EndpointController(store)
        self._dirty: dict[tuple[Resource, ObjectKey], None] = {}
        self._work = asyncio.Event()
        self._idle = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        for resource in (NODES, PODS, SERVICES):
            for stored in self._store.list(resource):
                self._mark(resource, stored.key)
        unsubscribe = self._store.subscribe(self._on_change)
        try:
            while True:
                await self._sync_dirty()
                self._idle.set()
                self._work.clear()
                await self._work.wait()
        finally:
            unsubscribe()

    async def settled(self) -> None:
        """Wait until everything that changed so far was looked at."""
        await self._idle.wait()

    def _on_change(self, change: Change) -> None:
        if change.resource in (PODS, NODES, SERVICES):
            self._mark(change.resource, change.key)

    def _mark(self, resource: Resource, key: ObjectKey) -> None:
        self._dirty[resource, key] = None
        self._idle.clear()
        self._work.set()

    async def _sync_dirty(self) -> None:
        while self._dirty:
            batch, self._dirty = self._dirty, {}
            namespaces: dict[str, None] = {}
            for resource, key in batch:
                if resource is NODES:
                    await self._kubelet.sync_node(key)
                    continue
                if resource is PODS:
                    await self._kubelet.sync_pod(key)
                elif _find(self._store, SERVICES, key) is None:
                    self._endpoints.forget_service(key)
                namespaces[key[0]] = None
            for namespace in namespaces:
                self._endpoints.sync_namespace(namespace)


def _find(store: ObjectStore, resource: Resource, key: ObjectKey) -> JsonObject | None:
    try:
        stored: Stored = store.get(resource, *key)
    except Refusal:
        return None
    return stored.decode()


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _metrics_port(pod: JsonObject, annotations: Mapping[str, str]) -> int:
    named = annotations.get("prometheus.io/port", "")
    if named.isdigit():
        return int(named)
    ports = [port for container in pod["spec"].get("containers", []) for port in container.get("ports") or []]
    ports.sort(key=lambda port: "metrics" not in port.get("name", ""))
    return int(ports[0]["containerPort"]) if ports else 0
