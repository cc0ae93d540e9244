"""An HTTP client that obeys ``HTTPClientConfig``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import yarl
from multidict import CIMultiDict

from promscout.httpclient.answer import TIMED_OUT, Answer, Head, NoAnswer, Order, Outcome
from promscout.httpclient.config import HTTPClientConfig, OAuth2
from promscout.httpclient.connections import KEEP_IDLE, Connections
from promscout.httpclient.credentials import ConfiguredCredentials, Credential, CredentialSource, basic_header
from promscout.httpclient.dialing import Dialer
from promscout.httpclient.fetching import MAX_REDIRECTS, Fetcher
from promscout.httpclient.headers import RequestHeaders
from promscout.httpclient.oauth2 import TokenSource
from promscout.httpclient.proxy import ProxyChoice
from promscout.httpclient.resolver import shared_resolver
from promscout.httpclient.round_robin import RoundRobin
from promscout.httpclient.secret import URL
from promscout.httpclient.streams import (
    answer_problem,
    certificate_problem,
    target_of,
    time_limits,
    whole_answer,
)
from promscout.httpclient.tls_context import HTTP1, HTTP2, TLSContext

T = TypeVar("T")


class HTTPClient:
    """Sends requests as one configuration says. An async context manager; one per configuration, used concurrently.

    Guarantees: credentials and certificates that come from files are those of the files at each request; they are
    never sent to another origin after a redirect; leaving the context closes every connection. It keeps no cookies
    and never reads ``~/.netrc``. A request without a body that is answered 401 is sent once more if the source of the
    credentials has others by then.

    Every failure to get an answer is an ``aiohttp.ClientError``, ``TimeoutError`` or ``OSError`` whose text is fit for
    users and has no secret in it.
    """

    def __init__(
        self,
        config: HTTPClientConfig,
        *,
        user_agent: str,
        max_connections: int = 0,
        credentials: CredentialSource | None = None,
        round_robin: bool = False,
    ) -> None:
        """Prepare a client; no connection is made.

        ``max_connections`` 0 is no limit. ``credentials`` is used in place of what ``config`` says about them. With
        ``round_robin``, each ``fetch`` goes to another address of the host than the one before.
        """
        self._config = config
        self._user_agent = user_agent
        self._round_robin = round_robin
        self._max_connections = max_connections
        self._tls = TLSContext(config.tls_config)
        self._server_name = config.tls_config.server_name or None
        self._proxy = ProxyChoice(config)
        self._proxy_headers = CIMultiDict(
            (name, value.reveal()) for name, values in config.proxy_connect_header.items() for value in values
        )
        self._headers = RequestHeaders(config, user_agent)
        self._credentials: CredentialSource = credentials or self._configured_credentials(config)
        self._session: aiohttp.ClientSession | None = None
        self._fetcher: Fetcher | None = None
        self._connections: Connections | None = None

    def _configured_credentials(self, config: HTTPClientConfig) -> CredentialSource:
        oauth2: OAuth2 | None = config.oauth2
        if oauth2 is None:
            return ConfiguredCredentials(config)
        way = HTTPClientConfig(
            tls_config=oauth2.tls_config,
            proxy_url=oauth2.proxy_url,
            no_proxy=oauth2.no_proxy,
            proxy_from_environment=oauth2.proxy_from_environment,
            proxy_connect_header=oauth2.proxy_connect_header,
        )
        return TokenSource(oauth2, HTTPClient(way, user_agent=self._user_agent))

    async def __aenter__(self) -> Self:
        await self._credentials.__aenter__()
        connector = aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=KEEP_IDLE)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        http2 = self._config.enable_http2
        resolver = shared_resolver()
        self._connections = Connections(
            Dialer(resolver, server_name=self._config.tls_config.server_name), multiplexing=http2
        )
        self._fetcher = Fetcher(
            self._connections,
            TLSContext(self._config.tls_config, HTTP2 if http2 else HTTP1),
            self._proxy,
            self._fetch_through_proxy,
            follow_redirects=self._config.follow_redirects,
            round_robin=RoundRobin(resolver) if self._round_robin else None,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._credentials.__aexit__(kind, error, traceback)
        finally:
            self._fetcher = None
            if self._connections is not None:
                await self._connections.close()
            if self._session is not None:
                session, self._session = self._session, None
                await session.close()

    @asynccontextmanager
    async def request(
        self,
        method: str,
        url: str | URL | yarl.URL,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: Any = None,  # noqa: ANN401 - whatever aiohttp can send: bytes, a mapping for a form, an iterator
        timeout: float | aiohttp.ClientTimeout | None = None,  # noqa: ASYNC109 - it ends the answer's body, too
        auto_decompress: bool = True,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request; the answer is released at the end of the block.

        ``timeout`` is the seconds until the body must have been read, None for no limit but the one to connect.
        ``headers`` win over configured ones. Without ``auto_decompress`` nothing about encodings is sent unless
        ``headers`` asks for one, and the body is as it came.

        Raises:
            aiohttp.ClientError, TimeoutError, OSError: there is no answer, or its body broke off.
        """
        if self._session is None:
            raise RuntimeError("the client is used outside its context")
        send = partial(
            self._send,
            self._session,
            method,
            target_of(url),
            headers or {},
            params=params,
            data=data,
            auto_decompress=auto_decompress,
            skip_auto_headers=() if auto_decompress else ("Accept-Encoding",),
            timeout=time_limits(timeout),
        )
        credential = (
            Credential() if "Authorization" in CIMultiDict(headers or {}) else await self._credentials.credential()
        )
        response = await send(credential)
        if response.status == 401 and data is None and credential != Credential():
            response = await self._again(send, credential, response)
        async with response:
            yield response

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        limit: int,
        deadline: float,
        unix_socket: str = "",
    ) -> Outcome:
        """Send a request and read the whole answer, until ``deadline`` (loop time); costs a fraction of ``request``.

        The body of a success has at most ``limit`` bytes, that of another answer also at most ``ERROR_BODY_LIMIT``;
        it is as it came, packed or not. ``unix_socket`` is the path of a socket to connect to in place of the URL's
        host; no proxy is used then. Failures are values; nothing is raised but for cancellation.
        """
        if self._fetcher is None:
            return NoAnswer("the client is closed")
        fetcher = self._fetcher
        try:
            location = fetcher.locate(url, unix_socket)
        except ValueError as error:
            return NoAnswer(f"not a valid URL: {error}")

        async def send(credential: Credential) -> Outcome:
            head = self._headers.head(headers, credential.header)
            return await fetcher.fetch(method, location, head, credential, body=body, limit=limit, deadline=deadline)

        own = "Authorization" in headers
        try:
            credential = Credential() if own else await self._in_time(self._credentials.credential(), deadline)
            outcome = await send(credential)
            if isinstance(outcome, Answer) and outcome.status == 401 and body is None and credential != Credential():
                other = await self._in_time(self._credentials.rejected(credential), deadline)
                outcome = outcome if other is None else await send(other)
        except TimeoutError:
            return TIMED_OUT
        except (aiohttp.ClientError, OSError) as error:
            return NoAnswer(str(error) or type(error).__name__)
        except ValueError as error:
            return NoAnswer(f"the request cannot be sent: {error}")
        return outcome

    async def _in_time(self, credentials: Coroutine[Any, Any, T], deadline: float) -> T:
        if isinstance(self._credentials, ConfiguredCredentials):
            return await credentials  # they never wait
        async with asyncio.timeout_at(deadline):
            return await credentials

    async def _fetch_through_proxy(
        self, order: Order, url: yarl.URL, credential: Credential, deadline: float
    ) -> Outcome:
        if self._session is None:
            return NoAnswer("the client is closed")
        headers = CIMultiDict(order.head.pairs)
        async with asyncio.timeout_at(deadline):
            response = await self._send_headers(
                self._session,
                order.method,
                url,
                headers,
                credential,
                data=order.body,
                auto_decompress=False,
                skip_auto_headers=("Accept-Encoding",),
            )
            async with response:
                return await whole_answer(response, order)

    async def _again(
        self,
        send: Callable[[Credential], Awaitable[aiohttp.ClientResponse]],
        credential: Credential,
        refusal: aiohttp.ClientResponse,
    ) -> aiohttp.ClientResponse:
        """The answer to the same request with another credential, or the refusal where there is none."""
        try:
            other = await self._credentials.rejected(credential)
        except BaseException:
            refusal.close()
            raise
        if other is None:
            return refusal
        refusal.release()
        return await send(other)

    async def _send(
        self,
        session: aiohttp.ClientSession,
        method: str,
        target: yarl.URL,
        given: Mapping[str, str],
        credential: Credential,
        **options: Any,  # noqa: ANN401 - aiohttp's
    ) -> aiohttp.ClientResponse:
        headers = CIMultiDict(self._head(given, credential).pairs)
        return await self._send_headers(session, method, target, headers, credential, **options)

    def _head(self, given: Mapping[str, str], credential: Credential) -> Head:
        try:
            return self._headers.head(given, credential.header)
        except ValueError as error:  # a header with a line feed, for example from a token file with two lines
            raise aiohttp.ClientError(f"the request cannot be sent: {error}") from error

    async def _send_headers(
        self,
        session: aiohttp.ClientSession,
        method: str,
        target: yarl.URL,
        headers: CIMultiDict[str],
        credential: Credential,
        **options: Any,  # noqa: ANN401 - aiohttp's
    ) -> aiohttp.ClientResponse:
        if "Authorization" in headers:
            target = target.with_user(None)
        proxy, proxy_headers = self._way(target, headers)
        try:
            return await session.request(
                method,
                target,
                headers=headers,
                ssl=self._tls.get(credential),
                server_hostname=self._server_name,
                proxy=proxy,
                proxy_headers=proxy_headers,
                allow_redirects=self._config.follow_redirects,
                max_redirects=MAX_REDIRECTS,
                **options,
            )
        except aiohttp.ClientConnectorCertificateError as error:
            raise aiohttp.ClientConnectionError(certificate_problem(error)) from error
        except aiohttp.ClientResponseError as error:
            # Such errors carry the headers of the request, with credentials, into every log that shows them whole.
            raise aiohttp.ClientError(answer_problem(error)) from None
        except aiohttp.ClientError:
            raise
        except ValueError as error:
            raise aiohttp.ClientError(f"the request cannot be sent: {error}") from error

    def _way(self, target: yarl.URL, headers: CIMultiDict[str]) -> tuple[yarl.URL | None, CIMultiDict[str] | None]:
        """The proxy for ``target`` and the headers of its CONNECT request; ``headers`` gets what a plain proxy needs.

        The proxy's password goes into a header, since aiohttp's errors show URLs.
        """
        proxy = self._proxy(target)
        if proxy is None:
            return None, None
        for_tunnel = self._proxy_headers.copy()
        if proxy.user is not None:
            credentials = basic_header(proxy.user, proxy.password or "")
            (for_tunnel if target.scheme == "https" else headers)["Proxy-Authorization"] = credentials
        return proxy.with_user(None), for_tunnel
