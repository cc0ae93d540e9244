"""Tables: the server-side print columns that ``kubectl get`` asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from promscout.model.clock import Clock
from promscout.sim import resources
from promscout.sim.encoding import MetadataOnly
from promscout.sim.objects import Stored
from promscout.sim.resources import JsonObject, Resource

_NONE: Final = "<none>"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``priority`` 1 shows only with ``-o wide``; ``kind`` is the JSON type of its cells."""

    name: str
    cell: Callable[[JsonObject], Any]
    priority: int = 0
    kind: str = "string"

    def definition(self) -> JsonObject:
        """The column as a table's ``columnDefinitions`` have it."""
        is_name = self.name == "Name"
        return {
            "name": self.name,
            "type": self.kind,
            "format": "name" if is_name else "",
            "description": "",
            "priority": self.priority,
        }


def _get(obj: Any, *path: str, default: Any = None) -> Any:  # noqa: ANN401 - decoded JSON
    for key in path:
        obj = obj.get(key) if isinstance(obj, dict) else None
    return default if obj in (None, "") else obj


def _path(*path: str, default: Any = _NONE) -> Callable[[JsonObject], Any]:  # noqa: ANN401 - decoded JSON
    return lambda obj: _get(obj, *path, default=default)


def _containers(pod: JsonObject) -> Sequence[JsonObject]:
    found: Sequence[JsonObject] = _get(pod, "status", "containerStatuses", default=[])
    return found


def _pod_status(pod: JsonObject) -> str:
    if _get(pod, "metadata", "deletionTimestamp"):
        return "Terminating"
    reason: str = _get(pod, "status", "reason") or _get(pod, "status", "phase", default="Unknown")
    for one in reversed(_containers(pod)):
        for state in ("waiting", "terminated"):
            reason = _get(one, "state", state, "reason", default=reason)
    return reason


def _pod_ready(pod: JsonObject) -> str:
    ready = sum(1 for one in _containers(pod) if one.get("ready"))
    return f"{ready}/{len(_get(pod, 'spec', 'containers', default=[]))}"


def _restarts(pod: JsonObject) -> int:
    return sum(one.get("restartCount", 0) for one in _containers(pod))


def _node_status(node: JsonObject) -> str:
    conditions = {one["type"]: one["status"] for one in _get(node, "status", "conditions", default=[])}
    ready = {"True": "Ready", "False": "NotReady"}.get(conditions.get("Ready", ""), "Unknown")
    return ready + (",SchedulingDisabled" if _get(node, "spec", "unschedulable") else "")


def _node_roles(node: JsonObject) -> str:
    prefix = "node-role.kubernetes.io/"
    labels = _get(node, "metadata", "labels", default={})
    return ",".join(sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))) or _NONE


def _node_address(kind: str) -> Callable[[JsonObject], str]:
    def cell(node: JsonObject) -> str:
        addresses = _get(node, "status", "addresses", default=[])
        return next((one["address"] for one in addresses if one["type"] == kind), _NONE)

    return cell


