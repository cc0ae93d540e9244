"""Wrong answers on purpose: which request gets which, decided by a seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, Self

REFUSALS = ("500", "503", "429", "400", "415")
"""Answered with this status. What gets a 400 is recorded as refused, what gets another one is forgotten."""

BREAKS = (
    "hang",  # no answer, nothing is taken
    "take_and_hang",  # no answer, although everything is taken
    "reset_body",  # the connection is reset while the body comes
    "reset_answer",  # everything is taken, and the connection is reset within the status line
    "reset",  # everything is taken, and the connection is reset before the answer
)

KINDS = (*REFUSALS, *BREAKS, "slow")  # slow: taken, and answered late


@dataclass(frozen=True, slots=True)
class Plan:
    """A part ``rate`` of the requests, at most ``limit`` of them, gets one of ``kinds``, all being as likely.

    ``messages`` are understood, others get a 415. ``retry_after`` is the header's text with a 429 or 503. ``delay`` is
    seconds before an answer that is slow. ``written``: what 2.0 is told about what was written; ``honest``, ``less``
    or ``nothing`` (no headers).
    """

    seed: int = 0
    rate: float = 0.0
    kinds: tuple[str, ...] = ()
    limit: int = 1 << 62
    messages: tuple[str, ...] = ("prometheus.WriteRequest", "io.prometheus.write.v2.Request")
    retry_after: str = ""
    delay: float = 0.2
    written: str = "honest"

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> Self:
        """A plan as it comes over HTTP.

        Raises:
            TypeError, ValueError: there is no such plan.
        """
        plan = cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})
        if unknown := set(plan.kinds) - set(KINDS):
            raise ValueError(f"unknown kinds: {', '.join(sorted(unknown))}")
        return plan


class Faults:
    """Deals them out. ``dealt`` counts by kind."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.dealt: Counter[str] = Counter()
        self._random = Random(plan.seed)

    def next(self) -> str:
        """What the next request gets; nothing for a right answer."""
        plan = self.plan
        if not plan.kinds or self.dealt.total() >= plan.limit or self._random.random() >= plan.rate:
            return ""
        kind = self._random.choice(plan.kinds)
        self.dealt[kind] += 1
        return kind
