"""Rules tried on labels: what each of them does, and what comes out. Nothing of it is put into force."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import msgspec

from promscout.config.rules import ParsedRules, parse_rules
from promscout.errors import ConfigError, InvalidValueError
from promscout.model.duration import Duration
from promscout.model.group import TargetGroup
from promscout.model.labels import METRIC_NAME, RESERVED_PREFIX
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.engine import Relabeler, RuleStep
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.target import Refused, Target
from promscout.scrape.target_builder import TargetBuilder
from promscout.web.pages.label_changes import LabelChange, ShownStep, label_changes, shown_steps
from promscout.web.pages.label_text import parse_label_text

MOST_TEXT: Final = 64 << 10
"""Characters of the labels and of the rules."""

MOST_RULES: Final = 200

_MOST_MADE: Final = 256 << 10
"""Characters that a rule may make: with references to groups, a short text can mean a very long one."""

_MOST_CHANGED: Final = 1 << 20
"""Characters of all labels that rules may change: each of them is shown."""

_NO_JOB: Final = ScrapeConfig(job_name="job", scrape_interval=Duration(60), scrape_timeout=Duration(10))


class Mode(StrEnum):
    """What the rules are for."""

    TARGET = "target"  # relabel_configs
    METRIC = "metric"  # metric_relabel_configs


class Outcome(StrEnum):
    """What came out."""

    NONE = "none"  # the labels or the rules could not be read
    KEPT = "kept"
    DROPPED = "dropped"
    REFUSED = "refused"  # by no rule: these labels make no target, or no sample
    STOPPED = "stopped"  # a rule would make very long texts


class RuleProblem(msgspec.Struct, frozen=True):
    """What is wrong with the rules; ``line`` counts from 1, 0 where it is the text as a whole."""

    line: int
    path: str
    message: str


class Play(msgspec.Struct, frozen=True):
    """What is tried: rules on labels, as texts; ``config`` is the job's, None for that of any job."""

    mode: Mode
    labels: str
    rules: str
    config: ScrapeConfig | None = None


class Played(msgspec.Struct, frozen=True):
    """What became of it.

    ``lines`` has the line of each rule. ``given`` are labels that every target of the job has, beyond those of the
    text. ``url`` is the target's, ``message`` says why there is none.
    """

    outcome: Outcome = Outcome.NONE
    label_problem: str = ""
    rule_problems: tuple[RuleProblem, ...] = ()
    steps: tuple[ShownStep, ...] = ()
    lines: tuple[int, ...] = ()
    given: tuple[tuple[str, str], ...] = ()
    changes: tuple[LabelChange, ...] = ()
    url: str = ""
    message: str = ""


def play(wanted: Play) -> Played:
    """Read both texts and run the rules. Takes time that the texts' bounds limit: meant for a thread."""
    labels, label_problem = _labels(wanted.labels)
    config = wanted.config or _NO_JOB
    rules, rule_problems = _rules(wanted.rules, config)
    if label_problem or rule_problems:
        return Played(label_problem=label_problem, rule_problems=rule_problems)
    builder = TargetBuilder(msgspec.structs.replace(config, relabel_configs=rules.rules))
    group = TargetGroup.of("", [labels])
    before = labels if wanted.mode is Mode.METRIC else builder.discovered_labels(group, 0)
    steps, stopped = _trace(rules.rules, before)
    after = steps[-1].labels if steps else before
    played = Played(
        steps=shown_steps(steps, before),
        lines=rules.lines,
        given=tuple((name, value) for name, value in before.items() if name not in labels),
    )
    if stopped:
        return msgspec.structs.replace(played, outcome=Outcome.STOPPED, message=stopped)
    if steps and not steps[-1].kept:
        return msgspec.structs.replace(played, outcome=Outcome.DROPPED)
    if wanted.mode is Mode.METRIC:
        return _sample(played, before, after)
    built = builder.build_plainly(group, 0)
    if isinstance(built, Target):
        changes = label_changes(before, dict(built.all_labels))
        return msgspec.structs.replace(played, outcome=Outcome.KEPT, changes=changes, url=built.url)
    reason = built.reason if isinstance(built, Refused) else ""
    return msgspec.structs.replace(
        played, outcome=Outcome.REFUSED, changes=label_changes(before, after), message=reason
    )


def _sample(played: Played, before: Mapping[str, str], after: Mapping[str, str]) -> Played:
    changes = label_changes(before, after)
    if after.get(METRIC_NAME):
        return msgspec.structs.replace(played, outcome=Outcome.KEPT, changes=changes)
    message = "metric name missing after relabelling" if any(after.values()) else "no label is left"
    return msgspec.structs.replace(played, outcome=Outcome.REFUSED, changes=changes, message=message)


def _labels(text: str) -> tuple[dict[str, str], str]:
    if len(text) > MOST_TEXT:
        return {}, f"more than {MOST_TEXT:,} characters"
    try:
        labels = parse_label_text(text)
    except InvalidValueError as error:
        return {}, str(error)
    return labels, "" if labels else "no labels"


def _rules(text: str, config: ScrapeConfig) -> tuple[ParsedRules, tuple[RuleProblem, ...]]:
    if len(text) > MOST_TEXT:
        return ParsedRules(), (RuleProblem(0, "", f"more than {MOST_TEXT:,} characters"),)
    scheme = config.metric_name_validation_scheme
    try:
        rules = parse_rules(text) if scheme is None else parse_rules(text, scheme)
    except ConfigError as error:
        return ParsedRules(), tuple(RuleProblem(one.line, one.path, one.message) for one in error.problems[:20])
    if len(rules.rules) > MOST_RULES:
        return ParsedRules(), (RuleProblem(0, "", f"more than {MOST_RULES} rules"),)
    return rules, ()


def _trace(rules: tuple[RelabelConfig, ...], labels: dict[str, str]) -> tuple[tuple[RuleStep, ...], str]:
    """What ``Relabeler.trace`` gives, rule by rule, and why it had to end before the last."""
    steps: list[RuleStep] = []
    changed = 0
    for index, rule in enumerate(rules):
        if _most_made(rule, labels) > _MOST_MADE:
            return tuple(steps), f"rule {index} could make more than {_MOST_MADE:,} characters of these labels"
        (step,) = Relabeler((rule,)).trace(labels)
        steps.append(msgspec.structs.replace(step, index=index))
        if not step.kept:
            break
        changed += sum(len(name) + len(labels.get(name, "")) + len(value or "") for name, value in step.changed.items())
        if changed > _MOST_CHANGED:
            return tuple(steps), f"the rules up to {index} change more than {_MOST_CHANGED:,} characters of labels"
        labels = step.labels
    return tuple(steps), ""


def _most_made(rule: RelabelConfig, labels: Mapping[str, str]) -> int:
    """Characters of all labels after ``rule``, at most."""
    before = sum(len(name) + len(value) for name, value in labels.items())
    references = rule.replacement.count("$") + rule.target_label.count("$")
    written = len(rule.replacement) + len(rule.target_label)
    if rule.action is Action.LABELMAP:
        longest = max(map(len, labels), default=0)
        return 2 * before + len(labels) * (written + references * longest)
    value = sum(len(labels.get(name, "")) + len(rule.separator) for name in rule.source_labels)
    return before + value + written + references * value


def metric_labels(labels: Mapping[str, str], name: str) -> dict[str, str]:
    """The labels of a sample of a target: those that do not start with ``__``, and the metric's name."""
    return {METRIC_NAME: name} | {key: value for key, value in labels.items() if not key.startswith(RESERVED_PREFIX)}
