"""How a request to a receiver can end, and who sends it."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import msgspec


class Sent(msgspec.Struct, frozen=True):
    """The receiver has taken the samples."""


class Retry(msgspec.Struct, frozen=True):
    """The same request may succeed later: not before ``after`` seconds, if the receiver said so."""

    reason: str
    after: float | None = None


class Reject(msgspec.Struct, frozen=True):
    """The receiver will never take this request."""

    reason: str


Outcome: TypeAlias = Sent | Retry | Reject


class Sender(Protocol):
    """Sends encoded requests to one receiver, several at once."""

    async def send(self, body: bytes, attempt: int) -> Outcome:
        """Send one compressed request; ``attempt`` counts from 0. Failures are outcomes, not exceptions."""
        ...
