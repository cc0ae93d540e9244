"""Sends remote write requests over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

import aiohttp

from promscout import __version__
from promscout.httpclient.client import HTTPClient
from promscout.write.config import RemoteWriteConfig
from promscout.write.sender import Outcome, Reject, Retry, Sent

USER_AGENT: Final = f"promscout/{__version__}"

_REASON_LENGTH: Final = 256
_CHUNK: Final = 65536


class RemoteWriteClient:
    """A ``Sender`` for one ``remote_write`` section. An async context manager.

    Any 2xx status means that the receiver has taken the samples. No answer, a 5xx status, and a 429 status where
    ``retry_on_http_429`` is set, are worth another attempt, after the receiver's ``Retry-After`` if it names a time to
    come; everything else is final. Reasons carry the first line of the answer, at most 256 characters.

    Source: prometheus v3.x storage/remote/client.go Client.Store, retryAfterDuration.
    """

    def __init__(self, config: RemoteWriteConfig) -> None:
        self._url = config.url
        self._timeout = float(config.remote_timeout)
        self._retry_on_429 = config.queue_config.retry_on_http_429
        self._headers = {
            **{name: value.reveal() for name, value in config.headers.items()},
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        self._http = HTTPClient(config, user_agent=USER_AGENT)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

    async def send(self, body: bytes, attempt: int) -> Outcome:
        """Send one compressed request."""
        headers = {**self._headers, "Retry-Attempt": str(attempt)} if attempt else self._headers
        try:
            async with self._http.request(
                "POST", self._url, headers=headers, data=body, timeout=self._timeout
            ) as response:
                return await self._outcome(response)
        except TimeoutError:
            return Retry(f"no answer within {self._timeout:g} s")
        except aiohttp.InvalidURL:
            return Reject("the URL cannot be requested")
        except (aiohttp.ClientError, OSError) as error:
            return Retry(str(error) or type(error).__name__)

    async def _outcome(self, response: aiohttp.ClientResponse) -> Outcome:
        line = await _first_line(response)
        if 200 <= response.status < 300:
            return Sent()
        reason = f"status {response.status}: {line}" if line else f"status {response.status}"
        if response.status >= 500 or (response.status == 429 and self._retry_on_429):
            return Retry(reason, retry_after(response.headers.get("Retry-After", "")))
        return Reject(reason)


async def _first_line(response: aiohttp.ClientResponse) -> str:
    """The body's first line. Reads the body to its end, because only then the connection can be used again."""
    start = b""
    async for chunk in response.content.iter_chunked(_CHUNK):
        if len(start) < 4 * _REASON_LENGTH:
            start += chunk
    lines = start[: 4 * _REASON_LENGTH].decode(errors="replace").strip().splitlines()
    return "".join(character for character in lines[0] if character.isprintable())[:_REASON_LENGTH] if lines else ""


def retry_after(text: str, now: datetime | None = None) -> float | None:
    """The seconds to wait that a ``Retry-After`` header asks for; None when it is no time to come."""
    if text.isascii() and text.isdigit():
        return float(text) or None
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    seconds = (when.replace(tzinfo=when.tzinfo or UTC) - (now or datetime.now(UTC))).total_seconds()
    return seconds if seconds > 0 else None
