"""What stands around every page, and how a page is made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Final

import msgspec
from aiohttp import hdrs, web

from promscout.model.clock import Clock
from promscout.web.answers import compressed
from promscout.web.turns import in_turns
from promscout.web.view import CLOCK, OPTIONS, PREFIX, ROOT, VIEW
from promscout.web.vitals import HealthCounts, health_counts

HTML: Final = "text/html; charset=utf-8"


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """The same on all pages at one moment. Problems are those of a configuration that was refused."""

    title: str
    root: str
    path: str
    """Of the page, without the prefix of all routes."""
    now_ms: int
    started_ms: int
    ready: bool
    health: HealthCounts
    problems: tuple[str, ...]

    @classmethod
    def of(cls, request: web.Request) -> Frame:
        """That of the page which ``request`` asks for."""
        view = request.app[VIEW]
        return cls(
            title=request.app[OPTIONS].page_title,
            root=request.app[ROOT],
            path=request.path.removeprefix(request.app[PREFIX]) or "/",
            now_ms=request.app[CLOCK].now_ms(),
            started_ms=view.started_ms,
            ready=view.ready,
            health=health_counts(view),
            problems=view.config_status.problems,
        )


class Renderer:
    """Makes pages. What that needs is loaded, in a thread, for the first of them: many agents are never looked at."""

    def __init__(self) -> None:
        self._render: Callable[..., Iterator[str]] | None = None
        self._loading = asyncio.Lock()

    async def render(self, template: str, **values: object) -> Iterator[str]:
        """The page as HTML, in small pieces."""
        async with self._loading:
            if self._render is None:
                self._render = (await asyncio.to_thread(import_module, "promscout.web.pages.rendering")).render
        return self._render(template, **values)


RENDERER: Final = web.AppKey("RENDERER", Renderer)
"""Who makes pages."""


async def page(request: web.Request, template: str, **values: object) -> web.StreamResponse:
    """The page that ``template`` makes of ``values``, of ``root``, ``path``, ``now_ms`` and ``frame``."""
    # Whole: only then is it certain that there is a page. And what waits for a slow reader is counted, and compressed.
    body = (await rendered(request, template, **values)).encode()
    return await compressed(request, web.Response(body=body, headers={hdrs.CONTENT_TYPE: HTML}))


async def rendered(request: web.Request, template: str, **values: object) -> str:
    """The same as text, made in turns with whatever else is due."""
    frame = Frame.of(request)
    given = {"root": frame.root, "path": f"{frame.root}{frame.path}", "now_ms": frame.now_ms, **values}
    pieces = await request.app[RENDERER].render(template, frame=frame, **given)
    return "".join(["".join(batch) async for batch in in_turns(pieces, 10)])


def prepare(app: web.Application, clock: Clock) -> None:
    """Make ``app`` one that can make pages."""
    app[CLOCK] = clock
    app[RENDERER] = Renderer()
