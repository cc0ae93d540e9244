"""Who may come in: every request passes here before anything else looks at it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Handler

from promscout.web.access.config_file import WebConfigFile, WebSetup
from promscout.web.access.origin import Origins, only
from promscout.web.access.passwords import Passwords, Verdict
from promscout.web.access.rate import RateLimiter

MAX_PARAMETERS: Final = 1000
"""Parameters of a URL."""

_LONGEST_CREDENTIALS: Final = 4096

_ALWAYS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Access:
    """The rules that are in force.

    Guarantees: no path is excepted; every answer, a refusal too, gets ``headers``.
    """

    def __init__(self, origins: Origins, file: WebConfigFile | None = None) -> None:
        self.origins = origins
        self._file = file
        self._passwords = Passwords()
        self._limiter = RateLimiter(self._setup.config.rate_limit)

    @property
    def _setup(self) -> WebSetup:
        return WebSetup() if self._file is None else self._file.in_force

    @property
    def headers(self) -> Mapping[str, str]:
        """What every answer carries."""
        configured = self._setup.config.http_server_config.headers
        return {**_ALWAYS, **{name: value for name, value in configured.items() if value}}

    async def close(self) -> None:
        """End what is under way."""
        await self._passwords.close()
        if self._file is not None:
            await self._file.close()

    async def refusal(self, request: web.Request) -> web.Response | None:
        """The answer to a request that may not come in; None for one that may."""
        setup = self._setup if self._file is None else await self._file.current()
        if setup.config.rate_limit != self._limiter.limit:
            self._limiter = RateLimiter(setup.config.rate_limit)
        if not self._limiter.allow():
            return _text(429, "Too Many Requests\n")
        return self._malformed(setup, request) or await self._unauthorized(setup, request)

    def _malformed(self, setup: WebSetup, request: web.Request) -> web.Response | None:
        hosts = request.headers.getall(hdrs.HOST, [])
        if len(hosts) > 1 or (not hosts and request.version >= HttpVersion11):
            return _text(400, "exactly one Host is required\n")
        if request.query_string.count("&") >= MAX_PARAMETERS:
            return _text(400, "too many parameters\n")
        if setup.config.is_open and hosts:
            # An absolute URL in the request's first line takes the place of the header.
            for host in {*hosts, _bracketed(request.host)}:
                if refusal := self.origins.host_refusal(host):
                    return _text(403, f"refused: {refusal}\n")
        return None

    async def _unauthorized(self, setup: WebSetup, request: web.Request) -> web.Response | None:
        config = setup.config
        if not config.has_credentials:
            return None
        scheme, _, credentials = (only(request.headers.getall(hdrs.AUTHORIZATION, [])) or "").partition(" ")
        credentials = credentials.strip()
        verdict = Verdict.WRONG
        if len(credentials) <= _LONGEST_CREDENTIALS:
            if scheme.lower() == "bearer" and setup.digests:
                verdict = Verdict.RIGHT if _has_token(setup.digests, credentials) else Verdict.WRONG
            elif scheme.lower() == "basic" and config.basic_auth_users and (pair := _pair(credentials)):
                verdict = await self._passwords.check(config.basic_auth_users, *pair)
        if verdict is Verdict.RIGHT:
            return None
        if verdict is Verdict.BUSY:
            return _text(429, "too many passwords wait to be checked\n", {hdrs.RETRY_AFTER: "1"})
        answer = _text(401, "Unauthorized\n")
        if config.basic_auth_users:
            answer.headers.add(hdrs.WWW_AUTHENTICATE, "Basic")
        if setup.digests:
            answer.headers.add(hdrs.WWW_AUTHENTICATE, "Bearer")
        return answer


def _bracketed(host: str) -> str:
    """What aiohttp gives without brackets where an absolute URL has an IPv6 address."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _has_token(digests: tuple[bytes, ...], token: str) -> bool:
    digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
    found = [hmac.compare_digest(digest, one) for one in digests]  # all of them, however early one matches
    return any(found)


def _pair(credentials: str) -> tuple[str, bytes] | None:
    """User and password of basic authentication. Source: RFC 7617; Go net/http parseBasicAuth."""
    try:
        user, colon, password = base64.b64decode(credentials, validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def _text(status: int, text: str, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(status=status, text=text, headers=headers)


ACCESS: Final = web.AppKey("ACCESS", Access)
"""Where handlers find the rules."""


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who may come in."""
    return await request.app[ACCESS].refusal(request) or await handler(request)


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Give an answer the headers that every answer has; what may be kept by caches must say so itself."""
    headers = response.headers
    headers.update(request.app[ACCESS].headers)
    is_checked = hdrs.ETAG in headers or hdrs.LAST_MODIFIED in headers
    headers.setdefault(hdrs.CACHE_CONTROL, "no-cache" if is_checked else "no-store")
    headers.popall(hdrs.SERVER, None)
