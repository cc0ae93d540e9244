"""The pages for people."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

from promscout.model.clock import Clock
from promscout.web.answers import stream
from promscout.web.receivers import receiver, totals
from promscout.web.turns import in_turns
from promscout.web.view import ROOT, VIEW

HTML: Final = "text/html; charset=utf-8"
CLOCK: Final = web.AppKey("CLOCK", Clock)
"""Where the pages find out what time it is."""

_STATIC: Final = Path(__file__).with_name("static")


async def remote_write(request: web.Request) -> web.StreamResponse:
    """Every receiver: whether samples arrive, what waits where, and what became of the rest."""
    queues = request.app[VIEW].remote_write.status().queues
    return await page(
        request,
        "remote_write.html",
        receivers=[receiver(queue) for queue in queues],
        totals=totals(queues),
        now_ms=request.app[CLOCK].now_ms(),
    )


async def config(request: web.Request) -> web.StreamResponse:
    """The configuration in force, without secrets."""
    return await page(request, "config.html", config_text=request.app[VIEW].config.text)


async def home(request: web.Request) -> web.Response:
    """The targets page is the start page."""
    return web.Response(status=302, headers={"Location": f"{request.app[ROOT]}/targets"})


async def page(request: web.Request, template: str, **values: object) -> web.StreamResponse:
    """The page that ``template`` makes of ``values``, made in turns with whatever else is due."""
    from promscout.web.rendering import render  # noqa: PLC0415 - jinja2 is for agents whose pages are looked at

    pieces = render(template, root=request.app[ROOT], path=request.path, **values)
    html = ["".join(batch) async for batch in in_turns(pieces)]
    # Only now is it certain that there is a page.
    return await stream(request, (piece.encode() for piece in html), HTML)


def add_routes(app: web.Application, clock: Clock) -> None:
    """Register the pages with ``app``."""
    app[CLOCK] = clock
    app.router.add_get("/", home)
    app.router.add_get("/remote-write", remote_write, allow_head=False)
    app.router.add_get("/config", config, allow_head=False)
    app.router.add_static("/static/", _STATIC)
