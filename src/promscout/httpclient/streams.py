"""What goes to aiohttp and comes from it, in our words."""

from __future__ import annotations

import ssl
from typing import Final

import aiohttp
import yarl

from promscout.httpclient.answer import Answer, Order
from promscout.httpclient.fetching import MAX_REDIRECTS
from promscout.httpclient.secret import URL

CONNECT_TIMEOUT: Final = 30.0
"""Seconds to connect, when the caller sets no time limit of its own."""


async def whole_answer(response: aiohttp.ClientResponse, order: Order) -> Answer:
    """Read as much of an answer as ``order`` wants."""
    limit = order.body_limit(response.status)
    chunks, size = [], 0
    while size <= limit and (chunk := await response.content.readany()):
        chunks.append(chunk)
        size += len(chunk)
    if size > limit:
        response.close()
    return Answer(response.status, response.reason or "", response.raw_headers, b"".join(chunks), size <= limit)


def target_of(url: str | URL | yarl.URL) -> yarl.URL:
    """The URL as aiohttp takes it.

    Raises:
        aiohttp.ClientError: it is none.
    """
    if isinstance(url, yarl.URL):
        return url
    try:
        return yarl.URL(url.reveal() if isinstance(url, URL) else url)
    except ValueError as error:
        raise aiohttp.ClientError(f"not a valid URL: {error}") from None


def time_limits(timeout: float | aiohttp.ClientTimeout | None) -> aiohttp.ClientTimeout:
    """``timeout`` is the seconds for everything; connecting has a limit in any case."""
    if isinstance(timeout, aiohttp.ClientTimeout):
        return timeout
    return aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_TIMEOUT)


def certificate_problem(error: aiohttp.ClientConnectorCertificateError) -> str:
    """What is wrong with a server's certificate."""
    cause = error.certificate_error
    reason = cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause)
    return f"the certificate of {error.host}:{error.port} is not accepted: {reason}"


def answer_problem(error: aiohttp.ClientResponseError) -> str:
    """What is wrong with an answer, without the request's headers, which such errors carry."""
    if isinstance(error, aiohttp.TooManyRedirects):
        return f"stopped after {MAX_REDIRECTS} redirects"
    who = "the proxy" if isinstance(error, aiohttp.ClientHttpProxyError) else "the server"
    return f"{who} answered {error.status} {error.message}"
