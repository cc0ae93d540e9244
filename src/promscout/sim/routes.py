"""What a URL path of the Kubernetes API is about."""

from __future__ import annotations

from dataclasses import dataclass

from promscout.sim.resources import NAMESPACES, Resource, by_plural


@dataclass(frozen=True, slots=True)
class Route:
    """A collection (no ``name``), an object, or a subresource of an object. ``namespace`` empty means all."""

    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_route(path: str) -> Route | None:  # noqa: PLR0911 - one return for each way not to be a route
    """The route of a path under ``/api`` or ``/apis``, or None when the cluster serves nothing there."""
    match path.strip("/").split("/"):
        case ["api", version, *rest]:
            group = ""
        case ["apis", group, version, *rest]:
            pass
        case _:
            return None
    if not rest or len(rest) > 5:
        return None
    namespace = ""
    # /namespaces/x/status is a subresource of a namespace; /namespaces/x/pods is a collection in it.
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] != "status":
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3:
        return None
    plural, name, subresource = (*rest, "", "")[:3]
    resource = by_plural(group, version, plural)
    if resource is None or (namespace and not resource.namespaced):
        return None
    if subresource and (subresource != "status" or not resource.has_status):
        return None
    if name and resource.namespaced and not namespace and resource is not NAMESPACES:
        return None
    return Route(resource, namespace, name, subresource)
