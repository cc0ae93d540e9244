"""Answers in the shapes of Prometheus's HTTP API."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from aiohttp import hdrs, web
from isal import isal_zlib

JSON: Final = "application/json"
_GZIP_LEVEL: Final = 1  # labels repeat so much that more effort saves little
_GZIP_FORMAT: Final = 31  # zlib's number for a gzip header and trailer
_WORTH_GZIP: Final = 1200  # bytes: what is shorter fits into one packet anyway
_WORTH_SENDING: Final = 16 << 10  # bytes: fewer would cost more to send than to make
_AT_ONCE: Final = 1 << 18  # bytes that are compressed within a millisecond
_ZERO: Final = re.compile(r"q\s*=\s*0(\.0{0,3})?")
_STATUS: Final = {"bad_data": 400, "execution": 422, "internal": 500, "not_found": 404}
"""Error type → status. Source: prometheus v3.x web/api/v1/api.go getDefaultErrorCode."""

TURN: Final = web.AppKey("TURN", asyncio.Lock)
"""Held while a piece of an answer is made."""


def success(data: object) -> web.Response:
    """``data`` as a successful answer."""
    return web.Response(body=msgspec.json.encode({"status": "success", "data": data}), content_type=JSON)


def failure(error_type: str, message: str) -> web.Response:
    """A failed answer with the status that belongs to ``error_type``."""
    body = msgspec.json.encode({"status": "error", "errorType": error_type, "error": message})
    return web.Response(body=body, content_type=JSON, status=_STATUS[error_type])


async def shortened(request: web.Request, response: web.Response) -> web.Response:
    """``response`` without what the client can do without.

    A successful one gets an entity tag, and is a mere 304 where the client has it already; a long one is compressed
    where the client can read it.
    """
    body = response.body
    if response.status != 200 or not isinstance(body, bytes):
        return response
    tag = hashlib.blake2b(body, digest_size=12).hexdigest()
    headers = response.headers
    # Weak: the same for the compressed body and the other.
    headers[hdrs.ETAG] = f'W/"{tag}"'
    headers.setdefault(hdrs.CACHE_CONTROL, "no-cache")
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        kept = {name: headers[name] for name in (hdrs.ETAG, hdrs.CACHE_CONTROL)} | {hdrs.VARY: hdrs.ACCEPT_ENCODING}
        return web.Response(status=304, headers=kept)
    return await compressed(request, response)


async def compressed(request: web.Request, response: web.Response) -> web.Response:
    """``response``, which is whole already, compressed where that is worth it and the client can read it."""
    body = response.body
    response.headers[hdrs.VARY] = hdrs.ACCEPT_ENCODING
    if (
        isinstance(body, bytes)
        and len(body) >= _WORTH_GZIP
        and accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    ):
        response.body = _gzip(body) if len(body) <= _AT_ONCE else await asyncio.to_thread(_gzip, body)
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    return response


def _gzip(body: bytes) -> bytes:
    compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT)
    return bytes(compressor.compress(body) + compressor.flush())


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a client that sends this ``Accept-Encoding`` can read gzip."""
    for clause in accept_encoding.lower().split(","):
        coding, _, quality = clause.partition(";")
        if coding.strip() == "gzip":
            return _ZERO.fullmatch(quality.strip()) is None
    return False


async def stream(
    request: web.Request,
    pieces: Iterable[bytes],
    content_type: str = JSON,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> web.StreamResponse:
    """Send ``pieces`` one after the other, compressed where the client can read it.

    Each piece is made only when the ones before are with the kernel or in a small buffer. Whatever the number of
    answers under way, one piece is made in a turn of the event loop.
    """
    response = web.StreamResponse(headers={hdrs.VARY: hdrs.ACCEPT_ENCODING, **headers})
    response.content_type = content_type
    compressor = None
    if accepts_gzip(request.headers.get(hdrs.ACCEPT_ENCODING, "")):
        compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT)
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
    await response.prepare(request)
    turn, remaining, due = request.app[TURN], iter(pieces), bytearray()
    is_last = False
    while not is_last:
        async with turn:
            piece = next(remaining, None)
            is_last = piece is None
            if piece is not None:
                due += piece if compressor is None else compressor.compress(piece)
            await asyncio.sleep(0)
        if len(due) >= _WORTH_SENDING:
            writing, piece, due = response.write(due), None, bytearray()  # the connection alone holds it while it waits
            await writing
    if compressor is not None:
        due += compressor.flush()
    await response.write_eof(bytes(due))
    return response
