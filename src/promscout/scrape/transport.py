"""Fetching a target's exposition over HTTP."""

from __future__ import annotations

import asyncio
import zlib
from dataclasses import dataclass
from typing import Final

import aiohttp
from isal import isal_zlib

from promscout import __version__
from promscout.exposition.negotiation import NameEscaping, accept_header
from promscout.httpclient.client import HTTPClient
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.target import Target

USER_AGENT: Final = f"promscout/{__version__}"

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body, unpacked, and what the target said it is."""

    body: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """Why there is no body."""

    reason: str
    too_large: bool = False


class Transport:
    """Fetches from the targets of one pool over kept-alive connections.

    ``run`` holds the connections; ``retire`` lets it end once no fetch is under way, so that a reload with other HTTP
    options cancels no scrape.
    """

    def __init__(self, config: ScrapeConfig) -> None:
        self._http = config.http_client_config()
        self._body_limit = int(config.body_size_limit)
        escaping = config.metric_name_escaping_scheme or NameEscaping.ALLOW_UTF8
        self._headers = {"Accept": accept_header(config.scrape_protocols, escaping)}
        if config.enable_compression:
            self._headers["Accept-Encoding"] = "gzip"
        else:
            self._headers["Accept-Encoding"] = "identity"
        self._client: asyncio.Future[HTTPClient] = asyncio.get_running_loop().create_future()
        self._idle = asyncio.Event()
        self._idle.set()
        self._retired = asyncio.Event()
        self._under_way = 0

    async def run(self) -> None:
        """Hold the connections until retired, or cancelled."""
        async with HTTPClient(self._http, user_agent=USER_AGENT) as client:
            self._client.set_result(client)
            await self._retired.wait()
            await self._idle.wait()

    def retire(self) -> None:
        """No further fetch will be asked for."""
        self._retired.set()

    async def fetch(self, target: Target, limit: float) -> Fetched | FetchFailed:
        """GET the target's URL; the answer must be complete within ``limit`` seconds."""
        self._under_way += 1
        self._idle.clear()
        try:
            async with asyncio.timeout(limit):
                return await self._fetch(target, limit)
        except TimeoutError:
            return FetchFailed(f"scrape timed out after {limit:g}s")
        except (aiohttp.ClientError, OSError) as error:
            return FetchFailed(f"{target.url}: {str(error) or type(error).__name__}")
        except (zlib.error, ValueError) as error:
            return FetchFailed(f"{target.url}: {error}")
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _fetch(self, target: Target, limit: float) -> Fetched | FetchFailed:
        client = await asyncio.shield(self._client)
        headers = self._headers | {"X-Prometheus-Scrape-Timeout-Seconds": f"{limit:g}"}
        async with client.request("GET", target.url, headers=headers, auto_decompress=False) as response:
            if response.status != 200:
                return FetchFailed(f"server returned HTTP status {response.status} {response.reason or ''}".rstrip())
            body = await self._read(response)
            if body is None:
                return FetchFailed(f"body size limit exceeded (limit: {self._body_limit} bytes)", too_large=True)
            return Fetched(body, response.headers.get("Content-Type", ""))

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        """The whole body, unpacked; None when it is larger than the limit, however well it was packed."""
        limit = self._body_limit
        unpacker = None
        if response.headers.get("Content-Encoding", "").strip().lower() == "gzip":
            unpacker = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
        chunks, size = [], 0
        while chunk := await response.content.readany():
            if unpacker is not None:
                # One byte more than allowed is enough to know, and a bomb costs no more than that.
                chunk = unpacker.decompress(chunk, limit - size + 1 if limit else 0)
            size += len(chunk)
            if limit and size > limit:
                return None
            chunks.append(chunk)
        if unpacker is not None:
            if chunks and not unpacker.eof:
                raise ValueError("gzip body is cut short")
            chunks.append(unpacker.flush())
        return b"".join(chunks)
