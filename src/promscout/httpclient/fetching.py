"""Whole answers to single requests, redirects included."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
import yarl

from promscout.httpclient.answer import TIMED_OUT, Head, NoAnswer, Order, Outcome
from promscout.httpclient.connections import Connections
from promscout.httpclient.credentials import Credential, basic_header
from promscout.httpclient.dialing import Place
from promscout.httpclient.proxy import ProxyChoice
from promscout.httpclient.round_robin import RoundRobin
from promscout.httpclient.tls_context import TLSContext

MAX_REDIRECTS: Final = 10

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BECOMES_GET: Final = frozenset({301, 302, 303})
_ONLY_FOR_ORIGIN: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_REMEMBERED: Final = 50_000  # URLs; one each for the targets of a large pool


class Location(msgspec.Struct, frozen=True):
    """A URL, taken apart as requests need it."""

    url: yarl.URL
    scheme: str
    place: Place
    authority: str
    path: str
    authorization: str

    @classmethod
    def of(cls, url: yarl.URL, unix_socket: str = "") -> Location:
        """Take ``url`` apart; with ``unix_socket``, its host and port are only told to the server.

        Raises:
            ValueError: it has no host, or another scheme than http and https.
        """
        if url.scheme not in ("http", "https"):
            raise ValueError(f'unsupported protocol scheme "{url.scheme}"')
        if not url.raw_host or url.port is None:
            raise ValueError("no host in request URL")
        authorization = basic_header(url.user or "", url.password or "") if url.user or url.password else ""
        return cls(
            url,
            url.scheme,
            Place(url.raw_host, url.port, unix_socket),
            url.host_port_subcomponent or "",
            url.raw_path_qs,
            authorization,
        )

    def same_origin(self, other: Location) -> bool:
        """Whether credentials for one are good for the other."""
        return (self.scheme, self.place) == (other.scheme, other.place)


class Fetcher:
    """Sends one request after another until there is an answer that is no redirect, or none at all.

    ``through_proxy(order, url, credential, deadline)`` sends a request that needs a proxy. With ``round_robin`` it says
    to which address each other request goes.
    """

    def __init__(
        self,
        connections: Connections,
        tls: TLSContext,
        proxy: ProxyChoice,
        through_proxy: Callable[[Order, yarl.URL, Credential, float], Awaitable[Outcome]],
        *,
        follow_redirects: bool,
        round_robin: RoundRobin | None = None,
    ) -> None:
        self._connections = connections
        self._tls = tls
        self._proxy = proxy
        self._through_proxy = through_proxy
        self._requests = MAX_REDIRECTS if follow_redirects else 1
        self._follow = follow_redirects
        self._round_robin = round_robin
        self._locations: dict[tuple[str, str], Location] = {}

    def locate(self, url: str, unix_socket: str) -> Location:
        """The URL, taken apart: once for all requests to it.

        Raises:
            ValueError: nothing can be sent there.
        """
        location = self._locations.get((url, unix_socket))
        if location is None:
            if len(self._locations) >= _REMEMBERED:
                self._locations.clear()
            location = self._locations[url, unix_socket] = Location.of(yarl.URL(url), unix_socket)
        return location

    async def fetch(
        self,
        method: str,
        location: Location,
        head: Head,
        credential: Credential,
        *,
        body: bytes | None,
        limit: int,
        deadline: float,
    ) -> Outcome:
        """The answer, at ``deadline`` (loop time) at the latest.

        Raises:
            aiohttp.ClientError: a certificate or key cannot be used.
        """
        for _ in range(self._requests):
            authorized = head
            if location.authorization and not head.get("authorization"):
                authorized = Head([*head.pairs, ("Authorization", location.authorization)])
            order = Order(method, location.scheme, location.authority, location.path, authorized, limit, body)
            if not location.place.unix_socket and self._proxy(location.url) is not None:
                return await self._through_proxy(order, location.url.with_user(None), credential, deadline)
            context = self._tls.context(credential) if location.scheme == "https" else None
            place = await self._place(location.place, deadline)
            if isinstance(place, NoAnswer):
                return place
            outcome = await self._connections.exchange(place, context, order, deadline)
            if not self._follow or isinstance(outcome, NoAnswer) or outcome.status not in _REDIRECTS:
                return outcome
            target = outcome.header(b"location")
            if not target:
                return outcome
            try:
                following = Location.of(location.url.join(yarl.URL(target)), location.place.unix_socket)
            except ValueError as error:
                return NoAnswer(f"redirected to where no request can be sent: {error}")
            if not following.same_origin(location):
                head = Head([pair for pair in authorized.pairs if pair[0].lower() not in _ONLY_FOR_ORIGIN])
            if outcome.status in _BECOMES_GET and method != "HEAD":
                method, body = "GET", None
            location = following
        return NoAnswer(f"stopped after {MAX_REDIRECTS} redirects")

    async def _place(self, place: Place, deadline: float) -> Place | NoAnswer:
        if self._round_robin is None:
            return place
        try:
            async with asyncio.timeout_at(deadline):
                return await self._round_robin.choose(place)
        except TimeoutError:
            return TIMED_OUT
