"""How a request to a receiver can end, and who sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has taken the samples."""


@dataclass(frozen=True, slots=True)
class Retry:
    """The same request may succeed later: not before ``after`` seconds, if the receiver said so."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Reject:
    """The receiver will never take this request."""

    reason: str


Outcome: TypeAlias = Sent | Retry | Reject


class Sender(Protocol):
    """Sends encoded requests to one receiver, several at once."""

    async def send(self, body: bytes, attempt: int) -> Outcome:
        """Send one compressed request; ``attempt`` counts from 0. Failures are outcomes, not exceptions."""
        ...
