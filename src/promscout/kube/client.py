"""List and watch requests against one API server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

import aiohttp
import msgspec

from promscout.errors import ApiStatusError, ApiUnreachableError, ExpiredError, KubeError
from promscout.httpclient.client import HTTPClient
from promscout.kube.objects import KubeObject
from promscout.kube.resource import Resource, Scope

T = TypeVar("T", bound=KubeObject)

LIST_TIMEOUT: Final = 60.0
"""Seconds for one page: a real server's own limit for non-watch requests is 60 s."""

_MAX_ERROR_BODY: Final = 64 * 1024
_MAX_EVENT: Final = 64 * 1024 * 1024
"""Bytes of one watch event: etcd refuses objects above 1.5 MB, so this only bounds what a broken server can cost."""


class Status(msgspec.Struct):
    """A ``v1.Status``: the API's way to say no."""

    class Details(msgspec.Struct, rename="camel"):
        """``details``."""

        retry_after_seconds: int = 0

    message: str = ""
    reason: str = ""
    code: int = 0
    details: Details | None = None

    def error(self, code: int = 0, retry_after: float | None = None) -> ApiStatusError:
        """The status as an exception; ``code`` is used where the body names none."""
        code = self.code or code
        if retry_after is None and self.details is not None and self.details.retry_after_seconds:
            retry_after = float(self.details.retry_after_seconds)
        kind = ExpiredError if code == 410 or self.reason in ("Expired", "Gone") else ApiStatusError
        return kind(code, self.reason, self.message, retry_after=retry_after)


class ListMeta(msgspec.Struct, rename="camel"):
    """``metadata`` of a list."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list. ``next`` continues it, or is empty on the last page."""

    items: list[T]
    resource_version: str
    next: str
    bytes: int


@dataclass(frozen=True, slots=True)
class WatchEvent(Generic[T]):
    """One event of a watch: ``type`` is ADDED, MODIFIED, DELETED or BOOKMARK (errors are raised).

    ``ends_list`` marks the bookmark after the last object of a streaming list.
    """

    type: str
    object: T
    ends_list: bool = False


@dataclass(frozen=True, slots=True)
class WatchBatch(Generic[T]):
    """Events that arrived together, in their order, and the bytes they took."""

    events: list[WatchEvent[T]]
    bytes: int


class _ErrorEvent(msgspec.Struct):
    type: str
    object: Status


def _list_of(item: type[Any]) -> Any:  # noqa: ANN401 - a type made at run time is Any to a type checker
    return list.__class_getitem__(item) | None


@lru_cache(maxsize=64)
def _list_decoder(item: type[Any]) -> msgspec.json.Decoder[Any]:
    listing = msgspec.defstruct(
        f"{item.__name__}List",
        [
            ("metadata", ListMeta, msgspec.field(default_factory=ListMeta)),
            ("items", _list_of(item), None),
        ],
    )
    return msgspec.json.Decoder(listing)


@lru_cache(maxsize=64)
def _event_decoder(item: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(msgspec.defstruct(f"{item.__name__}Event", [("type", str), ("object", item)]))


def _decode(decoder: msgspec.json.Decoder[Any], body: bytes | bytearray) -> Any:  # noqa: ANN401 - as its decoder says
    """``body`` decoded; a null counts as a missing field, as in Go.

    Kubernetes leaves empty fields out, but what stands in for an API server may write null. Only then is the slower
    way taken.

    Raises:
        msgspec.DecodeError: ``body`` is not of the decoder's type.
    """
    try:
        return decoder.decode(body)
    except msgspec.ValidationError:
        return msgspec.convert(_without_nulls(msgspec.json.decode(body)), decoder.type)


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _without_nulls(one) for key, one in value.items() if one is not None}
    return [_without_nulls(one) for one in value if one is not None] if isinstance(value, list) else value


_END_OF_LIST: Final = b'"k8s.io/initial-events-end":"true"'
_STATUS: Final = msgspec.json.Decoder(Status)
_ERROR_EVENT: Final = msgspec.json.Decoder(_ErrorEvent)


def decode_event(line: bytes | bytearray, resource: Resource[T]) -> WatchEvent[T]:
    """Decode one line of a watch.

    Raises:
        ExpiredError, ApiStatusError: the line is an ERROR event.
        ApiUnreachableError: the line is not a watch event.
    """
    try:
        event = _decode(_event_decoder(resource.type), line)
    except msgspec.DecodeError as error:
        # A Status does not fit the resource's type ("status" is a word, not an object); neither does garbage.
        event = None
        cause = error
    if event is None or event.type == "ERROR":
        try:
            failure = _ERROR_EVENT.decode(line)
        except msgspec.DecodeError as error:
            raise ApiUnreachableError(f"not a watch event of {resource.plural}: {cause}") from error
        if failure.type != "ERROR":
            raise ApiUnreachableError(f"not a watch event of {resource.plural}: {cause}")
        raise failure.object.error()
    return WatchEvent(event.type, event.object, event.type == "BOOKMARK" and _END_OF_LIST in line)


def _decode_events(lines: list[bytearray], resource: Resource[T]) -> tuple[list[WatchEvent[T]], KubeError | None]:
    """The events of ``lines`` up to the first that is a failure, and that failure."""
    events = []
    for line in lines:
        if line:
            try:
                events.append(decode_event(line, resource))
            except KubeError as error:
                return events, error
    return events, None


class ApiClient:
    """List and watch requests, with every failure as a :class:`KubeError`.

    ``url`` is the server's address with an optional path prefix. Credentials, TLS and proxies are the HTTP client's.
    """

    def __init__(self, http: HTTPClient, url: str) -> None:
        self._http = http
        self.url = url.rstrip("/")

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
        async with self._get(resource, scope, params, aiohttp.ClientTimeout(total=LIST_TIMEOUT)) as response:
            body = await response.read()
        try:
            listing = _decode(_list_decoder(resource.type), body)
        except msgspec.DecodeError as error:
            raise ApiUnreachableError(f"not a list of {resource.plural}: {error}") from error
        meta = listing.metadata
        return Page(listing.items or [], meta.resource_version, meta.continue_, len(body))

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
            buffer = bytearray()
            while chunk := await self._read(response):
                buffer += chunk
                if b"\n" not in chunk:
                    if len(buffer) > _MAX_EVENT:
                        raise ApiUnreachableError(f"a watch event of {resource.plural} exceeds {_MAX_EVENT} bytes")
                    continue
                *lines, rest = buffer.split(b"\n")
                size, buffer = len(buffer) - len(rest), rest
                events, failure = _decode_events(lines, resource)
                yield WatchBatch(events, size)
                if failure is not None:
                    raise failure

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
        try:
            async with self._http.request(
                "GET",
                self.url + resource.path(scope.namespace),
                params=params,
                headers={"Accept": "application/json"},
                timeout=limits,
            ) as response:
                if response.status != 200:
                    raise await self._failure(response)
                yield response
        except KubeError:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnreachableError(f"{resource.plural}: {str(error) or type(error).__name__}") from error

    @staticmethod
    async def _failure(response: aiohttp.ClientResponse) -> ApiStatusError:
        body = await response.content.read(_MAX_ERROR_BODY)
        try:
            status = _STATUS.decode(body)
        except msgspec.DecodeError:
            status = Status(message=response.reason or "no reason given")
        after = response.headers.get("Retry-After", "")
        return status.error(response.status, float(after) if after.isdigit() else None)