def _ports(service: JsonObject) -> str:
    shown = []
    for port in _get(service, "spec", "ports", default=[]):
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        shown.append(f"{port['port']}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(shown) or _NONE


def _external_ip(service: JsonObject) -> str:
    if _get(service, "spec", "type") == "ExternalName":
        return str(_get(service, "spec", "externalName", default=_NONE))
    ingress = _get(service, "status", "loadBalancer", "ingress", default=[])
    return ",".join(one.get("ip") or one.get("hostname", "") for one in ingress) or _NONE


def _subsets(endpoints: JsonObject) -> str:
    shown = [
        f"{address['ip']}:{port['port']}"
        for subset in _get(endpoints, "subsets", default=[])
        for address in subset.get("addresses") or []
        for port in subset.get("ports") or []
    ]
    return _shorten(shown)


def _shorten(shown: Sequence[str]) -> str:
    more = f" + {len(shown) - 3} more..." if len(shown) > 3 else ""
    return ",".join(shown[:3]) + more or _NONE


def _ready_of(wanted: str, ready: str) -> Callable[[JsonObject], str]:
    return lambda obj: f"{_get(obj, 'status', ready, default=0)}/{_get(obj, 'spec', wanted, default=1)}"


def _job_status(job: JsonObject) -> str:
    conditions = {one["type"]: one["status"] for one in _get(job, "status", "conditions", default=[])}
    return next((kind for kind in ("Complete", "Failed") if conditions.get(kind) == "True"), "Running")


_COLUMNS: Final[Mapping[Resource, tuple[Column, ...]]] = {
    resources.PODS: (
        Column("Ready", _pod_ready),
        Column("Status", _pod_status),
        Column("Restarts", _restarts, kind="integer"),
        Column("IP", _path("status", "podIP"), 1),
        Column("Node", _path("spec", "nodeName"), 1),
    ),
    resources.NODES: (
        Column("Status", _node_status),
        Column("Roles", _node_roles),
        Column("Version", _path("status", "nodeInfo", "kubeletVersion")),
        Column("Internal-IP", _node_address("InternalIP"), 1),
    ),
    resources.NAMESPACES: (Column("Status", _path("status", "phase")),),
    resources.SERVICES: (
        Column("Type", _path("spec", "type")),
        Column("Cluster-IP", _path("spec", "clusterIP")),
        Column("External-IP", _external_ip),
        Column("Port(s)", _ports),
    ),
    resources.ENDPOINTS: (Column("Endpoints", _subsets),),
    resources.ENDPOINTSLICES: (
        Column("AddressType", _path("addressType")),
        Column("Ports", lambda obj: _shorten([str(one.get("port", "*")) for one in obj.get("ports") or []])),
        Column(
            "Endpoints",
            lambda obj: _shorten([ip for one in obj.get("endpoints") or [] for ip in one.get("addresses") or []]),
        ),
    ),
    resources.DEPLOYMENTS: (
        Column("Ready", _ready_of("replicas", "readyReplicas")),
        Column("Up-to-date", _path("status", "updatedReplicas", default=0), kind="integer"),
        Column("Available", _path("status", "availableReplicas", default=0), kind="integer"),
    ),
    resources.REPLICASETS: (
        Column("Desired", _path("spec", "replicas", default=1), kind="integer"),
        Column("Current", _path("status", "replicas", default=0), kind="integer"),
        Column("Ready", _path("status", "readyReplicas", default=0), kind="integer"),
    ),
    resources.JOBS: (Column("Status", _job_status), Column("Completions", _ready_of("completions", "succeeded"))),
    resources.CRONJOBS: (
        Column("Schedule", _path("spec", "schedule")),
        Column("Suspend", _path("spec", "suspend", default=False), kind="boolean"),
    ),
    resources.INGRESSES: (
        Column("Class", _path("spec", "ingressClassName")),
        Column(
            "Hosts",
            lambda obj: _shorten([one["host"] for one in _get(obj, "spec", "rules", default=[]) if one.get("host")]),
        ),
    ),
}


def age(seconds: float) -> str:
    """A length of time as kubectl prints it: ``45s``, ``12m``, ``3h``, ``8d``."""
    for size, unit, limit in ((1, "s", 120), (60, "m", 120 * 60), (3600, "h", 48 * 3600)):
        if seconds < limit:
            return f"{max(0, int(seconds)) // size}{unit}"
    return f"{int(seconds) // 86400}d"


class Table(MetadataOnly):
    """Objects as rows: cells in the order of the columns, and the object's metadata for kubectl's own use."""

    name = "table"

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def item(self, stored: Stored) -> bytes:
        """One row."""
        return msgspec.json.encode(self._row(stored))

    def single(self, stored: Stored) -> bytes:
        """A table of one row."""
        metadata = msgspec.json.encode({"resourceVersion": str(stored.revision)})
        return self.list_opening(stored.resource, metadata) + self.item(stored) + b"]}"

    def list_opening(self, resource: Resource, metadata: bytes) -> bytes:
        """The table with its column definitions."""
        columns = msgspec.json.encode([column.definition() for column in self._columns(resource)])
        return b'{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":%s,"columnDefinitions":%s,"rows":[' % (
            metadata,
            columns,
        )

    def empty(self, resource: Resource, metadata: bytes) -> bytes:
        """A table of one row whose object has the metadata."""
        table = self.list_opening(resource, b"{}")
        return table + b'{"cells":[],"object":%s}]}' % super().empty(resource, metadata)

    def _columns(self, resource: Resource) -> tuple[Column, ...]:
        first, last = Column("Name", _path("metadata", "name")), Column("Age", self._age)
        own = _COLUMNS.get(resource, ())
        wide = (column for column in own if column.priority)
        return (first, *(column for column in own if not column.priority), last, *wide)

    def _age(self, obj: JsonObject) -> str:
        created = _get(obj, "metadata", "creationTimestamp")
        if created is None:
            return "<unknown>"
        then = datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        return age(self._clock.now_ms() / 1000 - then)

    def _row(self, stored: Stored) -> JsonObject:
        obj = stored.decode()
        cells = [column.cell(obj) for column in self._columns(stored.resource)]
        shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
        return {"cells": cells, "object": shown}
