"""Equal parts of objects as one object: clusters repeat the same few words, labels and containers in every pod."""

from __future__ import annotations

from typing import Any, Final

from promscout.kube.objects import Endpoints, EndpointSlice, KubeObject, ObjectMeta, ObjectReference, Pod

LONGEST: Final = 64
"""Characters of a string worth sharing: longer ones (JSON in annotations) are rarely equal."""

CAPACITY: Final = 50_000
"""Strings and other values remembered at most, about 5 MB; then the pool starts anew, so that unique ones cannot fill
it."""

TABLES: Final = 10_000
"""Sets of labels or annotations remembered at most, about 3 MB; likewise."""


class StringPool:
    """Replaces parts of decoded objects by equal ones that it has seen before.

    What is shared: short strings that tend to repeat, and whole sets of labels, containers and owners, which replicas
    have in common.
    """

    def __init__(self) -> None:
        self._seen: dict[Any, Any] = {}
        self._tables: dict[tuple[str, ...], dict[str, str]] = {}

    def __len__(self) -> int:
        return len(self._seen) + len(self._tables)

    def clear(self) -> None:
        """Forget everything: later objects share with each other, and no longer with earlier ones."""
        self._seen = {}
        self._tables = {}

    def share(self, obj: KubeObject) -> None:
        """Share the parts of ``obj`` that tend to repeat; its value stays equal. Nobody may change them afterwards."""
        if len(self._seen) > CAPACITY:
            self._seen = {}
        if len(self._tables) > TABLES:
            self._tables = {}
        self._share_meta(obj.metadata)
        if isinstance(obj, Pod):
            self._share_pod(obj)
        elif isinstance(obj, EndpointSlice):
            self._share_slice(obj)
        elif isinstance(obj, Endpoints):
            self._share_endpoints(obj)

    def _share_meta(self, meta: ObjectMeta) -> None:
        one = self._seen.setdefault
        meta.namespace = one(meta.namespace, meta.namespace)
        if meta.labels:
            meta.labels = self._table(meta.labels)
        if meta.annotations:
            meta.annotations = self._table(meta.annotations)
        if meta.owner_references:
            meta.owner_references = one(meta.owner_references, meta.owner_references)

    def _table(self, table: dict[str, str]) -> dict[str, str]:
        key = (*table, *table.values())
        found = self._tables.setdefault(key, table)
        if found is table:
            one = self._seen.setdefault
            for name, value in table.items():
                if len(value) <= LONGEST:
                    table[name] = one(value, value)
        return found

    def _share_pod(self, pod: Pod) -> None:
        one, spec, status = self._seen.setdefault, pod.spec, pod.status
        spec.node_name = one(spec.node_name, spec.node_name)
        spec.containers = one(spec.containers, spec.containers)
        if spec.init_containers:
            spec.init_containers = one(spec.init_containers, spec.init_containers)
        status.phase = one(status.phase, status.phase)
        status.host_ip = one(status.host_ip, status.host_ip)
        for container_status in (*status.container_statuses, *status.init_container_statuses):
            container_status.name = one(container_status.name, container_status.name)

    def _share_slice(self, endpoint_slice: EndpointSlice) -> None:
        one = self._seen.setdefault
        endpoint_slice.ports = one(endpoint_slice.ports, endpoint_slice.ports)
        for endpoint in endpoint_slice.endpoints or ():
            endpoint.conditions = one(endpoint.conditions, endpoint.conditions)
            endpoint.node_name = one(endpoint.node_name, endpoint.node_name)
            endpoint.zone = one(endpoint.zone, endpoint.zone)
            if endpoint.target_ref is not None:
                self._share_reference(endpoint.target_ref)

    def _share_endpoints(self, endpoints: Endpoints) -> None:
        one = self._seen.setdefault
        for address in endpoints.addresses:
            address.node_name = one(address.node_name, address.node_name)
            if address.target_ref is not None:
                self._share_reference(address.target_ref)

    def _share_reference(self, ref: ObjectReference) -> None:
        one = self._seen.setdefault
        ref.kind = one(ref.kind, ref.kind)
        ref.namespace = one(ref.namespace, ref.namespace)
