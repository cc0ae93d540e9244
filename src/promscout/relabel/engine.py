"""The relabelling engine: runs compiled rules in order, and explains what each of them did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.rules import Labels, compile_rule, source_value


class RuleStep(msgspec.Struct, frozen=True):
    """What one rule did to one set of labels.

    ``value`` is the joined source labels, or empty for a rule on label names. ``matched`` says whether the rule's
    condition held (for a rule on label names: for any of them). ``kept`` is False for the rule that drops.
    ``changed`` has every label that the rule set, with its new value, or deleted, with None; setting a label to the
    value it had is no change. ``labels`` are the labels after the rule.
    """

    index: int
    config: RelabelConfig
    value: str
    matched: bool
    kept: bool
    changed: dict[str, str | None]
    labels: Labels


class Relabeler:
    """Runs relabel rules in order. Holds no state but memos, so equal labels always give equal results.

    Source: prometheus v3.x model/relabel/relabel.go ProcessBuilder, relabel.
    """

    __slots__ = ("_rules", "configs")

    def __init__(self, configs: Sequence[RelabelConfig]) -> None:
        self.configs = tuple(configs)
        self._rules = tuple(compile_rule(config) for config in configs)

    def apply(self, labels: Labels) -> bool:
        """Relabel ``labels`` in place; False when a rule drops them, which leaves the dict unspecified.

        A label with an empty value counts as absent, and no rule makes one.
        """
        for rule in self._rules:  # noqa: SIM110 - all() over a generator takes twice as long
            if not rule(labels):
                return False
        return True

    def dropping_rule(self, labels: Labels) -> int | None:
        """Relabel ``labels`` in place as ``apply`` does; the index of the rule that drops them, or None."""
        for index, rule in enumerate(self._rules):
            if not rule(labels):
                return index
        return None

    def trace(self, labels: Labels) -> tuple[RuleStep, ...]:
        """What each rule does to a copy of ``labels``, up to and including the one that drops them."""
        steps = []
        for index, (config, rule) in enumerate(zip(self.configs, self._rules, strict=True)):
            after = dict(labels)
            kept = rule(after)
            value = "" if config.action in _ON_NAMES else source_value(config)(labels)
            changed = {name: after.get(name) for name in {**labels, **after} if after.get(name) != labels.get(name)}
            steps.append(RuleStep(index, config, value, _matched(config, value, labels), kept, changed, after))
            if not kept:
                break
            labels = after
        return tuple(steps)


_ON_NAMES: Final = frozenset({Action.LABELMAP, Action.LABELDROP, Action.LABELKEEP})
_UNCONDITIONAL: Final = frozenset({Action.HASHMOD, Action.LOWERCASE, Action.UPPERCASE})


def _matched(config: RelabelConfig, value: str, labels: Labels) -> bool:
    if config.action in {Action.KEEPEQUAL, Action.DROPEQUAL}:
        return labels.get(config.target_label, "") == value
    if config.action in _ON_NAMES:
        return any(config.regex.match(name) for name in labels)
    return config.action in _UNCONDITIONAL or config.regex.match(value) is not None
