"""Sends remote write requests over HTTP."""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

from promscout import __version__
from promscout.httpclient.answer import Answer, NoAnswer
from promscout.httpclient.client import HTTPClient
from promscout.logs import EventLog
from promscout.write.config import ProtobufMessage, RemoteWriteConfig
from promscout.write.sender import Outcome, Reject, Request, Retry, Sent, Unsupported, Written

USER_AGENT: Final = f"promscout/{__version__}"

_REASON_LENGTH: Final = 256
_ANSWER_LIMIT: Final = 1 << 20  # bytes that are read so that the connection can be used again

_MESSAGE_HEADERS: Final = {
    ProtobufMessage.V1: {
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    },
    ProtobufMessage.V2: {
        "Content-Type": f"application/x-protobuf;proto={ProtobufMessage.V2}",
        "X-Prometheus-Remote-Write-Version": "2.0.0",
    },
}
_WRITTEN: Final = {
    "samples": b"x-prometheus-remote-write-samples-written",
    "histograms": b"x-prometheus-remote-write-histograms-written",
    "exemplars": b"x-prometheus-remote-write-exemplars-written",
}

_COUNT: Final = re.compile(r"[0-9]{1,18}", re.ASCII)

_log = EventLog(__name__)


class RemoteWriteClient:
    """A ``Sender`` for one ``remote_write`` section. An async context manager.

    Any 2xx status means that the receiver has taken the samples. No answer, a 5xx status, and a 429 status where
    ``retry_on_http_429`` is set, are worth another attempt, after the receiver's ``Retry-After`` if it names a time to
    come; everything else is final. Reasons carry the first line of the answer, at most 256 characters.

    What a receiver of a 2.0 request says about what it has written is part of the outcome. One that says nothing about
    it does not know 2.0 if it answers with 2xx or 400, and neither does one that answers 415: ``Unsupported``.

    With ``failed_request_logging``, a 2.0 request that failed is logged at debug level, compressed and in base64.

    Source: prometheus v3.x storage/remote/client.go Client.Store, retryAfterDuration; stats.go ParseWriteResponseStats.
    """

    def __init__(self, config: RemoteWriteConfig) -> None:
        self._url = config.url.reveal()
        self._timeout = float(config.remote_timeout)
        self._retry_on_429 = config.queue_config.retry_on_http_429
        own = {name: value.reveal() for name, value in config.headers.items()}
        self._headers = {
            message: {**own, "Content-Encoding": "snappy", **headers} for message, headers in _MESSAGE_HEADERS.items()
        }
        self._logs_requests = config.failed_request_logging
        self._log = _log.bind(url=str(config.url))
        self._http = HTTPClient(config, user_agent=USER_AGENT, round_robin=config.round_robin_dns)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._http.__aexit__(kind, error, traceback)

    async def send(self, request: Request, attempt: int) -> Outcome:
        """Send one request."""
        headers = self._headers[request.message]
        answer = await self._http.fetch(
            "POST",
            self._url,
            headers={**headers, "Retry-Attempt": str(attempt)} if attempt else headers,
            body=request.body,
            limit=_ANSWER_LIMIT,
            deadline=asyncio.get_running_loop().time() + self._timeout,
        )
        outcome = self._outcome(request, answer)
        if self._logs_requests and request.message is ProtobufMessage.V2 and not isinstance(outcome, Sent):
            body = b64encode(request.body).decode()
            self._log.debug("a remote write 2.0 request failed", reason=outcome.reason, request=body)
        return outcome

    def _outcome(self, request: Request, answer: Answer | NoAnswer) -> Outcome:
        if isinstance(answer, NoAnswer):
            return Retry(f"no answer within {self._timeout:g} s" if answer.timed_out else answer.reason)
        line = _first_line(answer.body)
        reason = f"status {answer.status}: {line}" if line else f"status {answer.status}"
        if answer.status >= 500 or (answer.status == 429 and self._retry_on_429):
            return Retry(reason, retry_after(answer.header(b"retry-after")))
        taken = 200 <= answer.status < 300
        if request.message is ProtobufMessage.V1:
            return Sent() if taken else Reject(reason)
        written = _written(answer)
        if answer.status == 415:
            return Unsupported(reason)
        if written is None and (taken or answer.status == 400):
            return Unsupported(f"{reason}, and no word about what was written")
        return Sent(written) if taken else Reject(reason, written)


def _written(answer: Answer) -> Written | None:
    """What the receiver says it has written: what it leaves out or what is no number is 0; None: it says nothing."""
    texts = {kind: answer.header(name) for kind, name in _WRITTEN.items()}
    if not any(texts.values()):
        return None
    return Written(**{kind: int(text) if _COUNT.fullmatch(text) else 0 for kind, text in texts.items()})


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
