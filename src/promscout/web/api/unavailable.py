"""The endpoints below ``/api/v1`` that an agent has only to say that it has none of them."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from promscout.web.answers import failure
from promscout.web.api.endpoints import Endpoint, Parameter

_READ: Final = ("GET",)
_ASK: Final = ("GET", "POST")
_CHANGE: Final = ("POST", "PUT")

_UNAVAILABLE: Final = {
    "query": _ASK,
    "query_range": _ASK,
    "query_exemplars": _ASK,
    "format_query": _ASK,
    "parse_query": _ASK,
    "labels": _ASK,
    "label/{name}/values": _READ,
    "series": _ASK,
    "search/metric_names": _ASK,
    "search/label_names": _ASK,
    "search/label_values": _ASK,
    "alertmanagers": _READ,
    "alerts": _READ,
    "rules": _READ,
    "status/tsdb": _READ,
    "status/tsdb/blocks": _READ,
    "admin/tsdb/delete_series": _CHANGE,
    "admin/tsdb/clean_tombstones": _CHANGE,
    "admin/tsdb/snapshot": _CHANGE,
}


async def unavailable(_request: web.Request) -> web.Response:
    """A refusal in the words by which clients of Prometheus know an agent.

    Source: prometheus v3.x web/api/v1/api.go wrapAgent.
    """
    return failure("execution", "unavailable with Prometheus Agent")


ENDPOINTS: Final = tuple(
    Endpoint(
        path=f"/api/v1/{path}",
        handler=unavailable,
        summary="Not there: nothing is stored here that could be asked for",
        group="unavailable",
        methods=methods,
        parameters=(Parameter(name="name", summary="A label.", example="job", required=True, where="path"),)
        if "{" in path
        else (),
        success=None,
        errors=(422,),
    )
    for path, methods in _UNAVAILABLE.items()
)
