"""OAuth 2.0 client credentials: fetches a token and keeps it until it expires."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, quote_plus

import aiohttp
import msgspec

from promscout.httpclient.config import OAuth2
from promscout.httpclient.files import SecretText

FETCH_TIMEOUT: Final = 30.0
"""Seconds for one token request."""

EARLY: Final = 10.0
"""Seconds before its expiry from which a token is no longer used, so that it does not expire on the way."""

_MAX_BODY: Final = 1 << 20
_TYPES: Final = {"bearer": "Bearer", "mac": "MAC", "basic": "Basic"}


class Requester(Protocol):
    """What sends the token request."""

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
    header: str
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
        self._fetching: asyncio.Task[_Token] | None = None
        self._in_header = True

    async def header(self) -> str:
        """The value of the Authorization header.

        Raises:
            aiohttp.ClientError: no token can be had; the message has no secret.
        """
        secret = self._secret.read()
        loop = asyncio.get_running_loop()
        if self._token and self._token.secret == secret and loop.time() < self._token.good_until:
            return self._token.header
        if self._fetching is None or self._fetching.done():
            self._fetching = loop.create_task(self._fetch(secret), name="oauth2 token")
            self._fetching.add_done_callback(lambda task: task.cancelled() or task.exception())
        # One caller that gives up must not cost the others their token.
        self._token = await asyncio.shield(self._fetching)
        return self._token.header

    async def close(self) -> None:
        """Give up a request under way."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

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
        return _Token(
            f"{_TYPES.get(answer.token_type.lower(), answer.token_type)} {answer.access_token}", secret, until
        )

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
