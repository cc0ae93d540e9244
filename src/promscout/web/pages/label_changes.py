"""Labels before and after relabelling, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from promscout.model import labels as names
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.engine import RuleStep


class Change(StrEnum):
    """What became of a label."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"
    KEPT = "kept"
    META = "meta"  # gone because its name begins with __meta_, as of every target


class LabelChange(msgspec.Struct, frozen=True):
    """One label: its values, an empty one where it is absent, and what became of it."""

    name: str
    before: str
    after: str

    @property
    def pair(self) -> tuple[str, str]:
        """The label before."""
        return self.name, self.before

    @property
    def change(self) -> Change:
        """What became of it."""
        if self.before == self.after:
            return Change.KEPT
        if not self.before:
            return Change.ADDED
        if self.after:
            return Change.CHANGED
        return Change.META if self.name.startswith(names.META_PREFIX) else Change.REMOVED


def label_changes(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[LabelChange, ...]:
    """Every label that is in one of both: by what became of it, in the order of ``Change``, and by name."""
    found = (LabelChange(name, before.get(name, ""), after.get(name, "")) for name in sorted({*before, *after}))
    order = list(Change)
    return tuple(sorted((one for one in found if one.before or one.after), key=lambda one: order.index(one.change)))


_ON_EQUALITY: Final = (Action.KEEPEQUAL, Action.DROPEQUAL)


class ShownStep(msgspec.Struct, frozen=True):
    """What one rule did to one set of labels, in words. ``number`` is the rule's place in its list, from 0.

    ``value`` is what the rule looked at, ``other`` what ``keepequal`` and ``dropequal`` compared it with.
    """

    number: int
    action: str
    rule: tuple[tuple[str, str], ...]
    value: str
    other: str | None
    matched: bool
    kept: bool
    changes: tuple[LabelChange, ...]

    @property
    def has_value(self) -> bool:
        """Whether the rule looks at values, not at names."""
        return any(name == "source_labels" for name, _ in self.rule)


def shown_steps(steps: tuple[RuleStep, ...], before: Mapping[str, str]) -> tuple[ShownStep, ...]:
    """The steps of a trace that began with ``before``."""
    shown: list[ShownStep] = []
    for step in steps:
        changes = tuple(
            LabelChange(name, before.get(name, ""), value or "") for name, value in sorted(step.changed.items())
        )
        shown.append(
            ShownStep(
                step.index,
                step.config.action.value,
                rule_fields(step.config),
                step.value,
                step.labels.get(step.config.target_label, "") if step.config.action in _ON_EQUALITY else None,
                step.matched,
                step.kept,
                changes if step.kept else (),
            )
        )
        before = step.labels
    return tuple(shown)


def rule_fields(config: RelabelConfig) -> tuple[tuple[str, str], ...]:
    """What a rule says beyond its action, as names and values, without what it leaves to the defaults."""
    usual = RelabelConfig(action=Action.KEEP)
    written = {
        "source_labels": f"[{', '.join(config.source_labels)}]" if config.source_labels else "",
        "separator": config.separator if config.separator != usual.separator else "",
        "regex": config.regex.text if config.regex != usual.regex else "",
        "modulus": str(config.modulus) if config.modulus else "",
        "target_label": config.target_label,
        "replacement": config.replacement if config.replacement != usual.replacement else "",
    }
    return tuple((name, value) for name, value in written.items() if value)
