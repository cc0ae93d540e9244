"""The routes below ``/api/v1``, and what is the same for all of them."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from promscout.web.answers import failure
from promscout.web.api import document as api_document
from promscout.web.api import notifications
from promscout.web.api import status as api_status
from promscout.web.api import targets as api_targets
from promscout.web.api import unavailable as api_unavailable
from promscout.web.api.cors import allow_origins
from promscout.web.api.endpoints import not_ready, register
from promscout.web.view import OPTIONS, PREFIX, VIEW

ENDPOINTS: Final = (
    *api_targets.ENDPOINTS,
    *api_status.ENDPOINTS,
    *notifications.ENDPOINTS,
    *api_unavailable.ENDPOINTS,
    *api_document.ENDPOINTS,
)


@web.middleware
async def refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What is not there, in the API's own shape; what may not be done, as Prometheus says it; and OPTIONS.

    As in Prometheus, OPTIONS is answered for any path below the API's.
    """
    path = request.path.removeprefix(request.app[PREFIX])
    if not path.startswith("/api/"):
        return await handler(request)
    if request.method == hdrs.METH_OPTIONS and path.startswith("/api/v1/"):
        return web.Response(status=204) if request.app[VIEW].ready else not_ready(request)
    try:
        return await handler(request)
    except web.HTTPNotFound:
        return failure("not_found", f"no such endpoint: {request.path}")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted({*error.allowed_methods, hdrs.METH_OPTIONS}))
        return web.Response(text="Method Not Allowed\n", status=405, headers={hdrs.ALLOW: allowed})


def add_routes(app: web.Application) -> None:
    """Register the API with ``app``."""
    register(app, ENDPOINTS)
    notifications.add_routes(app)
    allow_origins(app, app[OPTIONS].cors_origin)
