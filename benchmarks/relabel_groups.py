"""The target groups that the relabelling benchmark works on: those of the discovery benchmark's cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from promscout.discovery.kubernetes.endpointslice import build_endpoint_slice
from promscout.discovery.kubernetes.joined import Joined
from promscout.discovery.kubernetes.pod import build_pod
from promscout.kube.objects import EndpointSlice, Pod, Service, object_key
from promscout.kube.sharing import StringPool
from promscout.model.group import GroupKey, TargetGroup
from promscout.model.labels import ADDRESS
from promscout.sim import resources
from promscout.sim.bench_population import bench_pod, populate_bench
from promscout.sim.store import ObjectStore

PORTS: Final = 3
"""Targets of a pod. Every second pod is kept, and the annotation that names a port makes its targets equal."""

PROVIDER: Final = "kubernetes/0"
FILE_LABEL: Final = "__meta_filepath"
_PODS_PER_NODE: Final = 50
_SCRAPE: Final = "prometheus.io/scrape"
_CHANGING: Final = "app.kubernetes.io/version"
_POD_NAME: Final = "__meta_kubernetes_pod_name"

T = TypeVar("T")


class FileGroup(msgspec.Struct):
    """A group as the files of file_sd have it: its labels are those of each of its targets."""

    targets: list[str]
    labels: dict[str, str]


def write_pods(path: Path, count: int) -> None:
    """Write ``count`` pods as one JSON document each line, with no more in them than discovery reads."""
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Pod).decode
    nodes = max(1, count // _PODS_PER_NODE)
    with path.open("wb") as lines:
        for index in range(count):
            lines.write(encode(decode(encode(bench_pod(index, nodes)))) + b"\n")


def read_pods(path: Path) -> list[Pod]:
    """The pods as discovery keeps them: equal strings are one object."""
    decode, pool = msgspec.json.Decoder(Pod).decode, StringPool()
    pods = []
    with path.open("rb") as lines:
        for line in lines:
            pod = decode(line)
            pool.share(pod)
            pods.append(pod)
    return pods


def is_kept(pod: Pod) -> bool:
    """Whether the rules keep the pod's targets."""
    return (pod.metadata.annotations or {}).get(_SCRAPE) == "true"


def group_of(pod: Pod) -> TargetGroup:
    """The pod's target group."""
    return build_pod(f"pod/{object_key(pod)}", pod, Joined())


def keyed(groups: Iterable[TargetGroup]) -> dict[GroupKey, TargetGroup]:
    """The groups as a pool gets them."""
    return {(PROVIDER, group.source): group for group in groups}


def with_another_label(pod: Pod) -> Pod:
    """The pod after a change that its target shows: it becomes another target."""
    labels = {**(pod.metadata.labels or {}), _CHANGING: "1.2.4"}
    return msgspec.structs.replace(pod, metadata=msgspec.structs.replace(pod.metadata, labels=labels))


def with_another_phase(pod: Pod) -> Pod:
    """The pod after a change that its discovered labels show, but its target does not."""
    return msgspec.structs.replace(pod, status=msgspec.structs.replace(pod.status, phase="Unknown"))


def pod_file_groups(pods: Iterable[Pod]) -> Iterator[FileGroup]:
    """A file group for each pod: the labels of its containers and ports, which differ by target, are left out."""
    for pod in pods:
        group = group_of(pod)
        labels = group.labels.as_dict() | group.bases[0].as_dict()
        yield FileGroup([row[ADDRESS] for row in group.targets], labels)


def slice_file_groups(pods: int) -> Iterator[FileGroup]:
    """A file group for each target of the endpoint slices of a cluster with ``pods`` pods."""
    store = ObjectStore()
    populate_bench(store, pods)
    services = {object_key(one): one for one in _objects(store, resources.SERVICES, Service)}
    found = {object_key(one): one for one in _objects(store, resources.PODS, Pod)}
    joined = Joined(service=services.get, pod=found.get)
    for endpoint_slice in _objects(store, resources.ENDPOINTSLICES, EndpointSlice):
        group = build_endpoint_slice(object_key(endpoint_slice), endpoint_slice, joined)
        for position in range(len(group.targets)):
            labels = group.labels_of(position)
            yield FileGroup([labels.pop(ADDRESS)], labels)


def _objects(store: ObjectStore, resource: resources.Resource, kind: type[T]) -> Iterator[T]:
    decode = msgspec.json.Decoder(kind).decode
    return (decode(stored.body) for stored in store.list(resource))


def with_one_changed(groups: Sequence[FileGroup], place: int) -> list[FileGroup]:
    """The groups after the pod of one of them got another name, which its targets show."""
    before = groups[place]
    changed = FileGroup(before.targets, before.labels | {_POD_NAME: f"{before.labels[_POD_NAME]}-changed"})
    return [*groups[:place], changed, *groups[place + 1 :]]


def write_file_groups(path: Path, groups: Sequence[FileGroup]) -> None:
    """Write a file for file_sd."""
    path.write_bytes(msgspec.json.encode(groups))


def read_file_groups(path: Path, shown: str) -> dict[GroupKey, TargetGroup]:
    """The groups of a file, with the label that Prometheus adds: the file's path, ``shown``."""
    groups = msgspec.json.decode(path.read_bytes(), type=list[FileGroup])
    return keyed(
        TargetGroup.of(
            f"{shown}:{number}", [{ADDRESS: address} for address in group.targets], group.labels | {FILE_LABEL: shown}
        )
        for number, group in enumerate(groups)
    )
