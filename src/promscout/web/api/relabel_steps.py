"""What each relabel rule of a job does to labels, as ``/api/v1/targets/relabel_steps`` tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.relabel.config import RelabelConfig
from promscout.relabel.engine import Relabeler


class RuleAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A relabel rule. Source: prometheus v3.x model/relabel/relabel.go Config."""

    source_labels: tuple[str, ...] = ()
    separator: str
    regex: str
    modulus: int = 0
    target_label: str = ""
    replacement: str
    action: str

    @classmethod
    def of(cls, rule: RelabelConfig) -> Self:
        """The rule with what it leaves to defaults."""
        return cls(
            source_labels=rule.source_labels,
            separator=rule.separator,
            regex=rule.regex.text,
            modulus=rule.modulus,
            target_label=rule.target_label,
            replacement=rule.replacement,
            action=rule.action,
        )


class StepAnswer(msgspec.Struct, frozen=True):
    """A rule and the labels after it: none from the rule on that drops them."""

    rule: RuleAnswer
    output: dict[str, str]
    keep: bool


class StepsAnswer(msgspec.Struct, frozen=True):
    """A step for each rule, in their order."""

    steps: list[StepAnswer]


def parse_labels(text: str) -> dict[str, str]:
    """Labels from a JSON object of texts; an empty value means that there is no such label.

    Raises:
        InvalidValueError: it is something else.
    """
    try:
        given = msgspec.json.decode(text, type=dict[str, str | None] | None)
    except msgspec.MsgspecError as error:
        raise InvalidValueError(f"error parsing labels: {error}") from error
    return {name: value for name, value in (given or {}).items() if value}


def relabel_steps(rules: Sequence[RelabelConfig], labels: Mapping[str, str]) -> Iterator[StepAnswer]:
    """What the rules do to ``labels``, each only when it is asked for.

    Source: prometheus v3.x web/api/v1/api.go targetRelabelSteps.
    """
    current, kept = dict(labels), True
    for rule in rules:
        if kept:
            (step,) = Relabeler((rule,)).trace(current)
            current, kept = step.labels, step.kept
        yield StepAnswer(RuleAnswer.of(rule), dict(sorted(current.items())) if kept else {}, kept)
