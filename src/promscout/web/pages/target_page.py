"""The page of one target, and what it exposed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import msgspec
from aiohttp import web

from promscout.scrape.captures import Captured
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ActiveTarget, ScrapePool
from promscout.scrape.threads import in_thread
from promscout.web.answers import stream
from promscout.web.pages.body_samples import samples_of
from promscout.web.pages.body_text import body_text
from promscout.web.pages.frame import page
from promscout.web.pages.target_detail import describe, find_target, last_body
from promscout.web.pages.target_query import number
from promscout.web.view import CLOCK, EXTERNAL, ROOT, VIEW

PLAIN: Final = "text/plain; charset=utf-8"
_PIECE: Final = 1 << 18  # bytes of a body that are sent, and packed, at once
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_OTHER_SITES: Final = frozenset({"cross-site", "same-site"})


class ShownBody(msgspec.Struct, frozen=True):
    """A body as text, and the scrape that it was kept of on request; None for the last that could be read."""

    text: bytes
    captured: Captured | None = None


async def target(request: web.Request) -> web.StreamResponse:
    """One target. Query: ``pool``, ``url``, ``id`` as links have them; ``q``, ``page`` and ``kept`` for the samples.

    ``kept=1`` shows the body that was kept on request.
    """
    scrape, given = request.app[VIEW].scrape, request.query
    found = await _find(scrape, given)
    if found is None:
        return await page(request, "target_gone.html", pool=given.get("pool", ""), url=given.get("url", ""))
    pool, active = found
    shown = describe(pool, active, request.app[EXTERNAL], kept=given.get("kept", "") == "1")
    body = await _body(scrape, active, kept=shown.kept)
    q, place = given.get("q", "").strip(), max(1, number(given.get("page", "")))
    return await page(
        request,
        "target.html",
        target=shown,
        body=body,
        samples=await samples_of(body.text, q, place) if body is not None else None,
        samples_url=partial(shown.samples_url, q),
        capture=scrape.captures.of(active.loop.target),
        capturing=scrape.captures.is_wanted(active.loop.target),
        q=q,
        now_ms=request.app[CLOCK].now_ms(),
    )


async def exposition(request: web.Request) -> web.StreamResponse:
    """The last body of a target that could be read, as plain text; 404 where there is none. Query: as for the page."""
    scrape, given = request.app[VIEW].scrape, request.query
    found = await _find(scrape, given)
    body = await _body(scrape, found[1], kept=given.get("kept", "") == "1") if found is not None else None
    if body is None:
        return web.Response(status=404, text="No body of this target is kept.\n")
    name = _UNSAFE.sub("-", given.get("url", "").partition("://")[2])[:100].strip("-.") or "target"
    disposition = f'inline; filename="{name}.txt"'
    return await stream(request, _pieces(body.text), PLAIN, {"Content-Disposition": disposition})


async def capture(request: web.Request) -> web.Response:
    """Keep the next body of a target, which its next scrape brings, and lead back to its page. Query: as for the page.

    403 for requests that another site made a browser send.
    """
    if request.headers.get("Sec-Fetch-Site", "") in _OTHER_SITES:
        return web.Response(status=403, text="Refused: it comes from another site.\n")
    scrape = request.app[VIEW].scrape
    found = await _find(scrape, request.query)
    if found is None:
        return web.Response(status=404, text="No such target.\n")
    pool, active = found
    if not scrape.captures.want(active.loop.target):
        return web.Response(status=503, text="Too many bodies are waited for.\n")
    shown = describe(pool, active, request.app[EXTERNAL], kept=True)
    return web.Response(status=303, headers={"Location": f"{request.app[ROOT]}{shown.samples_url('')}"})


async def _find(scrape: ScrapeManager, given: Mapping[str, str]) -> tuple[ScrapePool, ActiveTarget] | None:
    return await find_target(scrape, given.get("pool", ""), given.get("url", ""), given.get("id", ""))


async def _body(scrape: ScrapeManager, active: ActiveTarget, *, kept: bool) -> ShownBody | None:
    """What there is to show: the last body, or where there is none or ``kept`` is wanted, the one kept on request."""
    last, captured = last_body(active), scrape.captures.of(active.loop.target)
    if captured is not None and not captured.error and (kept or last is None):
        text = await in_thread(partial(body_text, captured.body, captured.content_type))
        return ShownBody(text, captured)
    return None if last is None else ShownBody(last)


def _pieces(body: bytes) -> Iterator[bytes]:
    return (body[at : at + _PIECE] for at in range(0, len(body), _PIECE))
