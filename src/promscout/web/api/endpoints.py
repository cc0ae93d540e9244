"""What there is to ask for over HTTP: a table that makes the routes and the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from promscout.errors import InvalidValueError
from promscout.web.answers import JSON, failure, shortened
from promscout.web.view import VIEW

TEXT: Final = "text/plain"


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a URL says.

    ``type`` has the values that are understood; ``many``: it may be given repeatedly; ``example`` is one of the values.
    """

    name: str
    summary: str
    type: Any = str
    example: Any = None
    many: bool = False
    required: bool = False
    where: Literal["query", "path"] = "query"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """What can be asked for at one path, and what comes of it.

    ``answer`` is the type of a successful answer; of one with an envelope, as all have in Prometheus's API, that of its
    ``data``. ``success`` is its status, None where there is none. ``errors`` are the statuses of refusals, which have
    the API's shape unless answers are text. ``tagged`` says whether a client may ask with an entity tag.
    """

    path: str
    summary: str
    group: str
    methods: tuple[str, ...] = ("GET",)
    parameters: tuple[Parameter, ...] = ()
    answer: Any = None
    enveloped: bool = True
    content_type: str = JSON
    success: int | None = 200
    tagged: bool = True
    errors: tuple[int, ...] = ()


class Endpoint(Operation, frozen=True, kw_only=True):
    """An operation, and who carries it out.

    ``handler`` may raise ``InvalidValueError`` for what cannot be understood, which is a 400. What ``needs_ready`` is
    not answered while the agent starts up and shuts down.
    """

    handler: Handler
    needs_ready: bool = True


def register(app: web.Application, endpoints: Iterable[Endpoint]) -> None:
    """Make the routes. As in Prometheus, none answers HEAD."""
    for endpoint in endpoints:
        for method in endpoint.methods:
            app.router.add_route(method, endpoint.path, _served(endpoint))


def _served(endpoint: Endpoint) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        if endpoint.needs_ready and not request.app[VIEW].ready:
            return not_ready(request)
        try:
            response = await endpoint.handler(request)
        except InvalidValueError as error:
            return failure("bad_data", str(error))
        return await shortened(request, response) if isinstance(response, web.Response) else response

    return serve


def not_ready(request: web.Request) -> web.Response:
    """503 in Prometheus's words; a header says whether the agent is shutting down.

    Source: prometheus v3.x web/web.go testReady.
    """
    stopping = str(request.app[VIEW].stopping).lower()
    return web.Response(text="Service Unavailable", status=503, headers={"X-Prometheus-Stopping": stopping})
