"""Meta labels that several roles share."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from promscout.discovery.kubernetes.joined import Joined
from promscout.kube.objects import ObjectMeta
from promscout.model.labels import META_PREFIX, sanitize_label_name

# Names of labels are made once and shared: a name made anew for each target costs more than its value.
PREFIX: Final = META_PREFIX + "kubernetes_"
NAMESPACE: Final = PREFIX + "namespace"


@lru_cache(maxsize=65536)
def _names(role: str, kind: str, name: str) -> tuple[str, str]:
    """The label and its ``present`` twin for an object's label or annotation ``name``. Clusters repeat few names."""
    safe = sanitize_label_name(name)
    return f"{PREFIX}{role}_{kind}_{safe}", f"{PREFIX}{role}_{kind}present_{safe}"


@lru_cache(maxsize=16)
def _name_label(role: str) -> str:
    return f"{PREFIX}{role}_name"


def add_object_meta(labels: dict[str, str], meta: ObjectMeta, role: str) -> None:
    """Add the labels every object has: its name, its labels and its annotations, each with a ``present`` twin.

    Source: prometheus v3.x discovery/kubernetes/kubernetes.go addObjectMetaLabels.
    """
    labels[_name_label(role)] = meta.name
    _add_labels_and_annotations(labels, meta, role)


def add_namespace(labels: dict[str, str], namespace: str, joined: Joined) -> None:
    """Add what ``attach_metadata: {namespace: true}`` promises: the namespace's labels and annotations.

    Source: prometheus v3.x discovery/kubernetes/endpoints.go addNamespaceLabels.
    """
    if joined.namespace is not None:
        found = joined.namespace(namespace)
        if found is not None:
            _add_labels_and_annotations(labels, found.metadata, "namespace")


def add_node(labels: dict[str, str], name: str | None, joined: Joined) -> None:
    """Add what ``attach_metadata: {node: true}`` promises: the node's name, labels and annotations.

    Source: prometheus v3.x discovery/kubernetes/endpoints.go addNodeLabels.
    """
    if joined.node is not None and name is not None:
        node = joined.node(name)
        if node is not None:
            add_object_meta(labels, node.metadata, "node")


@lru_cache(maxsize=4096)
def port_text(port: int) -> str:
    """``port`` as a label value: one string for all targets that have it."""
    return str(port)


def _add_labels_and_annotations(labels: dict[str, str], meta: ObjectMeta, role: str) -> None:
    for kind, entries in (("label", meta.labels), ("annotation", meta.annotations)):
        for name, value in (entries or {}).items():
            label, present = _names(role, kind, name)
            labels[label] = value
            labels[present] = "true"
