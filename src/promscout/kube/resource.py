"""The API resources that discovery watches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from promscout.kube.objects import (
    Endpoints,
    EndpointSlice,
    Ingress,
    KubeObject,
    Namespace,
    Node,
    Owned,
    Pod,
    Service,
)

T = TypeVar("T", bound=KubeObject)


@dataclass(frozen=True, slots=True)
class Resource(Generic[T]):
    """A list- and watchable resource, with the projected type that its objects decode to.

    ``group_version`` is the URL prefix (``api/v1``, ``apis/discovery.k8s.io/v1``), ``plural`` the resource's name in
    URLs, in RBAC rules and in messages.
    """

    group_version: str
    plural: str
    type: type[T]

    def path(self, namespace: str = "") -> str:
        """The collection's URL path: of one namespace, or of the whole cluster when ``namespace`` is empty."""
        where = f"namespaces/{namespace}/" if namespace else ""
        return f"/{self.group_version}/{where}{self.plural}"


PODS: Final[Resource[Pod]] = Resource("api/v1", "pods", Pod)
NODES: Final[Resource[Node]] = Resource("api/v1", "nodes", Node)
NAMESPACES: Final[Resource[Namespace]] = Resource("api/v1", "namespaces", Namespace)
SERVICES: Final[Resource[Service]] = Resource("api/v1", "services", Service)
ENDPOINTS: Final[Resource[Endpoints]] = Resource("api/v1", "endpoints", Endpoints)
ENDPOINT_SLICES: Final[Resource[EndpointSlice]] = Resource("apis/discovery.k8s.io/v1", "endpointslices", EndpointSlice)
INGRESSES: Final[Resource[Ingress]] = Resource("apis/networking.k8s.io/v1", "ingresses", Ingress)
REPLICA_SETS: Final[Resource[Owned]] = Resource("apis/apps/v1", "replicasets", Owned)
JOBS: Final[Resource[Owned]] = Resource("apis/batch/v1", "jobs", Owned)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which part of a resource's collection: a namespace (empty: all) and selectors in the API's own syntax."""

    namespace: str = ""
    label_selector: str = ""
    field_selector: str = ""

    def described(self) -> dict[str, str]:
        """What narrows the scope, for log lines."""
        parts = {"namespace": self.namespace, "label": self.label_selector, "field": self.field_selector}
        return {name: value for name, value in parts.items() if value}

    def params(self) -> dict[str, str]:
        """The selectors as query parameters."""
        params = {}
        if self.label_selector:
            params["labelSelector"] = self.label_selector
        if self.field_selector:
            params["fieldSelector"] = self.field_selector
        return params


AnyResource = Resource[Any]
