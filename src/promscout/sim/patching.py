"""The four patch types of the API: JSON merge, JSON patch, strategic merge, server-side apply (as a merge).

Sources: RFC 7386, RFC 6902; for list merge keys the ``patchMergeKey`` markers of the Kubernetes API types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from promscout.sim.resources import JsonObject
from promscout.sim.status import Refusal, bad_request

MERGE: Final = "application/merge-patch+json"
JSON: Final = "application/json-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
APPLY: Final = "application/apply-patch+yaml"
PATCH_TYPES: Final = (JSON, MERGE, STRATEGIC, APPLY)

# A list that is not named here is replaced as a whole. Where a list may have one of several keys, the first that all
# members carry counts (a service's ports merge by "port", a container's by "containerPort").
_MERGE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "addresses": ("type", "ip"),
    "conditions": ("type",),
    "containers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "initContainers": ("name",),
    "ownerReferences": ("uid",),
    "podIPs": ("ip",),
    "ports": ("containerPort", "port"),
    "taints": ("key",),
    "topologySpreadConstraints": ("topologyKey",),
    "volumeDevices": ("devicePath",),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}


def apply_patch(obj: JsonObject, patch: Any, media_type: str) -> JsonObject:  # noqa: ANN401 - decoded JSON
    """``obj`` changed by a decoded patch. ``obj`` is used up.

    Raises:
        Refusal: 400 for a patch that is not of the shape of its type, 422 for a JSON patch that does not apply.
    """
    if media_type == JSON:
        if not isinstance(patch, list):
            raise bad_request("a JSON patch is a list of operations")
        result = _json_patch(obj, patch)
    elif not isinstance(patch, dict):
        raise bad_request("the patch is not an object")
    else:
        result = merge_patch(obj, patch) if media_type == MERGE else strategic_merge(obj, patch)
    if not isinstance(result, dict):
        raise bad_request("the patch leaves no object")
    return result


def merge_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - decoded JSON
    """RFC 7386: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def strategic_merge(target: Any, patch: Any, name: str = "") -> Any:  # noqa: ANN401 - decoded JSON
    """Merge with lists merged by key, ``$patch: delete|replace``, ``$retainKeys`` and ``$deleteFromPrimitiveList``."""
    if isinstance(patch, list):
        return _merge_lists(target if isinstance(target, list) else [], patch, name)
    if not isinstance(patch, dict):
        return patch
    if patch.get("$patch") == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    result = dict(target) if isinstance(target, dict) else {}
    if "$retainKeys" in patch:
        result = {key: value for key, value in result.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            field = key.partition("/")[2]
            result[field] = [one for one in result.get(field, []) if one not in value]
        elif key.startswith("$"):
            continue
        elif value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
            result.pop(key, None)
        else:
            result[key] = strategic_merge(result.get(key), value, key)
    return result


def _merge_lists(target: list[Any], patch: list[Any], name: str) -> list[Any]:
    if name == "finalizers":
        return [*target, *(one for one in patch if one not in target)]
    members = [one for one in [*target, *patch] if isinstance(one, dict)]
    if {"$patch": "replace"} in patch:
        return [one for one in patch if one != {"$patch": "replace"}]
    key = next((key for key in _MERGE_KEYS.get(name, ()) if members and all(key in one for one in members)), None)
    if key is None:
        return patch
    merged = {one[key]: one for one in target}
    for one in patch:
        if one.get("$patch") == "delete":
            merged.pop(one[key], None)
        else:
            merged[one[key]] = strategic_merge(merged.get(one[key]), one)
    return list(merged.values())


def _json_patch(obj: Any, operations: list[Any]) -> Any:  # noqa: ANN401 - decoded JSON
    for operation in operations:
        try:
            obj = _operate(obj, operation)
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            message = f"the server rejected our request due to an error in our request: {operation}"
            raise Refusal(422, "Invalid", message, details={}) from error
    return obj


def _operate(obj: Any, operation: Mapping[str, Any]) -> Any:  # noqa: ANN401 - decoded JSON
    kind, path = operation["op"], _pointer(operation["path"])
    match kind:
        case "add":
            return _set(obj, path, operation["value"], insert=True)
        case "replace":
            _find(obj, path)
            return _set(obj, path, operation["value"], insert=False)
        case "remove":
            _remove(obj, path)
            return obj
        case "move":
            source = _pointer(operation["from"])
            value = _find(obj, source)
            _remove(obj, source)
            return _set(obj, path, value, insert=True)
        case "copy":
            return _set(obj, path, _find(obj, _pointer(operation["from"])), insert=True)
        case "test":
            if _find(obj, path) != operation["value"]:
                raise ValueError("test failed")
            return obj
    raise ValueError(f"unknown operation {kind}")


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError("a JSON pointer starts with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _find(obj: Any, path: list[str]) -> Any:  # noqa: ANN401 - decoded JSON
    for part in path:
        obj = obj[int(part)] if isinstance(obj, list) else obj[part]
    return obj


def _set(obj: Any, path: list[str], value: Any, *, insert: bool) -> Any:  # noqa: ANN401 - decoded JSON
    if not path:
        return value
    parent, last = _find(obj, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif last == "-":
        parent.append(value)
    elif insert:
        if int(last) > len(parent):
            raise IndexError(last)
        parent.insert(int(last), value)
    else:
        parent[int(last)] = value
    return obj


def _remove(obj: Any, path: list[str]) -> None:  # noqa: ANN401 - decoded JSON
    parent, last = _find(obj, path[:-1]), path[-1]
    if isinstance(parent, list):
        del parent[int(last)]
    else:
        del parent[last]
