"""Answers in the shapes of Prometheus's HTTP API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

import msgspec
from aiohttp import hdrs, web
from isal import isal_zlib

JSON: Final = "application/json"
_GZIP_LEVEL: Final = 1  # labels repeat so much that more effort saves little
_GZIP_FORMAT: Final = 31  # zlib's number for a gzip header and trailer
_STATUS: Final = {"bad_data": 400, "execution": 422, "internal": 500, "not_found": 404}
"""Error type → status. Source: prometheus v3.x web/api/v1/api.go getDefaultErrorCode."""


def success(data: object) -> web.Response:
    """``data`` as a successful answer."""
    return web.Response(body=msgspec.json.encode({"status": "success", "data": data}), content_type=JSON)


def failure(error_type: str, message: str) -> web.Response:
    """A failed answer with the status that belongs to ``error_type``."""
    body = msgspec.json.encode({"status": "error", "errorType": error_type, "error": message})
    return web.Response(body=body, content_type=JSON, status=_STATUS[error_type])


def accepts_gzip(request: web.Request) -> bool:
    """Whether the client can read gzip."""
    for clause in request.headers.get(hdrs.ACCEPT_ENCODING, "").lower().split(","):
        coding, _, quality = clause.partition(";")
        if coding.strip() == "gzip":
            return quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


async def stream(request: web.Request, pieces: Iterable[bytes], content_type: str = JSON) -> web.StreamResponse:
    """Send ``pieces`` one after the other, compressed where the client can read it.

    Each piece is made only when the ones before are with the kernel or in a small buffer, and the event loop takes a
    turn between two pieces.
    """
    response = web.StreamResponse(headers={hdrs.VARY: hdrs.ACCEPT_ENCODING})
    response.content_type = content_type
    compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT) if accepts_gzip(request) else None
    if compressor is not None:
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    await response.prepare(request)
    for piece in pieces:
        sent = piece if compressor is None else compressor.compress(piece)
        if sent:
            await response.write(sent)
        await asyncio.sleep(0)
    if compressor is not None:
        await response.write(compressor.flush())
    await response.write_eof()
    return response
