"""Fetching a target's exposition over HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from promscout import __version__
from promscout.exposition.negotiation import NameEscaping, accept_header
from promscout.httpclient.answer import Answer
from promscout.httpclient.client import HTTPClient
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.target import Target
from promscout.scrape.unpacking import BodyTooLargeError, unpack

USER_AGENT: Final = f"promscout/{__version__}"

MAX_BODY: Final = 256 << 20
"""Bytes that a body may have, unpacked, where ``body_size_limit`` sets no limit: what keeps memory bounded."""

UNIX_SOCKET: Final = "__unix_socket__"
"""The label with the path of a socket to connect to. Source: prometheus v3.x scrape/scrape.go UnixSocketLabel."""

_FRAMING: Final = 1024  # a packed body may be that much larger than what is in it


@dataclass(frozen=True, slots=True)
class Fetched:
    """A body, unpacked, and what the target said it is.

    ``encoding`` is how it was packed (empty: not at all), ``received`` the bytes that came over the wire for it.
    """

    body: bytes
    content_type: str
    encoding: str = ""
    received: int = 0

    @property
    def size(self) -> int:
        """Bytes of the body, unpacked: ``scrape_body_size_bytes``."""
        return len(self.body)


@dataclass(frozen=True, slots=True)
class FetchFailed:
    """Why there is no body."""

    reason: str
    too_large: bool = False

    @property
    def size(self) -> int:
        """As ``scrape_body_size_bytes`` has it: -1 for a body that is too large, otherwise 0."""
        return -1 if self.too_large else 0


class Transport:
    """Fetches from the targets of one pool over kept-alive connections.

    ``run`` holds the connections; ``retire`` lets it end once no fetch is under way, so that a reload with other HTTP
    options cancels no scrape.

    Source: prometheus v3.x scrape/scrape.go targetScraper.scrape, readResponse.
    """

    def __init__(self, config: ScrapeConfig) -> None:
        self._http = config.http_client_config()
        self._limit = int(config.body_size_limit) or MAX_BODY
        self._limited = bool(config.body_size_limit)
        escaping = config.metric_name_escaping_scheme or NameEscaping.ALLOW_UTF8
        self._headers = {
            "Accept": accept_header(config.scrape_protocols, escaping),
            "Accept-Encoding": "gzip" if config.enable_compression else "identity",
        }
        self._headers_for: dict[float, dict[str, str]] = {}
        self._client: HTTPClient | None = None
        self._ready = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._retired = asyncio.Event()
        self._under_way = 0

    async def run(self) -> None:
        """Hold the connections until retired, or cancelled."""
        async with HTTPClient(self._http, user_agent=USER_AGENT) as client:
            self._client = client
            self._ready.set()
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
            return await self._fetch(target, limit)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _fetch(self, target: Target, limit: float) -> Fetched | FetchFailed:
        deadline = asyncio.get_running_loop().time() + limit
        try:
            client = self._client or await self._first_client(deadline)
            answer = await client.fetch(
                "GET",
                target.url,
                headers=self._headers_for.get(limit) or self._make_headers(limit),
                limit=self._limit + _FRAMING,
                deadline=deadline,
                unix_socket=_unix_socket(target),
            )
            if isinstance(answer, Answer):
                return await self._read(answer, deadline)
            problem = answer.reason
            if answer.timed_out:
                raise TimeoutError
        except BodyTooLargeError:
            unlimited = "" if self._limited else f" ({MAX_BODY} bytes without body_size_limit)"
            return FetchFailed(f"body size limit exceeded{unlimited}", too_large=True)
        except TimeoutError:
            return FetchFailed(f"scrape timed out after {limit:g}s")
        except ValueError as error:
            problem = str(error)
        return FetchFailed(f"{target.url}: {problem}")

    async def _read(self, answer: Answer, deadline: float) -> Fetched | FetchFailed:
        if answer.status != 200:
            return FetchFailed(f"server returned HTTP status {answer.status} {answer.reason}".rstrip())
        if not answer.complete:
            raise BodyTooLargeError
        encoding = answer.header(b"content-encoding").strip().lower()
        # A body of exactly the limit is too large, as in Prometheus.
        body = await unpack(answer.body, encoding, self._limit, deadline)
        return Fetched(body, answer.header(b"content-type"), encoding, len(answer.body))

    async def _first_client(self, deadline: float) -> HTTPClient:
        async with asyncio.timeout_at(deadline):
            await self._ready.wait()
        if self._client is None:
            raise RuntimeError("the transport is ready without a client")
        return self._client

    def _make_headers(self, limit: float) -> dict[str, str]:
        headers = self._headers | {"X-Prometheus-Scrape-Timeout-Seconds": f"{limit:g}"}
        self._headers_for[limit] = headers
        return headers


def _unix_socket(target: Target) -> str:
    names = target.names
    return target.values[names.index(UNIX_SOCKET)] if UNIX_SOCKET in names else ""
