"""The simulated cluster's API server: HTTP on loopback in front of an :class:`ObjectStore`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from promscout.model.clock import Clock, SystemClock
from promscout.sim import status, writing
from promscout.sim.api_discovery import document
from promscout.sim.encoding import METADATA_ONLY, PLAIN, Encoding
from promscout.sim.faults import Faults
from promscout.sim.listing import list_page
from promscout.sim.objects import Stored
from promscout.sim.query import is_true, list_options, watch_options
from promscout.sim.resources import ENDPOINTS, PODS
from promscout.sim.routes import Route, parse_route
from promscout.sim.status import Refusal
from promscout.sim.store import ObjectStore
from promscout.sim.streaming import gzipped, in_chunks
from promscout.sim.table import Table
from promscout.sim.watch import Watch

_JSON: Final = {"Content-Type": "application/json"}
_GZIP_FROM: Final = 128 * 1024  # bytes; smaller answers are not compressed, as in the real server
_LENGTH_BELOW: Final = 2048  # bytes; Go announces the length of answers that fit its buffer and chunks the others
_ABORTED: Final = 10.0  # seconds; the closed connection cancels the handler long before
_LOOPBACK: Final = "127.0.0.1"
_ENDPOINTS_WARNING: Final = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """A request as the server received it. ``path`` is decoded and without the query."""

    method: str
    path: str
    query: Mapping[str, str]
    user_agent: str

    @property
    def is_watch(self) -> bool:
        """Whether it asks for a watch."""
        return is_true(self.query, "watch")


class ApiServer:
    """Serves a store as a Kubernetes API server does.

    ``token``, when set, is the bearer token that every request needs (kubectl and other programs built on client-go
    send none over plain HTTP); ``user`` names the client in 403 messages.
    ``bookmark_interval`` and ``watch_timeout`` (for clients that ask for none) are in seconds. ``requests`` remembers
    the last 10,000 requests. ``faults`` may be changed at any time.
    """

    def __init__(
        self,
        store: ObjectStore,
        *,
        port: int = 0,
        token: str = "",
        user: str = "nobody",
        bookmark_interval: float = 60.0,
        watch_timeout: float = 1800.0,
        clock: Clock | None = None,
    ) -> None:
        self.store = store
        self.port = port
        self.token = token
        self.user = user
        self.bookmark_interval = bookmark_interval
        self.watch_timeout = watch_timeout
        self.faults = Faults()
        self.requests: deque[SeenRequest] = deque(maxlen=10_000)
        self._table = Table(clock or SystemClock())
        self._watches: dict[Watch, web.Request] = {}
        self._runner: web.AppRunner | None = None

    # Life

    async def start(self) -> None:
        """Listen on 127.0.0.1; the port that was chosen at the first start is kept for all later ones.

        Raises:
            OSError: the port is in use.
        """
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._handle)
        # Cancelled handlers are how a watch learns that its client left.
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, _LOOPBACK, self.port, reuse_address=True)
        try:
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self.port = int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and cut every connection; :meth:`start` may follow."""
        runner, self._runner = self._runner, None
        self.cut_watches()
        if runner is not None:
            await runner.cleanup()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        return f"http://{_LOOPBACK}:{self.port}"

    @property
    def open_watches(self) -> int:
        """How many watches are connected now."""
        return len(self._watches)

    def cut_watches(self) -> None:
        """Break the connection of every watch, without a proper end of the stream."""
        for watch, request in list(self._watches.items()):
            watch.end()
            if request.transport is not None:
                request.transport.abort()

    def end_watches(self) -> None:
        """End every watch properly, as at its time-out."""
        for watch in list(self._watches):
            watch.end()

    # One request

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        seen = SeenRequest(request.method, request.path, dict(request.query), request.headers.get("User-Agent", ""))
        self.requests.append(seen)
        if self.faults.abort:
            await _hang_up(request)
        if self.faults.delay:
            await asyncio.sleep(self.faults.delay)
        try:
            return await self._serve(request, seen)
        except Refusal as refusal:
            return web.Response(
                status=refusal.code, body=refusal.body() + b"\n", headers={**_JSON, **refusal.headers()}
            )

    async def _serve(self, request: web.Request, seen: SeenRequest) -> web.StreamResponse:
        self._check_health(request)
        route = parse_route(seen.path)
        if route is None:
            return self._serve_document(seen)
        verb = self._verb(route, seen)
        if self.faults.forbids(verb, route.resource.plural):
            raise status.forbidden(route.resource, verb, route.namespace, route.name, self.user)
        if "dryRun" in seen.query:
            raise status.bad_request("the simulated cluster has no dry run")
        encoding = self._encoding(request.headers.get("Accept", ""))
        if verb == "list":
            return await self._list(request, route, seen, encoding)
        if verb == "watch":
            return await self._watch(request, route, seen, encoding)
        if verb == "get":
            return self._one(self.store.get(route.resource, route.namespace, route.name), encoding)
        return await self._write(request, route, verb, encoding)

    def _check_health(self, request: web.Request) -> None:
        if self.faults.unavailable:
            raise status.unavailable()
        if self.faults.takes_a_failure():
            raise Refusal(500, "InternalError", "Internal error occurred: simulated failure")
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise status.unauthorized()

    @staticmethod
    def _verb(route: Route, seen: SeenRequest) -> str:
        if seen.method == "GET":
            if seen.is_watch:
                return "watch"
            return "get" if route.name else "list"
        verb = _VERBS.get(seen.method, "")
        if verb == "delete" and not route.name:
            return "deletecollection"
        if not verb or (verb == "create") is bool(route.name):
            raise status.method_not_allowed()
        return verb

    def _encoding(self, accept: str) -> Encoding:
        """The first representation of the Accept header that the server knows; plain objects otherwise."""
        for offer in accept.split(","):
            parameters = {part.strip() for part in offer.split(";")[1:]}
            if "g=meta.k8s.io" in parameters and "v=v1" in parameters:
                if "as=Table" in parameters:
                    return self._table
                if parameters & {"as=PartialObjectMetadataList", "as=PartialObjectMetadata"}:
                    return METADATA_ONLY
            elif "application/json" in offer or "*/*" in offer:
                break
        return PLAIN

    def _serve_document(self, seen: SeenRequest) -> web.Response:
        if seen.path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        found = document(seen.path) if seen.method == "GET" else None
        if found is not None:
            return web.Response(body=msgspec.json.encode(found), headers=_JSON)
        if seen.path.startswith(("/api/", "/apis/")):
            raise status.unknown_path()
        return web.Response(status=404, text="404 page not found\n")

    async def _list(
        self, request: web.Request, route: Route, seen: SeenRequest, encoding: Encoding
    ) -> web.StreamResponse:
        options = list_options(seen.query, route.resource)
        page = list_page(self.store, route.resource, route.namespace, options)
        parts = encoding.list_parts(route.resource, page)
        headers = {**_JSON, "Warning": _ENDPOINTS_WARNING} if route.resource is ENDPOINTS else _JSON
        size = sum(map(len, parts))
        if size < _LENGTH_BELOW:
            return web.Response(body=b"".join(parts), headers=headers)
        response = web.StreamResponse(headers=headers)
        chunks = in_chunks(parts)
        if size >= _GZIP_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Vary"] = "Accept-Encoding"
            chunks = gzipped(chunks)
        await response.prepare(request)
        for chunk in chunks:
            if self.faults.break_lists:
                await response.write(chunk[: len(chunk) // 2])
                await _hang_up(request)
            await response.write(chunk)
        await response.write_eof()
        return response

    async def _watch(
        self, request: web.Request, route: Route, seen: SeenRequest, encoding: Encoding
    ) -> web.StreamResponse:
        query = dict(seen.query)
        if route.name:
            query["fieldSelector"] = f"metadata.name={route.name}"
        options = watch_options(query, route.resource)
        response = web.StreamResponse(headers=_JSON)
        await response.prepare(request)
        if options.initial_events and self.faults.no_watch_list:
            await response.write(b'{"type":"ERROR","object":%s}\n' % status.watch_list_unsupported().body())
            return response
        watch = Watch(
            self.store,
            route.resource,
            route.namespace,
            options,
            encoding,
            bookmark_interval=self.bookmark_interval,
            bookmarks=lambda: not self.faults.drop_bookmarks,
            default_timeout=self.watch_timeout,
        )
        self._watches[watch] = request
        try:
            with watch:
                async for chunk in watch.frames():
                    await response.write(chunk)
                await response.write_eof()
        except ConnectionResetError:
            pass  # the client is gone, or the connection was cut on purpose
        finally:
            del self._watches[watch]
        return response

    async def _write(self, request: web.Request, route: Route, verb: str, encoding: Encoding) -> web.Response:
        raw = await request.read()
        match verb:
            case "create":
                return self._one(writing.create(self.store, route, raw), encoding, code=201)
            case "update":
                return self._one(writing.update(self.store, route, raw), encoding)
            case "patch":
                stored, created = writing.patch(self.store, route, raw, request.content_type)
                return self._one(stored, encoding, code=201 if created else 200)
            case "delete":
                stored = writing.delete(self.store, route, raw)
                if route.resource is PODS or "deletionTimestamp" in stored.decode()["metadata"]:
                    return self._one(stored, encoding)
                return web.Response(body=_deleted(stored), headers=_JSON)
        for stored in list_page(
            self.store, route.resource, route.namespace, list_options(request.query, route.resource)
        ).items:
            self.store.delete(route.resource, *stored.key)
        return web.Response(
            body=b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}\n', headers=_JSON
        )

    @staticmethod
    def _one(stored: Stored, encoding: Encoding, *, code: int = 200) -> web.Response:
        return web.Response(status=code, body=encoding.single(stored) + b"\n", headers=_JSON)


async def _hang_up(request: web.Request) -> None:
    """Close the connection after what was written; the loss cancels the handler while it waits here."""
    if request.transport is not None:
        request.transport.close()
    await asyncio.sleep(_ABORTED)


def _deleted(stored: Stored) -> bytes:
    details = {"name": stored.name, "kind": stored.resource.plural, "uid": stored.decode()["metadata"]["uid"]}
    if stored.resource.group:
        details["group"] = stored.resource.group
    success = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    return msgspec.json.encode(success) + b"\n"
