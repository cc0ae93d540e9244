"""Labels that every target of a job has unless its rules take them away, and what is to be done where they do.

Whoever reads a list would give such a target the default again. So it is told in the list, by a label that a rule of
the reader's configuration looks at.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from promscout.model import labels as names
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.scrape.config import ScrapeConfig

WITHOUT: Final = f"{names.META_PREFIX}promscout_without_"
"""Begins the name of the label of a target that has no label of the name that follows."""

_TOLD: Final = Regex.parse("true")
_BY_REGEX: Final = (Action.LABELDROP, Action.LABELKEEP)
_BY_TARGET: Final = (Action.REPLACE, Action.LOWERCASE, Action.UPPERCASE)


def defaulted(config: ScrapeConfig) -> frozenset[str]:
    """The names of the labels that every target of the job has unless relabelling takes them away."""
    params = (names.PARAM_PREFIX + name for name, values in config.params.items() if values)
    return frozenset((names.JOB, names.SCHEME, names.METRICS_PATH, *params))


def restoring_rules(config: ScrapeConfig) -> Iterator[RelabelConfig]:
    """For each label that the job's rules may take away: the rule that takes away the default, where they do."""
    for name in sorted(defaulted(config)):
        if any(_may_remove(rule, name) for rule in config.relabel_configs):
            yield RelabelConfig(source_labels=(WITHOUT + name,), regex=_TOLD, target_label=name, replacement="")


def _may_remove(rule: RelabelConfig, name: str) -> bool:
    if rule.action in _BY_REGEX:
        return (rule.regex.match(name) is not None) is (rule.action is Action.LABELDROP)
    if rule.action not in _BY_TARGET or (rule.target_label != name and "$" not in rule.target_label):
        return False
    return rule.action is not Action.REPLACE or not rule.replacement or "$" in rule.replacement
