"""The pages for people."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from aiohttp import web

from promscout.model.clock import Clock
from promscout.web import events
from promscout.web.pages import config_page, error_pages, frame, overview, status_page
from promscout.web.pages.frame import page
from promscout.web.receivers import receiver, totals
from promscout.web.view import VIEW

_STATIC: Final = Path(__file__).with_name("static")


async def remote_write(request: web.Request) -> web.StreamResponse:
    """Every receiver: whether samples arrive, what waits where, and what became of the rest."""
    queues = request.app[VIEW].remote_write.status().queues
    return await page(
        request,
        "remote_write.html",
        receivers=[receiver(queue) for queue in queues],
        totals=totals(queues),
    )


def add_routes(app: web.Application, clock: Clock) -> None:
    """Register the pages with ``app``."""
    frame.prepare(app, clock)
    app.middlewares.append(error_pages.errors_as_pages)
    app.on_response_prepare.append(error_pages.note_beginning)
    events.add_routes(app)
    overview.add_routes(app)
    config_page.add_routes(app)
    status_page.add_routes(app)
    app.router.add_get("/remote-write", remote_write, allow_head=False)
    app.router.add_static("/static/", _STATIC)
