"""The routes of the pages that look into targets: what is scraped, why, and what came of it."""

from __future__ import annotations

from aiohttp import web

from promscout.web import targets


def add_routes(app: web.Application) -> None:
    """Register the pages with ``app``, where ``pages`` are already."""
    app.router.add_get("/targets", targets.targets, allow_head=False)
    app.router.add_get("/target", targets.target, allow_head=False)
    app.router.add_get("/target/exposition", targets.exposition, allow_head=False)
