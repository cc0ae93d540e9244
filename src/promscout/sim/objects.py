"""Objects as the store keeps them: JSON bytes made once, with the few facts that selecting and addressing need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import msgspec

from promscout.sim.resources import JsonObject, Resource
from promscout.sim.status import bad_request

ObjectKey: TypeAlias = tuple[str, str]
"""Namespace (empty for cluster-wide objects) and name."""


def sort_key(key: ObjectKey) -> str:
    """What objects are listed by: the path under which etcd keeps them, so that namespace ``a-b`` precedes ``a``."""
    return f"{key[0]}/{key[1]}"


ADDED: Final = "ADDED"
MODIFIED: Final = "MODIFIED"
DELETED: Final = "DELETED"

_METADATA_ORDER: Final = (
    "name",
    "generateName",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "labels",
    "annotations",
    "ownerReferences",
    "finalizers",
    "managedFields",
)


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of one object. ``body`` is its JSON as an item of a list has it: without kind and apiVersion."""

    resource: Resource
    namespace: str
    name: str
    revision: int
    body: bytes
    labels: Mapping[str, str]
    fields: Mapping[str, str]

    @property
    def key(self) -> ObjectKey:
        """Its place among the objects of its resource."""
        return self.namespace, self.name

    @property
    def single(self) -> bytes:
        """The JSON of the object on its own, with kind and apiVersion."""
        return self.resource.opening + self.body[1:]

    def decode(self) -> JsonObject:
        """A fresh copy of the object, without kind and apiVersion."""
        obj: JsonObject = msgspec.json.decode(self.body)
        return obj

    def stamped(self, revision: int) -> Stored:
        """The same content under another resource version: how a watch shows an object that is gone."""
        obj = self.decode()
        obj["metadata"]["resourceVersion"] = str(revision)
        return replace(self, revision=revision, body=msgspec.json.encode(obj))


def encode(resource: Resource, obj: JsonObject, revision: int) -> Stored:
    """``obj`` as stored at ``revision``: metadata in the server's order, ``kind`` and ``apiVersion`` dropped.

    Raises:
        Refusal: 400 for labels or annotations that are not strings.
    """
    given: dict[str, Any] = obj["metadata"]
    given["resourceVersion"] = str(revision)
    for key in ("labels", "annotations"):
        _check_strings(given.get(key) or {}, key)
    metadata = {key: given[key] for key in _METADATA_ORDER if given.get(key) not in (None, "", {}, [])}
    metadata.update((key, value) for key, value in given.items() if key not in _METADATA_ORDER)
    rest = {key: value for key, value in obj.items() if key not in ("metadata", "kind", "apiVersion")}
    namespace, name = given.get("namespace") or "", given["name"]
    fields = {label: get(obj) for label, get in resource.fields.items()}
    fields["metadata.name"], fields["metadata.namespace"] = name, namespace
    body = msgspec.json.encode({"metadata": metadata, **rest})
    return Stored(resource, namespace, name, revision, body, metadata.get("labels") or {}, fields)


def _check_strings(values: object, key: str) -> None:
    if isinstance(values, dict) and all(isinstance(one, str) for one in values.values()):
        return
    raise bad_request(f"json: cannot unmarshal into Go struct field ObjectMeta.metadata.{key} of type string")


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to one object at one revision: ``before`` None means created, ``after`` None means deleted.

    ``frames`` remembers what encodings made of the change, so that all watchers share the same bytes.
    """

    revision: int
    before: Stored | None
    after: Stored | None
    frames: dict[tuple[str, str], bytes] = field(default_factory=dict, compare=False, repr=False)

    @property
    def resource(self) -> Resource:
        """The resource of the object."""
        return self._either.resource

    @property
    def key(self) -> ObjectKey:
        """Namespace and name of the object."""
        return self._either.key

    @property
    def _either(self) -> Stored:
        either = self.after or self.before
        if either is None:
            raise ValueError("a change without an object")
        return either

    def shown_as(self, event_type: str) -> Stored:
        """The version that an event of this type carries: the last one, restamped, when the object is gone."""
        if event_type != DELETED and self.after is not None:
            return self.after
        if self.before is None:
            raise ValueError("an object that never was cannot go")
        return self.before.stamped(self.revision)
