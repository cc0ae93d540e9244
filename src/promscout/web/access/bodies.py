"""The bodies of requests: small, and here in time."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

MAX_BODY: Final = 1 << 20
"""Bytes."""

MAX_AT_ONCE: Final = 16
"""Bodies that are read at one time."""

MOST_SECONDS: Final = 30.0


def body_reader(seconds: float) -> Any:  # noqa: ANN401 - a middleware has no type of its own
    """A middleware that reads the body, if there is one, before the handler runs, in at most so many seconds.

    Guarantees: a handler's ``request.read()``, ``text()``, ``json()`` and ``post()`` do not wait; 413 answers a body
    that is too large, 408 one that is too slow, 415 one in parts, which no handler reads.
    """
    places = asyncio.Semaphore(MAX_AT_ONCE)
    patience = min(seconds, MOST_SECONDS)

    @web.middleware
    async def read_body(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.can_read_body:
            return await handler(request)
        if request.content_type.startswith("multipart/"):
            return _closing(415, "Unsupported Media Type\n")
        if (request.content_length or 0) > MAX_BODY:
            return _closing(413, f"Request Entity Too Large: at most {MAX_BODY} bytes\n")
        try:
            async with asyncio.timeout(patience), places:
                await request.read()
        except TimeoutError:
            return _closing(408, "Request Timeout\n")
        except web.HTTPRequestEntityTooLarge:
            return _closing(413, f"Request Entity Too Large: at most {MAX_BODY} bytes\n")
        return await handler(request)

    return read_body


def _closing(status: int, text: str) -> web.Response:
    answer = web.Response(status=status, text=text, headers={hdrs.CONNECTION: "close"})
    answer.force_close()
    return answer
