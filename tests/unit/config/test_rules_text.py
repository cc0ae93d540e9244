"""Relabel rules as a text of their own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.config.rules import parse_rules, rules_text
from promscout.errors import ConfigError
from promscout.model.names import NameValidation
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from property.test_relabel_reference import RULE

KEEP = RelabelConfig(source_labels=("a", "b"), regex=Regex.parse("x"), action=Action.KEEP)
LIST = "- source_labels: [a, b]\n  regex: x\n  action: keep\n"


@pytest.mark.parametrize(
    "text",
    [
        LIST,
        f"relabel_configs:\n{LIST}",
        f"metric_relabel_configs:\n{LIST}",
        "source_labels: [a, b]\nregex: x\naction: keep\n",
        "\n".join(f"      {line}" for line in LIST.splitlines()),
    ],
)
def test_rules_are_read_as_a_list_a_section_or_one_alone(text: str) -> None:
    assert parse_rules(text).rules == (KEEP,)


@pytest.mark.parametrize("text", ["", "\n# nothing\n", "[]", "relabel_configs:\n"])
def test_a_text_without_rules_has_none(text: str) -> None:
    assert parse_rules(text).rules == ()


def test_each_rule_knows_its_line() -> None:
    assert parse_rules(f"# a comment\nrelabel_configs:\n{LIST}- regex: y\n  action: labeldrop\n").lines == (3, 6)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("- action: keep\n- action: kepe\n", 2, 'unknown relabel action "kepe"'),
        ("- regex: '('\n  target_label: a\n", 1, "error parsing regexp"),
        ("- source_label: [a]\n", 1, "source_labels"),
        ("- action: hashmod\n  target_label: a\n", 1, "non-zero modulus"),
        ("- a: [\n", 2, "not valid YAML"),
        ("just words", 1, "expected a list"),
        ("- just words", 1, "expected a mapping"),
        ("relabel_configs: 1\n", 1, "expected a list"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_rules(text)
    problem = refused.value.problems[0]
    assert words in problem.message
    assert problem.line == line


def test_names_beyond_the_scheme_are_refused() -> None:
    text = "- target_label: a.b\n  replacement: x\n"
    assert parse_rules(text).rules[0].target_label == "a.b"
    with pytest.raises(ConfigError, match=r"a\.b"):
        parse_rules(text, NameValidation.LEGACY)
    (rule,) = parse_rules("- target_label: ab\n", NameValidation.LEGACY).rules
    assert rule.name_validation is NameValidation.LEGACY


def test_a_text_that_aliases_make_huge_is_refused() -> None:
    levels = "".join(f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]\n" for level in range(1, 9))
    with pytest.raises(ConfigError):
        parse_rules(f"a0: &a0 [x]\n{levels}")


def test_what_is_left_to_defaults_is_not_written() -> None:
    assert rules_text([KEEP]) == LIST
    assert rules_text([]) == ""
    assert rules_text([RelabelConfig(target_label="a")]) == "- target_label: a\n"


@given(st.lists(RULE, max_size=4))
@settings(max_examples=200, deadline=None)
def test_what_is_written_is_read_as_the_same_rules(rules: list[RelabelConfig]) -> None:
    assert parse_rules(rules_text(rules)).rules == tuple(rules)
