"""The pages for people."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from typing import Final

from aiohttp import web

from promscout.discovery.kubernetes.status import degradations, watch_statuses
from promscout.model.clock import Clock
from promscout.web import config_page, error_pages, events, frame, overview, status_page
from promscout.web.frame import CLOCK, HTML, page
from promscout.web.receivers import receiver, totals
from promscout.web.rows import PAGE_SIZE, TargetQuery, select
from promscout.web.view import EXTERNAL, VIEW

__all__ = ["CLOCK", "HTML", "add_routes", "page", "remote_write", "targets"]

_STATIC: Final = Path(__file__).with_name("static")


async def targets(request: web.Request) -> web.StreamResponse:
    """The targets of all pools, filtered by ``pool``, ``health`` and ``q``, in pages."""
    view, parameters = request.app[VIEW], request.query
    asked = TargetQuery.parse(*(parameters.get(name, "") for name in ("pool", "health", "q", "page")))
    watches = watch_statuses(view.discovery.providers)
    selection = await select(view.scrape, request.app[EXTERNAL], asked)
    return await page(
        request,
        "targets.html",
        query=asked,
        selection=selection,
        sections=[(pool, list(rows)) for pool, rows in groupby(selection.rows, lambda row: row.pool)],
        waiting=[provider for provider in view.discovery.providers if not provider.synced],
        failing=[one for one in watches if one.jobs and one.error],
        degraded=degradations(watches),
        page_size=PAGE_SIZE,
    )


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
    app.router.add_get("/targets", targets, allow_head=False)
    app.router.add_get("/remote-write", remote_write, allow_head=False)
    app.router.add_static("/static/", _STATIC)
