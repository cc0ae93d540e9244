"""What the simulated cluster serves: each resource's names, its selectable fields, the shape of its empty object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

JsonObject: TypeAlias = dict[str, Any]  # an object of the API, decoded
FieldGetter: TypeAlias = Callable[[JsonObject], str]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _at(*path: str, default: str = "") -> FieldGetter:
    def get(obj: JsonObject) -> str:
        value: Any = obj
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return _text(value) or default

    return get


@dataclass(frozen=True, slots=True, eq=False)
class Resource:
    """One kind of object and how the API server treats it. Compared by identity: there is one instance per resource.

    ``fields`` are the field labels that a field selector may name besides ``metadata.name`` and
    ``metadata.namespace``. ``empty`` is what follows ``metadata`` in the body of a bookmark: the JSON of the kind's
    zero value. ``initial_status`` replaces the status that a client tries to create (None: the client's is kept).
    """

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    has_status: bool = True
    counts_generations: bool = True
    initial_status: Mapping[str, Any] | None = field(default_factory=dict)
    fields: Mapping[str, FieldGetter] = field(default_factory=dict)
    empty: bytes = b""

    @property
    def api_version(self) -> str:
        """``v1`` or ``apps/v1``."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name in error messages: ``pods`` or ``deployments.apps``."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def list_kind(self) -> str:
        """``PodList`` for ``Pod``."""
        return f"{self.kind}List"

    @property
    def opening(self) -> bytes:
        """How the JSON of a single object begins; a stored body follows without its brace."""
        return f'{{"kind":"{self.kind}","apiVersion":"{self.api_version}",'.encode()

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """The URL path of the collection, or of the object, or of its subresource."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace and self.namespaced else ""
        tail = "".join(f"/{part}" for part in (name, subresource) if part)
        return f"{root}{scope}/{self.plural}{tail}"


PODS: Final = Resource(
    "",
    "v1",
    "Pod",
    "pods",
    "pod",
    short_names=("po",),
    categories=("all",),
    initial_status={"phase": "Pending", "qosClass": "BestEffort"},
    fields={
        "spec.nodeName": _at("spec", "nodeName"),
        "spec.restartPolicy": _at("spec", "restartPolicy"),
        "spec.schedulerName": _at("spec", "schedulerName"),
        "spec.serviceAccountName": _at("spec", "serviceAccountName"),
        "spec.hostNetwork": _at("spec", "hostNetwork", default="false"),
        "status.phase": _at("status", "phase"),
        "status.podIP": _at("status", "podIP"),
        "status.nominatedNodeName": _at("status", "nominatedNodeName"),
    },
    empty=b',"spec":{"containers":null},"status":{}',
)
NODES: Final = Resource(
    "",
    "v1",
    "Node",
    "nodes",
    "node",
    namespaced=False,
    short_names=("no",),
    counts_generations=False,
    initial_status=None,
    fields={"spec.unschedulable": _at("spec", "unschedulable", default="false")},
    empty=b',"spec":{},"status":{"daemonEndpoints":{"kubeletEndpoint":{"Port":0}},"nodeInfo":{"machineID":"",'
    b'"systemUUID":"","bootID":"","kernelVersion":"","osImage":"","containerRuntimeVersion":"","kubeletVersion":"",'
    b'"kubeProxyVersion":"","operatingSystem":"","architecture":""}}',
)
NAMESPACES: Final = Resource(
    "",
    "v1",
    "Namespace",
    "namespaces",
    "namespace",
    namespaced=False,
    short_names=("ns",),
    counts_generations=False,
    initial_status={"phase": "Active"},
    fields={"name": _at("metadata", "name"), "status.phase": _at("status", "phase")},
    empty=b',"spec":{},"status":{}',
)
SERVICES: Final = Resource(
    "",
    "v1",
    "Service",
    "services",
    "service",
    short_names=("svc",),
    categories=("all",),
    counts_generations=False,
    initial_status={"loadBalancer": {}},
    fields={"spec.clusterIP": _at("spec", "clusterIP"), "spec.type": _at("spec", "type")},
    empty=b',"spec":{},"status":{"loadBalancer":{}}',
)
ENDPOINTS: Final = Resource(
    "", "v1", "Endpoints", "endpoints", "endpoints", short_names=("ep",), has_status=False, counts_generations=False
)
ENDPOINTSLICES: Final = Resource(
    "discovery.k8s.io",
    "v1",
    "EndpointSlice",
    "endpointslices",
    "endpointslice",
    has_status=False,
    empty=b',"addressType":"","endpoints":null,"ports":null',
)
INGRESSES: Final = Resource(
    "networking.k8s.io",
    "v1",
    "Ingress",
    "ingresses",
    "ingress",
    short_names=("ing",),
    initial_status={"loadBalancer": {}},
    empty=b',"spec":{},"status":{"loadBalancer":{}}',
)
_TEMPLATE = b'"template":{"metadata":{},"spec":{"containers":null}}'
DEPLOYMENTS: Final = Resource(
    "apps",
    "v1",
    "Deployment",
    "deployments",
    "deployment",
    short_names=("deploy",),
    categories=("all",),
    empty=b',"spec":{"selector":null,' + _TEMPLATE + b',"strategy":{}},"status":{}',
)
REPLICASETS: Final = Resource(
    "apps",
    "v1",
    "ReplicaSet",
    "replicasets",
    "replicaset",
    short_names=("rs",),
    categories=("all",),
    initial_status={"replicas": 0},
    fields={"status.replicas": _at("status", "replicas", default="0")},
    empty=b',"spec":{"selector":null,' + _TEMPLATE + b'},"status":{"replicas":0}',
)
JOBS: Final = Resource(
    "batch",
    "v1",
    "Job",
    "jobs",
    "job",
    categories=("all",),
    fields={"status.successful": _at("status", "succeeded", default="0")},
    empty=b',"spec":{' + _TEMPLATE + b'},"status":{}',
)
CRONJOBS: Final = Resource(
    "batch",
    "v1",
    "CronJob",
    "cronjobs",
    "cronjob",
    short_names=("cj",),
    categories=("all",),
    empty=b',"spec":{"schedule":"","jobTemplate":{"metadata":{},"spec":{' + _TEMPLATE + b'}}},"status":{}',
)

RESOURCES: Final = (
    PODS,
    NODES,
    NAMESPACES,
    SERVICES,
    ENDPOINTS,
    ENDPOINTSLICES,
    INGRESSES,
    DEPLOYMENTS,
    REPLICASETS,
    JOBS,
    CRONJOBS,
)

_BY_PLURAL: Final = {(one.group, one.version, one.plural): one for one in RESOURCES}
_BY_KIND: Final = {(one.api_version, one.kind): one for one in RESOURCES}


def by_plural(group: str, version: str, plural: str) -> Resource | None:
    """The resource of a URL path, or None when the cluster does not serve it."""
    return _BY_PLURAL.get((group, version, plural))


def of_object(obj: JsonObject) -> Resource:
    """The resource that an object with ``apiVersion`` and ``kind`` belongs to.

    Raises:
        LookupError: the cluster does not serve this kind.
    """
    key = (obj.get("apiVersion", ""), obj.get("kind", ""))
    if key not in _BY_KIND:
        raise LookupError(f"the simulated cluster does not serve {key[0]} {key[1]}")
    return _BY_KIND[key]
