"""Sends remote write requests over HTTP."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

from promscout import __version__
from promscout.httpclient.answer import NoAnswer
from promscout.httpclient.client import HTTPClient
from promscout.write.config import RemoteWriteConfig
from promscout.write.sender import Outcome, Reject, Request, Retry, Sent

USER_AGENT: Final = f"promscout/{__version__}"

_REASON_LENGTH: Final = 256
_ANSWER_LIMIT: Final = 1 << 20  # bytes that are read so that the connection can be used again


class RemoteWriteClient:
    """A ``Sender`` for one ``remote_write`` section. An async context manager.

    Any 2xx status means that the receiver has taken the samples. No answer, a 5xx status, and a 429 status where
    ``retry_on_http_429`` is set, are worth another attempt, after the receiver's ``Retry-After`` if it names a time to
    come; everything else is final. Reasons carry the first line of the answer, at most 256 characters.

    Source: prometheus v3.x storage/remote/client.go Client.Store, retryAfterDuration.
    """

    def __init__(self, config: RemoteWriteConfig) -> None:
        self._url = config.url.reveal()
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

    async def send(self, request: Request, attempt: int) -> Outcome:
        """Send one request."""
        headers = {**self._headers, "Retry-Attempt": str(attempt)} if attempt else self._headers
        answer = await self._http.fetch(
            "POST",
            self._url,
            headers=headers,
            body=request.body,
            limit=_ANSWER_LIMIT,
            deadline=asyncio.get_running_loop().time() + self._timeout,
        )
        if isinstance(answer, NoAnswer):
            return Retry(f"no answer within {self._timeout:g} s" if answer.timed_out else answer.reason)
        if 200 <= answer.status < 300:
            return Sent()
        line = _first_line(answer.body)
        reason = f"status {answer.status}: {line}" if line else f"status {answer.status}"
        if answer.status >= 500 or (answer.status == 429 and self._retry_on_429):
            return Retry(reason, retry_after(answer.header(b"retry-after")))
        return Reject(reason)


def _first_line(body: bytes) -> str:
    lines = body[: 4 * _REASON_LENGTH].decode(errors="replace").strip().splitlines()
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
