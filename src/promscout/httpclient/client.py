"""An HTTP client that obeys ``HTTPClientConfig``."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import yarl
from multidict import CIMultiDict

from promscout.httpclient.config import Header, HTTPClientConfig, OAuth2
from promscout.httpclient.credentials import ConfiguredCredentials, Credential, CredentialSource, basic_header
from promscout.httpclient.files import SecretText
from promscout.httpclient.oauth2 import TokenSource
from promscout.httpclient.proxy import ProxyChoice
from promscout.httpclient.secret import URL, Secret
from promscout.httpclient.tls_context import TLSContext

CONNECT_TIMEOUT: Final = 30.0
"""Seconds to connect, when the caller sets no time limit of its own."""

KEEP_ALIVE: Final = 300.0
"""Seconds an idle connection is kept: longer than any sensible scrape interval, as in Prometheus."""

MAX_REDIRECTS: Final = 10


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
    ) -> None:
        """Prepare a client; no connection is made.

        ``max_connections`` 0 is no limit. ``credentials`` is used in place of what ``config`` says about them.
        """
        self._config = config
        self._user_agent = user_agent
        self._max_connections = max_connections
        self._tls = TLSContext(config.tls_config)
        self._server_name = config.tls_config.server_name or None
        self._proxy = ProxyChoice(config)
        self._proxy_headers = CIMultiDict(
            (name, value.reveal()) for name, values in config.proxy_connect_header.items() for value in values
        )
        self._headers = [
            (name, text) for name, header in config.http_headers.items() for text in _header_texts(name, header)
        ]
        self._credentials: CredentialSource = credentials or self._configured_credentials(config)
        self._session: aiohttp.ClientSession | None = None

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
        connector = aiohttp.TCPConnector(limit=self._max_connections, keepalive_timeout=KEEP_ALIVE)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._credentials.__aexit__(kind, error, traceback)
        finally:
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
            _target(url),
            headers or {},
            params=params,
            data=data,
            auto_decompress=auto_decompress,
            skip_auto_headers=() if auto_decompress else ("Accept-Encoding",),
            timeout=_timeout(timeout),
        )
        credential = (
            Credential() if "Authorization" in CIMultiDict(headers or {}) else await self._credentials.credential()
        )
        response = await send(credential)
        if response.status == 401 and data is None and credential != Credential():
            response = await self._again(send, credential, response)
        async with response:
            yield response

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
        headers = self._request_headers(given, credential)
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
            raise aiohttp.ClientConnectionError(_certificate_problem(error)) from error
        except aiohttp.ClientResponseError as error:
            # Such errors carry the headers of the request, with credentials, into every log that shows them whole.
            raise aiohttp.ClientError(_answer_problem(error)) from None
        except aiohttp.ClientError:
            raise
        except ValueError as error:  # a header with a line feed, for example from a token file with two lines
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

    def _request_headers(self, given: Mapping[str, str], credential: Credential) -> CIMultiDict[str]:
        headers = CIMultiDict((name, text.read()) for name, text in self._headers)
        for name, value in given.items():
            headers[name] = value
        if credential.header:
            headers["Authorization"] = credential.header
        return headers


def _target(url: str | URL | yarl.URL) -> yarl.URL:
    if isinstance(url, yarl.URL):
        return url
    try:
        return yarl.URL(url.reveal() if isinstance(url, URL) else url)
    except ValueError as error:
        raise aiohttp.ClientError(f"not a valid URL: {error}") from None


def _timeout(timeout: float | aiohttp.ClientTimeout | None) -> aiohttp.ClientTimeout:
    if isinstance(timeout, aiohttp.ClientTimeout):
        return timeout
    return aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)


def _header_texts(name: str, header: Header) -> list[SecretText]:
    given: list[str | Secret] = [*header.values, *header.secrets]
    return [SecretText(value, "", name) for value in given] + [
        SecretText("", file, f"headers file for {name}") for file in header.files
    ]


def _certificate_problem(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    reason = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)
    return f"the certificate of {error.host}:{error.port} is not accepted: {reason}"


def _answer_problem(error: aiohttp.ClientResponseError) -> str:
    if isinstance(error, aiohttp.TooManyRedirects):
        return f"stopped after {MAX_REDIRECTS} redirects"
    who = "the proxy" if isinstance(error, aiohttp.ClientHttpProxyError) else "the server"
    return f"{who} answered {error.status} {error.message}"
