"""The OpenAPI document, as an endpoint."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import web

from promscout.web.answers import JSON
from promscout.web.api.endpoints import Endpoint
from promscout.web.view import PREFIX, ROOT

_YAML: Final = "application/yaml"


async def as_yaml(request: web.Request) -> web.Response:
    """The document as YAML."""
    return web.Response(body=await _document(request, _YAML), content_type=_YAML, charset="utf-8")


async def as_json(request: web.Request) -> web.Response:
    """The document as JSON."""
    return web.Response(body=await _document(request, JSON), content_type=JSON)


async def _document(request: web.Request, content_type: str) -> bytes:
    from promscout.web.api.openapi import encoded  # noqa: PLC0415 - for agents whose document is asked for

    app = request.app
    paths = frozenset(resource.canonical.removeprefix(app[PREFIX]) for resource in app.router.resources())
    return await asyncio.to_thread(encoded, paths, app[ROOT], content_type)


ENDPOINTS: Final = (
    Endpoint(
        path="/api/v1/openapi.yaml",
        handler=as_yaml,
        summary="This document as YAML",
        group="features",
        answer=dict[str, Any],
        enveloped=False,
        content_type=_YAML,
    ),
    Endpoint(
        path="/api/v1/openapi.json",
        handler=as_json,
        summary="This document as JSON",
        group="features",
        answer=dict[str, Any],
        enveloped=False,
    ),
)
