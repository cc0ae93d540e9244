"""The pages of targets: all of them, one of them, and what it exposed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import groupby
from typing import Final

from aiohttp import web

from promscout.discovery.kubernetes.status import degradations, watch_statuses
from promscout.web.answers import stream
from promscout.web.body_samples import samples_of
from promscout.web.frame import CLOCK, page
from promscout.web.rows import MOST_ERRORS, Row, select
from promscout.web.target_detail import describe, find_target, last_body
from promscout.web.target_query import SIZES, TargetQuery, number
from promscout.web.view import EXTERNAL, VIEW

PLAIN: Final = "text/plain; charset=utf-8"
_PIECE: Final = 1 << 18  # bytes of a body that are sent, and packed, at once
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


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


async def target(request: web.Request) -> web.StreamResponse:
    """One target. Query: ``pool``, ``url``, ``id`` as links have them; ``q`` and ``page`` for the samples."""
    given = request.query
    found = await find_target(
        request.app[VIEW].scrape, given.get("pool", ""), given.get("url", ""), given.get("id", "")
    )
    if found is None:
        return await page(request, "target_gone.html", pool=given.get("pool", ""), url=given.get("url", ""))
    shown = describe(*found, request.app[EXTERNAL])
    body, text = last_body(found[1]), given.get("q", "").strip()
    return await page(
        request,
        "target.html",
        target=shown,
        samples=None if body is None else await samples_of(body, text, max(1, number(given.get("page", "")))),
        samples_url=partial(shown.samples_url, text),
        q=text,
        now_ms=request.app[CLOCK].now_ms(),
    )


async def exposition(request: web.Request) -> web.StreamResponse:
    """The last body of a target that could be read, as plain text; 404 where there is none. Query: as for the page."""
    given = request.query
    found = await find_target(
        request.app[VIEW].scrape, given.get("pool", ""), given.get("url", ""), given.get("id", "")
    )
    body = last_body(found[1]) if found is not None else None
    if body is None:
        return web.Response(status=404, text="No body of this target is kept.\n")
    name = _UNSAFE.sub("-", given.get("url", "").partition("://")[2])[:100].strip("-.") or "target"
    disposition = f'inline; filename="{name}.txt"'
    return await stream(request, _pieces(body), PLAIN, {"Content-Disposition": disposition})


def _pool(row: Row) -> str:
    return row.pool


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + _PIECE] for at in range(0, len(body), _PIECE))
