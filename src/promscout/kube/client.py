"""List and watch requests against one API server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp

from promscout.errors import ApiStatusError, ApiUnreachableError, KubeError
from promscout.httpclient.client import HTTPClient
from promscout.kube.events import Page, WatchEvent, decode_events, decode_page, decode_status
from promscout.kube.lines import LineBlocks
from promscout.kube.objects import KubeObject
from promscout.kube.pace import GATHER, Pace
from promscout.kube.resource import Resource, Scope

T = TypeVar("T", bound=KubeObject)

LIST_TIMEOUT: Final = 60.0
"""Seconds for one page: a real server's own limit for non-watch requests is 60 s."""

_MAX_ERROR_BODY: Final = 64 * 1024
_MAX_EVENT: Final = 64 * 1024 * 1024
"""Bytes of one watch event: etcd refuses objects above 1.5 MB, so this only bounds what a broken server can cost."""


@dataclass(frozen=True, slots=True)
class WatchBatch(Generic[T]):
    """Events that arrived together, in their order, and the bytes they took."""

    events: list[WatchEvent[T]]
    bytes: int


class RequestMetrics(Protocol):
    """What a client counts, as client-go does."""

    def requested(self, status_code: str) -> None:
        """A request was answered with this status, or ``<error>`` was all that came of it."""
        ...

    def took(self, endpoint: str, seconds: float) -> None:
        """A request for a list, or a page of it, is over; ``endpoint`` is its path, ``{namespace}`` for any."""
        ...


class ApiClient:
    """List and watch requests, with every failure as a :class:`KubeError`.

    ``url`` is the server's address with an optional path prefix. Credentials, TLS and proxies are the HTTP client's.
    """

    def __init__(self, http: HTTPClient, url: str, metrics: RequestMetrics | None = None) -> None:
        self._http = http
        self.url = url.rstrip("/")
        self._metrics = metrics

    async def list_page(self, resource: Resource[T], scope: Scope, *, limit: int = 0, resume: str = "") -> Page[T]:
        """One page of a list: the first, or the one that ``resume`` (a page's ``next``) names.

        Raises:
            ExpiredError: ``resume`` is too old.
            KubeError: any other failure.
        """
        params = scope.params()
        if limit:
            params["limit"] = str(limit)
        if resume:
            params["continue"] = resume
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            async with self._get(resource, scope, params, aiohttp.ClientTimeout(total=LIST_TIMEOUT)) as response:
                body = await response.read()
        finally:
            if self._metrics is not None:
                self._metrics.took(self._endpoint(resource, scope), loop.time() - started)
        return decode_page(body, resource)

    def _endpoint(self, resource: Resource[T], scope: Scope) -> str:
        """The path of a list, the same for all namespaces."""
        return quote(urlsplit(self.url).path + resource.path("{namespace}" if scope.namespace else ""))

    async def watch(
        self,
        resource: Resource[T],
        scope: Scope,
        *,
        resource_version: str | None,
        close_after: int,
        idle_timeout: float,
    ) -> AsyncGenerator[WatchBatch[T], None]:
        """The events after ``resource_version``, over one connection, until the server closes it.

        With None the watch begins with a streaming list: every object as ADDED, then a bookmark that ``ends_list``.

        The server is asked to close after ``close_after`` seconds and to send bookmarks. An answer that is silent for
        ``idle_timeout`` seconds ends the watch as if the server had closed it. Events before a failure are given out.
        The events of a busy watch (``Pace``) wait for up to ``GATHER`` seconds, so that a batch has several.

        Raises:
            ExpiredError: list again.
            KubeError: any other failure, or a connection that broke.
        """
        params = scope.params() | {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(close_after),
        }
        if resource_version is None:
            params |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        else:
            params["resourceVersion"] = resource_version
        limits = aiohttp.ClientTimeout(total=None, sock_connect=LIST_TIMEOUT, sock_read=idle_timeout)
        async with self._get(resource, scope, params, limits) as response:
            lines, pace = LineBlocks(), Pace()
            while chunk := await self._read(response):
                for block in lines.feed(chunk):
                    events, failure = decode_events(block, resource)
                    yield WatchBatch(events, len(block))
                    if failure is not None:
                        raise failure
                if lines.waiting > _MAX_EVENT:
                    raise ApiUnreachableError(f"a watch event of {resource.plural} exceeds {_MAX_EVENT} bytes")
                if pace.is_busy(len(chunk)):
                    await self._leave_alone(response)

    @staticmethod
    async def _leave_alone(response: aiohttp.ClientResponse) -> None:
        """Let what arrives meanwhile wait in the socket."""
        connection = response.connection
        transport = connection.transport if connection is not None else None
        if transport is None:  # the answer is complete
            return
        transport.pause_reading()
        try:
            await asyncio.sleep(GATHER)
        finally:
            transport.resume_reading()

    @staticmethod
    async def _read(response: aiohttp.ClientResponse) -> bytes:
        """The next bytes of a watch; empty at its end, silence included."""
        try:
            return await response.content.readany()
        except TimeoutError:
            return b""

    @asynccontextmanager
    async def _get(
        self, resource: Resource[T], scope: Scope, params: dict[str, str], limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A GET of the collection whose transport failures and failure statuses are KubeErrors."""
        answered = False
        try:
            async with self._http.request(
                "GET",
                self.url + resource.path(scope.namespace),
                params=params,
                headers={"Accept": "application/json"},
                timeout=limits,
            ) as response:
                answered = True
                self._requested(str(response.status))
                if response.status != 200:
                    raise await self._failure(response)
                yield response
        except KubeError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if not answered:
                self._requested("<error>")
            raise ApiUnreachableError(f"{resource.plural}: {str(error) or type(error).__name__}") from error

    def _requested(self, status_code: str) -> None:
        if self._metrics is not None:
            self._metrics.requested(status_code)

    @staticmethod
    async def _failure(response: aiohttp.ClientResponse) -> ApiStatusError:
        body = await response.content.read(_MAX_ERROR_BODY)
        status = decode_status(body, response.reason or "no reason given")
        after = response.headers.get("Retry-After", "")
        return status.error(response.status, float(after) if after.isdigit() else None)
