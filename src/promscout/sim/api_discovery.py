"""The documents by which clients find out what a cluster serves: versions, groups, resources, and their OpenAPI."""

from __future__ import annotations

from typing import Final

from promscout.sim.resources import RESOURCES, JsonObject, Resource

VERSION: Final = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "promscout-sim",
    "gitTreeState": "",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "none",
    "platform": "linux/amd64",
}
_VERBS: Final = ["create", "delete", "get", "list", "patch", "update", "watch"]


def document(path: str) -> JsonObject | None:  # noqa: PLR0911 - a table of paths
    """The discovery document at ``path`` (without a trailing slash), or None when there is none."""
    match path.strip("/").split("/"):
        case ["version"]:
            return dict(VERSION)
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(one) for one in _groups()]}
        case ["api", version]:
            return _resource_list("", version)
        case ["apis", group] if group in _groups():
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["apis", group, version]:
            return _resource_list(group, version)
        case ["openapi", "v3"]:
            roots = {one.path().rsplit("/", 1)[0] for one in RESOURCES}
            return {"paths": {root[1:]: {"serverRelativeURL": f"/openapi/v3{root}"} for root in sorted(roots)}}
        case ["openapi", "v3", *rest]:
            return _openapi("/" + "/".join(rest))
    return None


def _groups() -> list[str]:
    return sorted({one.group for one in RESOURCES if one.group})


def _group(group: str) -> JsonObject:
    version = next(one.version for one in RESOURCES if one.group == group)
    served = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [served], "preferredVersion": served}


def _resource_list(group: str, version: str) -> JsonObject | None:
    served = [one for one in RESOURCES if (one.group, one.version) == (group, version)]
    if not served:
        return None
    entries = [entry for one in served for entry in _entries(one)]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": served[0].api_version,
        "resources": entries,
    }


def _entries(resource: Resource) -> list[JsonObject]:
    entry: JsonObject = {
        "name": resource.plural,
        "singularName": resource.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _VERBS,
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    entries = [entry]
    if resource.has_status:
        entries.append(
            {
                "name": f"{resource.plural}/status",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": ["get", "patch", "update"],
            }
        )
    return entries


def _openapi(root: str) -> JsonObject | None:
    """Enough of OpenAPI for kubectl to see that field validation is the server's business."""
    served = [one for one in RESOURCES if one.path().rsplit("/", 1)[0] == root]
    if not served:
        return None
    parameters = [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}]
    paths = {}
    for one in served:
        scope = "{namespace}" if one.namespaced else ""
        kind = {"group": one.group, "version": one.version, "kind": one.kind}
        operation = {"parameters": parameters, "x-kubernetes-group-version-kind": kind, "responses": {}}
        paths[one.path(scope, "{name}")] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.36.2"}, "paths": paths}
