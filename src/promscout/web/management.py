"""Health, readiness, reload, the end, and own metrics."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder

from promscout.discovery.kubernetes.status import degradations, watch_statuses
from promscout.errors import ConfigError
from promscout.web.access.guard import ACCESS
from promscout.web.access.origin import Origins, is_loopback, only
from promscout.web.answers import stream
from promscout.web.view import OPTIONS, VIEW


async def healthy(_request: web.Request) -> web.Response:
    """200 as long as the process answers."""
    return web.Response(text="promscout is Healthy.\n")


async def ready(request: web.Request) -> web.Response:
    """200 once the agent is ready, 503 before. What jobs do without is told, a line each, and is no reason for 503."""
    view = request.app[VIEW]
    if view.ready:
        missing = degradations(watch_statuses(view.discovery.providers))
        lines = [f"degraded: job {one.job}: no labels of {one.resource} ({one.reason})" for one in missing]
        return web.Response(text="\n".join(["promscout is Ready.", *lines, ""]))
    return web.Response(text="Service Unavailable\n", status=503)


async def reload(request: web.Request) -> web.Response:
    """Apply the configuration as it is now: 200, or 500 with every problem when it is refused.

    403 for requests that another site made a browser send; without ``--web.enable-lifecycle`` also for those from
    other machines, unless made by a page of this server.

    Source: prometheus v3.x docs management_api.
    """
    sender = Sender.of(request)
    refusal = sender.refusal(request.app[ACCESS].origins, for_all=request.app[OPTIONS].enable_lifecycle)
    if refusal:
        return web.Response(text=f"reload refused: {refusal}\n", status=403)
    try:
        await request.app[VIEW].reload()
    except ConfigError as error:
        return web.Response(text=f"failed to reload config: {error}\n", status=500)
    return web.Response()


async def quit_agent(request: web.Request) -> web.Response:
    """End the agent in good order, if ``--web.enable-lifecycle`` is given and no other site made a browser ask.

    Source: prometheus v3.x web/web.go quit.
    """
    if not request.app[OPTIONS].enable_lifecycle:
        return web.Response(text="Lifecycle API is not enabled.", status=403)
    if refusal := Sender.of(request).refusal(request.app[ACCESS].origins, for_all=True):
        return web.Response(text=f"quit refused: {refusal}\n", status=403)
    request.app[VIEW].stop()
    return web.Response(text="Requesting termination... Goodbye!")


async def needs_post(_request: web.Request) -> web.Response:
    """405: reading must never change anything."""
    return web.Response(text="Only POST or PUT requests allowed", status=405, headers={hdrs.ALLOW: "POST, PUT"})


async def metrics(request: web.Request) -> web.StreamResponse:
    """The agent's own metrics in the format that the client prefers."""
    encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
    return await stream(request, [encode(request.app[VIEW].registry)], content_type)


class Sender(msgspec.Struct, frozen=True):
    """Who asks for a change, as the request tells: its headers Host, Origin and Sec-Fetch-Site, and its address."""

    host: str
    origin: str | None = None
    site: str | None = None
    peer: str = ""

    @classmethod
    def of(cls, request: web.Request) -> Sender:
        """The sender of ``request``. A header that is given twice is one that nothing accepts."""
        host, origin, site = (
            only(request.headers.getall(name, [])) for name in (hdrs.HOST, hdrs.ORIGIN, "Sec-Fetch-Site")
        )
        return cls(host or "", origin, site, request.remote or "")

    def refusal(self, origins: Origins, *, for_all: bool) -> str:
        """Why it may not ask; empty: it may. Unless ``for_all`` it must be on this machine, or one of our pages."""
        refusal = origins.cross_site_refusal(self.host, self.origin, self.site)
        if refusal or for_all:
            return refusal
        if not origins.is_own(self.host):
            return f"Host {self.host!r} is not a name of this server"
        if self.origin is None and not is_loopback(self.peer):
            return "only this machine and pages of this server may ask for it"
        return ""


def add_routes(app: web.Application) -> None:
    """Register these endpoints with ``app``."""
    app.router.add_get("/-/healthy", healthy)
    app.router.add_get("/-/ready", ready)
    for path, handler in (("/-/reload", reload), ("/-/quit", quit_agent)):
        app.router.add_get(path, needs_post, allow_head=True)
        app.router.add_post(path, handler)
        app.router.add_put(path, handler)
    app.router.add_get("/metrics", metrics, allow_head=False)
