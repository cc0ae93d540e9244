"""Rules tried on labels."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.config.rules import rules_text
from promscout.model.duration import Duration
from promscout.model.group import TargetGroup
from promscout.scrape.target import Refused, Target
from promscout.scrape.target_builder import TargetBuilder
from promscout.web.pages.label_text import label_text
from promscout.web.pages.playground import MOST_RULES, MOST_TEXT, Mode, Outcome, Play, play
from property.test_relabel_reference import RULE
from unit.scrape.fakes import config

ADDRESS = '__address__="127.0.0.2:1"'


def targets(labels: str, rules: str, **options: object):
    return play(Play(Mode.TARGET, labels, rules, config(**options)))


def test_a_kept_target_tells_its_url_and_what_became_of_its_labels() -> None:
    played = targets(f'{ADDRESS}\n__meta_x="y"', "- source_labels: [__meta_x]\n  target_label: x\n", scheme="https")
    assert played.outcome is Outcome.KEPT
    assert played.url == "https://127.0.0.2:1/metrics"
    assert ("x", "", "y") in [(one.name, one.before, one.after) for one in played.changes]
    assert ("__scheme__", "https") in played.given
    assert played.lines == (1,)


def test_without_a_job_the_defaults_are_prometheus_ones() -> None:
    played = play(Play(Mode.TARGET, ADDRESS, ""))
    assert played.url == "http://127.0.0.2:1/metrics"
    assert dict(played.given) == {
        "job": "job",
        "__scheme__": "http",
        "__metrics_path__": "/metrics",
        "__scrape_interval__": "1m",
        "__scrape_timeout__": "10s",
    }


def test_the_rule_that_drops_is_the_last_step() -> None:
    played = targets(ADDRESS, "- target_label: a\n  replacement: b\n- source_labels: [a]\n  action: drop\n  regex: b\n")
    assert played.outcome is Outcome.DROPPED
    assert [step.kept for step in played.steps] == [True, False]
    assert (played.steps[-1].number, played.steps[-1].value) == (1, "b")


def test_labels_that_make_no_target_are_refused_with_the_reason() -> None:
    played = targets(ADDRESS, "- target_label: __address__\n  replacement: a/b\n")
    assert (played.outcome, played.message) == (Outcome.REFUSED, '"a/b" is not a valid hostname')


@pytest.mark.parametrize(
    ("rules", "outcome", "message"),
    [
        ("", Outcome.KEPT, ""),
        ("- source_labels: [__name__]\n  regex: up\n  action: drop\n", Outcome.DROPPED, ""),
        ("- regex: __name__\n  action: labeldrop\n", Outcome.REFUSED, "metric name missing after relabelling"),
        ("- regex: .*\n  action: labeldrop\n", Outcome.REFUSED, "no label is left"),
    ],
)
def test_rules_for_samples_see_the_labels_as_they_are(rules: str, outcome: Outcome, message: str) -> None:
    played = play(Play(Mode.METRIC, 'up{job="a"}', rules, config()))
    assert (played.outcome, played.message, played.given, played.url) == (outcome, message, (), "")


def test_what_cannot_be_read_is_told_for_both_texts() -> None:
    played = targets("what is this", "- action: kepe\n")
    assert played.outcome is Outcome.NONE
    assert played.label_problem == 'line 1: "what is this" is no label'
    assert [(one.line, one.path) for one in played.rule_problems] == [(1, "rules[0].action")]
    assert targets("", "").label_problem == "no labels"


def test_texts_and_rules_beyond_the_bounds_are_refused() -> None:
    assert "more than" in targets("a" * (MOST_TEXT + 1), "").label_problem
    assert "more than" in targets(ADDRESS, "#" * (MOST_TEXT + 1)).rule_problems[0].message
    many = "- target_label: a\n" * (MOST_RULES + 1)
    assert targets(ADDRESS, many).rule_problems[0].message == f"more than {MOST_RULES} rules"


@pytest.mark.parametrize(
    "rules",
    [
        "- source_labels: [a]\n  target_label: a\n  replacement: $1$1\n" * 100,
        f"- source_labels: [a]\n  target_label: a\n  replacement: {'$1' * 30_000}\n",
        f"- regex: (.*)\n  action: labelmap\n  replacement: {'$1' * 30_000}\n",
        "- regex: (.*)\n  action: labelmap\n  replacement: xxxxxxxxx$1\n" * 200,
        ("- regex: ([^x]*)\n  action: labelmap\n  replacement: x$1\n" + "- regex: x.*\n  action: labeldrop\n") * 100,
        "- source_labels: [a]\n  regex: (.*)\n  target_label: $1$1$1\n  replacement: $1\n" * 20
        + f"- source_labels: [a]\n  target_label: {'$1' * 5000}\n",
    ],
)
def test_rules_that_would_make_very_long_texts_are_stopped_before_they_do(rules: str) -> None:
    started = time.process_time()
    played = targets(f'{ADDRESS}\na="{"x" * 10_000}"', rules)
    assert played.outcome is Outcome.STOPPED
    assert "characters of" in played.message
    assert time.process_time() - started < 5


LABELS = st.dictionaries(
    st.sampled_from(("a", "b", "ab", "__meta_a", "job", "__address__")), st.sampled_from(("a", "ab", "b;a", "h:1"))
)


@given(st.lists(RULE, max_size=6), LABELS.filter(bool))
@settings(max_examples=200, deadline=None)
def test_what_comes_out_is_what_the_job_would_scrape(rules, labels) -> None:
    built = TargetBuilder(config(relabel_configs=tuple(rules))).build_plainly(TargetGroup.of("", [labels]), 0)
    played = targets(label_text(labels.items()), rules_text(rules), scrape_interval=Duration(10))
    if isinstance(built, Target):
        assert (played.outcome, played.url) == (Outcome.KEPT, built.url)
        assert {one.name: one.after for one in played.changes if one.after} == dict(built.all_labels)
    elif isinstance(built, Refused):
        assert (played.outcome, played.message) == (Outcome.REFUSED, built.reason)
    else:
        assert played.outcome is Outcome.DROPPED
