"""Health, readiness, reload and own metrics."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from prometheus_client.exposition import choose_encoder

from promscout.discovery.kubernetes.status import degradations, watch_statuses
from promscout.errors import ConfigError
from promscout.web.answers import stream
from promscout.web.view import EXTERNAL, VIEW


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

    403 for requests that another site made a browser send, and from other machines unless made by a page of this
    server.

    Source: prometheus v3.x docs management_api.
    """
    refusal = reload_refusal(
        host=request.headers.get(hdrs.HOST, ""),
        origin=request.headers.get(hdrs.ORIGIN),
        peer=request.remote or "",
        own_name=request.app[EXTERNAL].hostname,
    )
    if refusal:
        return web.Response(text=f"{refusal}\n", status=403)
    try:
        await request.app[VIEW].reload()
    except ConfigError as error:
        return web.Response(text=f"failed to reload config: {error}\n", status=500)
    return web.Response()


async def reload_needs_post(_request: web.Request) -> web.Response:
    """405: reading must never change anything."""
    return web.Response(text="Only POST or PUT requests allowed", status=405, headers={hdrs.ALLOW: "POST, PUT"})


async def metrics(request: web.Request) -> web.StreamResponse:
    """The agent's own metrics in the format that the client prefers."""
    encode, content_type = choose_encoder(request.headers.get(hdrs.ACCEPT, ""))
    return await stream(request, [encode(request.app[VIEW].registry)], content_type)


def reload_refusal(*, host: str, origin: str | None, peer: str, own_name: str) -> str:
    """Why a request may not reload, or an empty string.

    ``host`` and ``origin`` are its headers, ``peer`` the address it comes from. The name in ``Host`` must be one that
    no attacker can point here (DNS rebinding); ``Origin``, which browsers send with every POST, must be this server
    (cross-site request forgery).
    """
    if not _is_own_name(_hostname(host), own_name):
        return f"reload refused: Host {host!r} is not a name of this server"
    if origin is not None:
        own = origin.partition("://")[2] == host
        return "" if own else f"reload refused: it comes from another origin, {origin!r}"
    if not _is_loopback(peer):
        return "reload refused: only this machine and pages of this server may ask for it"
    return ""


def _hostname(netloc: str) -> str:
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _is_own_name(name: str, external: str) -> bool:
    if name in ("localhost", external):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True  # an address is not looked up, so nobody can point it elsewhere


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def add_routes(app: web.Application) -> None:
    """Register these endpoints with ``app``."""
    app.router.add_get("/-/healthy", healthy)
    app.router.add_get("/-/ready", ready)
    app.router.add_get("/-/reload", reload_needs_post, allow_head=True)
    app.router.add_post("/-/reload", reload)
    app.router.add_put("/-/reload", reload)
    app.router.add_get("/metrics", metrics, allow_head=False)
