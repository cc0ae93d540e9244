"""The expressions of relabel rules."""

import pytest

from promscout.errors import InvalidValueError
from promscout.relabel import Regex
from promscout.relabel.regex import MEMO_SIZE
from promscout.relabel.template import compile_template

MATCHES = [
    ("true", "true", ("true",)),
    ("true", "xtrue", None),
    ("true", "true\n", None),
    ("", "", ("",)),
    ("", "a", None),
    ("a|b", "b", ("b",)),
    ("(a|b)", "b", ("b", "b")),
    ("(?:a|)", "", ("",)),
    ("|a", "", ("",)),
    (r"a\.b|c", "a.b", ("a.b",)),
    (r"a\.b|c", "axb", None),
    (r"a\|b", "a|b", ("a|b",)),
    ("(.*)", "", ("", "")),
    ("(.+)", "", None),
    ("(.+)", "\n", ("\n", "\n")),
    ("m_(.+)", "m_x", ("m_x", "x")),
    ("m_(.+)", "m_", None),
    ("m_(.*)", "m_", ("m_", "")),
    ("ab.*ba", "aba", None),
    ("ab(.*)ba", "abba", ("abba", "")),
    (r".+-metrics\.x", "http-metrics.x", ("http-metrics.x",)),
    ("(a)|(b)", "b", ("b", None, "b")),
    ("(?P<x>a)", "a", ("a", "a")),
    ("^a$", "a", ("a",)),
    ("a|ab", "ab", ("ab",)),
    ("(a|ab)(.*)", "abc", ("abc", "a", "bc")),
    ("(?i)true", "TRUE", ("TRUE",)),
    ("(?-s).*", "a\nb", None),
    (r"\pL+", "äöü", ("äöü",)),
    (r"\w+", "ä", None),
    (r"\Qa.b\E", "a.b", ("a.b",)),
    (r"\Q\C\E", r"\C", (r"\C",)),
    (r"\\C", r"\C", (r"\C",)),
    ("a{1000}", "a" * 1000, ("a" * 1000,)),
    ("(€)(.)", "€ä", ("€ä", "€", "ä")),
]


@pytest.mark.parametrize(("text", "value", "groups"), MATCHES)
def test_an_expression_matches_a_value_as_a_whole(text, value, groups):
    regex = Regex.parse(text)
    assert regex.match(value) == groups
    assert regex.match(value) == groups  # the remembered answer is the same


REFUSED = [
    ("(.*", "missing ): `(.*`"),
    ("abc[z-a]", "invalid character class range: `z-a` at position 4"),
    ("a**", "bad repetition operator: `**` at position 1"),
    ("x{1001}", "invalid repetition size: `{1001}` at position 1"),
    ("a(?=b)", "invalid perl operator: `(?=` at position 1"),
    (r"a\1", r"invalid escape sequence: `\1` at position 1"),
    (r"ab\C", r"invalid escape sequence: `\C` at position 2"),
    (r"\Z", r"invalid escape sequence: `\Z`"),
    ("(?P<größe>a)", "invalid named capture: `größe`"),
    ("a)|(b", "unexpected )"),
    (r"\Qab", "missing )"),
    ("a\\", "trailing \\"),
    ("\ud800", "invalid UTF-8"),
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_an_expression_outside_the_dialect_is_refused_with_reason_and_place(text, message):
    with pytest.raises(InvalidValueError) as caught:
        Regex.parse(text)
    assert str(caught.value).startswith("error parsing regexp: ")
    assert message in str(caught.value)


def test_expressions_are_equal_and_hashed_by_their_text():
    assert Regex.parse("a+") == Regex.parse("a+")
    assert hash(Regex.parse("a+")) == hash(Regex.parse("a+"))
    assert Regex.parse("a+") != Regex.parse("a*")
    assert str(Regex.parse("a+")) == "a+"


def test_a_choice_of_thousands_of_names_compiles():
    names = [f"namespace-[0-9]-{number}" for number in range(3000)]
    assert Regex.parse("|".join(names)).match("namespace-7-2999") == ("namespace-7-2999",)


def test_a_hostile_expression_takes_linear_time():
    assert Regex.parse("(a|aa)+b|(a*)*c").match("a" * 20_000) is None


def test_more_values_than_the_memo_holds_are_still_matched():
    regex = Regex.parse("([0-9]+)-([0-9]+)")
    for number in range(MEMO_SIZE + 10):
        assert regex.match(f"{number}-1") == (f"{number}-1", str(number), "1")
    assert regex.match("0-1") == ("0-1", "0", "1")


TEMPLATES = [
    ("$1", "one"),
    ("${1}", "one"),
    ("$1$2", "onetwo"),
    ("$1x", ""),
    ("${1}x", "onex"),
    ("$1-$2", "one-two"),
    ("$$1", "$1"),
    ("$$$1", "$one"),
    ("$", "$"),
    ("a$", "a$"),
    ("$-", "$-"),
    ("${", "${"),
    ("${}", "${}"),
    ("${1", "${1"),
    ("${1 }", "${1 }"),
    ("$0", "one:two:"),
    ("$01", ""),
    ("$3", ""),
    ("$4x", ""),
    ("$4-x", "-x"),
    ("$9999999999", ""),
    ("$name", "two"),
    ("${name}s", "twos"),
    ("$names", ""),
    ("$größe-", "-"),
    ("", ""),
    ("plain", "plain"),
    ("a$1b", "a"),
    ("{$1}", "{one}"),
]


@pytest.mark.parametrize(("template", "expected"), TEMPLATES)
def test_a_template_is_filled_as_go_fills_it(template, expected):
    regex = Regex.parse("([^:]*):(?P<name>[^:]*):(x)?")
    groups = regex.match("one:two:")
    assert groups is not None
    assert compile_template(template, regex)(groups) == expected
