"""Carries out write requests on the store with the rules that belong to the API rather than to storage.

A status is written through the ``status`` subresource only, and everything else not through it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import yaml

from promscout.sim import status
from promscout.sim.objects import Stored
from promscout.sim.patching import APPLY, PATCH_TYPES, apply_patch
from promscout.sim.resources import NAMESPACES, RESOURCES, JsonObject
from promscout.sim.routes import Route
from promscout.sim.store import ObjectStore


def decode_body(raw: bytes, *, yaml_too: bool = False) -> Any:  # noqa: ANN401 - decoded JSON
    """The JSON (or YAML) of a request.

    Raises:
        Refusal: 400.
    """
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if not yaml_too:
            raise status.bad_request("the request body is not JSON") from None
    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError:
        raise status.bad_request("the request body is neither JSON nor YAML") from None


def _object(raw: bytes, route: Route) -> JsonObject:
    obj = decode_body(raw)
    if not isinstance(obj, dict) or not isinstance(obj.get("metadata", {}), dict):
        raise status.bad_request("the request body is not an object with metadata")
    resource = route.resource
    given, wanted = (obj.get("apiVersion"), obj.get("kind")), (resource.api_version, resource.kind)
    # A body may leave out what the path says already; it may not say otherwise.
    if any(said not in (None, "", expected) for said, expected in zip(given, wanted, strict=True)):
        raise status.bad_request(
            f"the API version and kind in the data ({given[0]}, {given[1]}) "
            f"do not match the expected ({wanted[0]}, {wanted[1]})"
        )
    return obj


def create(store: ObjectStore, route: Route, raw: bytes) -> Stored:
    """POST to a collection. The status is the server's to set, except where the kind's writers own it (nodes)."""
    obj = _object(raw, route)
    return _create(store, route, obj)


def _create(store: ObjectStore, route: Route, obj: JsonObject) -> Stored:
    initial = route.resource.initial_status
    if route.resource.has_status and initial is not None:
        obj = {**obj, "status": dict(initial)}
    return store.create(route.resource, obj, route.namespace)


def update(store: ObjectStore, route: Route, raw: bytes) -> Stored:
    """PUT to an object or its status."""
    obj = _object(raw, route)
    limit = _limited(route)
    old = store.get(route.resource, route.namespace, route.name)
    return store.replace(route.resource, route.namespace, route.name, limit(old.decode(), obj))


def patch(store: ObjectStore, route: Route, raw: bytes, media_type: str) -> tuple[Stored, bool]:
    """PATCH of an object or its status; server-side apply creates what is missing. The flag tells "created"."""
    if media_type not in PATCH_TYPES:
        raise status.unsupported_media_type(", ".join(PATCH_TYPES))
    decoded = decode_body(raw, yaml_too=media_type == APPLY)
    limit = _limited(route)
    if media_type == APPLY and not route.subresource and not _exists(store, route):
        body = apply_patch({}, decoded, media_type)
        return _create(store, route, {**body, "metadata": {**body.get("metadata", {}), "name": route.name}}), True

    def change(obj: JsonObject) -> JsonObject:
        before = msgspec.json.decode(msgspec.json.encode(obj))  # JSON patches edit in place
        # A patch without a resource version of its own asks for no check.
        obj["metadata"].pop("resourceVersion", None)
        return limit(before, apply_patch(obj, decoded, media_type))

    return store.patch(route.resource, route.namespace, route.name, change), False


def delete(store: ObjectStore, route: Route, raw: bytes) -> Stored:
    """DELETE of an object; preconditions in the body are honoured."""
    wanted = (decode_body(raw, yaml_too=True) or {}).get("preconditions") or {} if raw else {}
    stored = store.get(route.resource, route.namespace, route.name)
    if wanted.get("resourceVersion", str(stored.revision)) != str(stored.revision):
        raise status.conflict(route.resource, route.name)
    if "uid" in wanted and wanted["uid"] != stored.decode()["metadata"]["uid"]:
        raise status.conflict(route.resource, route.name)
    if route.resource is NAMESPACES:
        _empty_namespace(store, route.name)
    return store.delete(route.resource, route.namespace, route.name)


def _empty_namespace(store: ObjectStore, namespace: str) -> None:
    """What the namespace controller does; other owners' dependants are left to their controllers, which are absent."""
    for resource in RESOURCES:
        if resource.namespaced:
            for stored in store.list(resource, namespace):
                store.delete(resource, *stored.key)


def _exists(store: ObjectStore, route: Route) -> bool:
    try:
        store.get(route.resource, route.namespace, route.name)
    except status.Refusal:
        return False
    return True


def _limited(route: Route) -> Callable[[JsonObject, JsonObject], JsonObject]:
    """What of a new object counts: the status alone, or everything but the status."""
    if not route.resource.has_status:
        return lambda _, new: new

    def keep(old: JsonObject, new: JsonObject) -> JsonObject:
        only_status = bool(route.subresource)
        result = {key: value for key, value in (old if only_status else new).items() if key != "status"}
        result["metadata"] = new.get("metadata") or {}
        source = new if only_status else old
        if "status" in source:
            result["status"] = source["status"]
        return result

    return keep
