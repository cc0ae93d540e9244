"""OAuth 2.0 client credentials: fetches a token and keeps it until it expires."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import parse_qs, quote_plus

import aiohttp
import msgspec

from promscout.httpclient.config import OAuth2
from promscout.httpclient.credentials import Credential
from promscout.httpclient.files import SecretText
from promscout.httpclient.single_flight import SingleFlight

FETCH_TIMEOUT: Final = 30.0
"""Seconds for one token request."""

EARLY: Final = 10.0
"""Seconds before its expiry from which a token is no longer used, so that it does not expire on the way."""

_MAX_BODY: Final = 1 << 20
_TYPES: Final = {"bearer": "Bearer", "mac": "MAC", "basic": "Basic"}


class Requester(AbstractAsyncContextManager[Any], Protocol):
    """What sends the token request; entered and left together with the source."""

    def request(
        self, method: str, url: str, *, headers: Mapping[str, str], data: Mapping[str, str], timeout: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request."""
        ...


class _Answer(msgspec.Struct):
    access_token: str = ""
    token_type: str = "Bearer"  # noqa: S105 - the name of a type, not a token
    expires_in: float | str | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    credential: Credential
    secret: str
    good_until: float  # by the loop's clock


class TokenSource:
    """Gives the Authorization header of a client. One token request at a time serves all that wait for it.

    Source: golang.org/x/oauth2 clientcredentials, internal/token.go.
    """

    def __init__(self, config: OAuth2, requester: Requester) -> None:
        self._config = config
        self._requester = requester
        self._secret = SecretText(config.client_secret, config.client_secret_file, "oauth2 client secret")
        self._token: _Token | None = None
        self._fetching: SingleFlight[_Token] = SingleFlight("oauth2 token")
        self._in_header = True

    async def __aenter__(self) -> Self:
        await self._requester.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._fetching.close()
        await self._requester.__aexit__(kind, error, traceback)

    async def credential(self) -> Credential:
        """The token, fetched anew when it expires or the client secret changes.

        Raises:
            aiohttp.ClientError: no token can be had; the message has no secret.
        """
        secret = self._secret.read()
        loop = asyncio.get_running_loop()
        if not (self._token and self._token.secret == secret and loop.time() < self._token.good_until):
            self._token = await self._fetching.run(lambda: self._fetch(secret))
        return self._token.credential

    async def rejected(self, credential: Credential) -> Credential | None:  # noqa: ARG002 - as the protocol says
        """None: a token is used until it expires, so that targets that refuse it do not flood the token server."""
        return None

    async def _fetch(self, secret: str) -> _Token:
        try:
            async with asyncio.timeout(FETCH_TIMEOUT):
                try:
                    answer = await self._ask(secret)
                except aiohttp.ClientResponseError:
                    # Servers differ in where they want the secret; what works is remembered.
                    self._in_header = not self._in_header
                    answer = await self._ask(secret)
        except TimeoutError:
            raise aiohttp.ClientError("cannot fetch an OAuth2 token: no answer in time") from None
        except aiohttp.ClientResponseError as error:
            raise aiohttp.ClientError(f"cannot fetch an OAuth2 token: {error.status} {error.message}") from None
        except aiohttp.ClientError as error:
            raise aiohttp.ClientError(f"cannot fetch an OAuth2 token: {error}") from error
        lifetime = _seconds(answer.expires_in)
        until = asyncio.get_running_loop().time() + lifetime - EARLY if lifetime else float("inf")
        kind = _TYPES.get(answer.token_type.lower(), answer.token_type)
        return _Token(Credential(f"{kind} {answer.access_token}"), secret, until)

    async def _ask(self, secret: str) -> _Answer:
        config = self._config
        form: dict[str, str] = {"grant_type": "client_credentials"}
        if config.scopes:
            form["scope"] = " ".join(config.scopes)
        form |= config.endpoint_params
        headers = {}
        if self._in_header:
            credentials = f"{quote_plus(config.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
        else:
            form |= {"client_id": config.client_id, "client_secret": secret}
        async with self._requester.request(
            "POST", config.token_url, headers=headers, data=form, timeout=FETCH_TIMEOUT
        ) as response:
            if response.status // 100 != 2:
                raise aiohttp.ClientResponseError(
                    response.request_info, response.history, status=response.status, message=response.reason or ""
                )
            return _parse(response.content_type, await response.content.read(_MAX_BODY))


def _parse(content_type: str, body: bytes) -> _Answer:
    try:
        if content_type in ("application/x-www-form-urlencoded", "text/plain"):
            fields: dict[str, Any] = {name: values[0] for name, values in parse_qs(body.decode()).items()}
            answer = msgspec.convert(fields, _Answer, strict=False)
        else:
            answer = msgspec.json.decode(body, type=_Answer)
    except ValueError:
        raise aiohttp.ClientPayloadError("the server's answer is not a token") from None
    if not answer.access_token:
        raise aiohttp.ClientPayloadError("the server's answer has no access_token")
    return answer


def _seconds(value: float | str | None) -> float:
    try:
        return float(value or 0)
    except ValueError:
        return 0.0
