"""The page of all targets."""

from __future__ import annotations

from itertools import groupby

from aiohttp import web

from promscout.discovery.kubernetes.status import degradations, watch_statuses
from promscout.web.pages.frame import page
from promscout.web.pages.rows import MOST_ERRORS, Row, select
from promscout.web.pages.target_query import SIZES, TargetQuery
from promscout.web.view import CLOCK, EXTERNAL, VIEW


async def targets(request: web.Request) -> web.StreamResponse:
    """The targets of all pools in pages. Query: as ``TargetQuery`` has it."""
    view = request.app[VIEW]
    asked = TargetQuery.parse(request.query)
    watches = watch_statuses(view.discovery.providers)
    selection = await select(view.scrape, request.app[EXTERNAL], asked)
    rows = selection.page.items
    return await page(
        request,
        "targets.html",
        query=asked,
        selection=selection,
        sections=[("", rows)] if asked.sort and rows else [(job, list(some)) for job, some in groupby(rows, _pool)],
        errors=selection.errors.most_common(MOST_ERRORS),
        waiting=[provider for provider in view.discovery.providers if not provider.synced],
        failing=[one for one in watches if one.jobs and one.error],
        degraded=degradations(watches),
        now_ms=request.app[CLOCK].now_ms(),
        sizes=SIZES,
    )


def _pool(row: Row) -> str:
    return row.pool
