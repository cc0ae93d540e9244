"""What browsers are shown instead of a page that is not there or cannot be made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from promscout.logs import EventLog
from promscout.web.pages.frame import HTML, rendered
from promscout.web.view import PREFIX

_TEXTS: Final[Mapping[int, str]] = {
    403: "This is not allowed.",
    404: "There is nothing at this address.",
    405: "This address is not asked in this way.",
    500: "This page could not be made. The log of promscout says why.",
}
_BEGUN: Final = web.RequestKey("answer has begun", bool)

_log = EventLog("promscout.web")


@web.middleware
async def errors_as_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors as pages for clients that say they read HTML, as plain text for others; the API has its own.

    What a handler did not expect is logged, and the answer tells nothing of it.
    """
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400 or not reads_html(request):
            raise
        return await _page(
            request, error.status, {name: error.headers[name] for name in (hdrs.ALLOW,) if name in error.headers}
        )
    except (ConnectionError, TimeoutError):
        raise
    except Exception:
        _log.exception("a request could not be answered", path=request.path)
        if _BEGUN in request:  # half an answer cannot become another one
            raise
        if reads_html(request):
            return await _page(request, 500, {})
        return web.Response(status=500, text="Internal Server Error\n")


async def note_beginning(request: web.Request, _response: web.StreamResponse) -> None:
    """Remember that an answer has begun."""
    request[_BEGUN] = True


def reads_html(request: web.Request) -> bool:
    """Whether a person may be looking."""
    path = request.path.removeprefix(request.app[PREFIX])
    return "text/html" in request.headers.get(hdrs.ACCEPT, "") and not path.startswith(("/api/", "/-/"))


async def _page(request: web.Request, status: int, headers: Mapping[str, str]) -> web.Response:
    text = _TEXTS.get(status, "The request cannot be answered.")
    body = await rendered(request, "error.html", status=status, text=text)
    response = web.Response(status=status, text=body, headers=headers)
    response.headers[hdrs.CONTENT_TYPE] = HTML
    return response
