"""What stands around every page, and how a page is made."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web

from promscout.model.clock import Clock
from promscout.web.answers import stream
from promscout.web.view import OPTIONS, ROOT, VIEW
from promscout.web.vitals import HealthCounts, health_counts

HTML: Final = "text/html; charset=utf-8"
CLOCK: Final = web.AppKey("CLOCK", Clock)
"""Where the pages find out what time it is."""


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """The same on all pages at one moment. Problems are those of a configuration that was refused."""

    title: str
    root: str
    path: str
    """Of the page, without ``root``."""
    now_ms: int
    started_ms: int
    ready: bool
    health: HealthCounts
    problems: tuple[str, ...]

    @classmethod
    def of(cls, request: web.Request) -> Frame:
        """That of the page which ``request`` asks for."""
        view, root = request.app[VIEW], request.app[ROOT]
        return cls(
            title=request.app[OPTIONS].page_title,
            root=root,
            path=request.path.removeprefix(root) or "/",
            now_ms=request.app[CLOCK].now_ms(),
            started_ms=view.started_ms,
            ready=view.ready,
            health=health_counts(view),
            problems=view.config_status.problems,
        )


async def page(request: web.Request, template: str, **values: object) -> web.StreamResponse:
    """The page that ``template`` makes of ``values``, of ``root``, ``path``, ``now_ms`` and ``frame``."""
    return await stream(request, [rendered(request, template, **values).encode()], HTML)


def rendered(request: web.Request, template: str, **values: object) -> str:
    """The same as text."""
    from promscout.web.rendering import render  # noqa: PLC0415 - jinja2 is for agents whose pages are looked at

    frame = Frame.of(request)
    given = {"root": frame.root, "path": request.path, "now_ms": frame.now_ms} | values
    return render(template, frame=frame, **given)
