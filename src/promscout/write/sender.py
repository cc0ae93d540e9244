"""How a request to a receiver can end, and who sends it."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec

from promscout.write.config import ProtobufMessage


class Request(msgspec.Struct, frozen=True):
    """A compressed request body, and which message it is."""

    body: bytes
    message: ProtobufMessage = ProtobufMessage.V1


class Written(msgspec.Struct, frozen=True):
    """What a receiver of remote write 2.0 says it has stored of a request."""

    samples: int = 0
    histograms: int = 0
    exemplars: int = 0


class Sent(msgspec.Struct, frozen=True):
    """The receiver has taken the samples; ``written`` is what it says about them, None if it says nothing."""

    written: Written | None = None


class Retry(msgspec.Struct, frozen=True):
    """The same request may succeed later: not before ``after`` seconds, if the receiver said so."""

    reason: str
    after: float | None = None


class Unsupported(msgspec.Struct, frozen=True):
    """The receiver does not know the message: it may take the same samples as another."""

    reason: str


class Reject(msgspec.Struct, frozen=True):
    """The receiver will never take this request; ``written`` is what it has stored of it, None if it says nothing."""

    reason: str
    written: Written | None = None


Outcome: TypeAlias = Sent | Retry | Unsupported | Reject


class Sender(Protocol):
    """Sends encoded requests to one receiver, several at once."""

    async def send(self, request: Request, attempt: int) -> Outcome:
        """Send one request; ``attempt`` counts from 0. Failures are outcomes, not exceptions."""
        ...
