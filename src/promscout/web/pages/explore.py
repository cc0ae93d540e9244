"""The routes of the pages that look into targets: what is scraped, why, and what came of it."""

from __future__ import annotations

from aiohttp import web

from promscout.web.pages import discovery, relabel_page, target_page, targets
from promscout.web.pages.drop_counts import DropCounter


def add_routes(app: web.Application) -> None:
    """Register the pages with ``app``, where ``pages`` are already."""
    app.router.add_get("/targets", targets.targets, allow_head=False)
    app.router.add_get("/target", target_page.target, allow_head=False)
    app[discovery.COUNTER] = DropCounter()
    app.router.add_get("/discovery", discovery.discovery, allow_head=False)
    app[relabel_page.PLAYER] = relabel_page.Player()
    app.router.add_get("/relabel", relabel_page.relabel, allow_head=False)
    app.router.add_post("/relabel", relabel_page.relabel)
    app.router.add_get("/target/exposition", target_page.exposition, allow_head=False)
    app.router.add_post("/target/capture", target_page.capture)
