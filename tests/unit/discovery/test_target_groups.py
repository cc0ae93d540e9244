from __future__ import annotations

import pytest

from promscout.config.target_groups import parse_target_groups
from promscout.discovery.config import StaticConfig
from promscout.discovery.target_groups import groups_from_json, numbered_groups
from promscout.errors import ConfigError, InvalidValueError
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup


def group(*targets, **labels):
    return StaticConfig(targets=targets, labels=FrozenDict(labels))


GOOD_JSON = {
    "[]": [],
    "null": [],
    " [ ] ": [],
    '[{"targets": ["a:1", "b"], "labels": {"x": "y"}}]': [group("a:1", "b", x="y")],
    "[{}]": [group()],
    '[{"targets": null, "labels": null}, {"targets": []}]': [group(), group()],
    '[{"targets": ["a", null], "labels": {"x": null}}]': [group("a", "", x="")],
    '[{"Targets": ["a"], "LABELS": {"X": "y"}}, {"targets": ["b"]}]': [group("a", X="y"), group("b")],
    '[{"targets": ["a"], "targets": ["b"], "labels": {"x": "1", "x": "2"}}]': [group("b", x="2")],
    '[{"labels": {"ü.-": "\\ud83d\\ude00"}}]': [group(**{"ü.-": "😀"})],
}

BAD_JSON = {
    "": "truncated",
    "[": "truncated",
    "{}": "Expected `array | null`, got `object`",
    '"a"': "Expected `array | null`, got `str`",
    "[1]": r"Expected `object | null`, got `int` - at `\$\[0\]`",
    "[null]": "nil target group item found",
    "[[]]": "got `array`",
    "[] []": "trailing characters",
    '[{"targets": "a"}]': "got `str`",
    '[{"targets": ["a", 1]}]': r"got `int` - at `\$\[0\].targets\[1\]`",
    '[{"Targets": [1]}]': "got `int`",
    '[{"targets": {}}]': "got `object`",
    '[{"labels": {"a": 1}}]': "got `int`",
    '[{"labels": {"a": ["hunter2"]}}]': "got `array`",
    '[{"labels": []}]': "got `array`",
    '[{"labels": {"": "hunter2"}}]': '"" is not a valid label name',
    '[{"target": ["hunter2"]}]': "unknown field `target`",
    '[{"Targets": [], "source": "x"}]': "unknown field",
    '[{"x": ' + "[" * 100_000 + "]" * 100_000 + "}]": "unknown field|nested too deeply",
    '[{"targets": ' + "[" * 100_000 + "]" * 100_000 + "}]": "got `array`|nested too deeply",
    '\ufeff[{"targets": []}]': "malformed",
}


@pytest.mark.parametrize("text", GOOD_JSON)
def test_json_groups_are_read_as_go_reads_them(text):
    assert groups_from_json(text.encode()) == GOOD_JSON[text]


@pytest.mark.parametrize("text", BAD_JSON, ids=lambda text: text[:40])
def test_json_that_is_no_list_of_groups_is_refused_without_its_values(text):
    with pytest.raises(InvalidValueError, match=BAD_JSON[text]) as caught:
        groups_from_json(text.encode())
    assert "hunter2" not in str(caught.value)


def test_json_that_is_not_utf8_is_refused():
    with pytest.raises(InvalidValueError, match="not valid UTF-8"):
        groups_from_json(b'[{"targets": ["\xff"]}]')


GOOD_YAML = {
    "": (),
    "# nothing\n": (),
    "~": (),
    "[]": (),
    "- targets: [a:1, b]\n  labels: {x: y}\n": (group("a:1", "b", x="y"),),
    "- targets: [1, true, ~]\n  labels: {x: 1.10, y: , z: 2026-01-01}\n": (
        group("1", "true", "", x="1.10", y="", z="2026-01-01"),
    ),
    "- {}\n- targets:\n  labels:\n": (group(), group()),
    "- &a {targets: [a], labels: &l {x: y}}\n- {<<: *a, targets: [b]}\n- labels: {<<: *l, z: 1}\n": (
        group("a", x="y"),
        group("b", x="y"),
        group(x="y", z="1"),
    ),
    '[{"targets": ["a"], "labels": {"x": "y"}}]': (group("a", x="y"),),
}

BAD_YAML = {
    "a": "expected a list",
    "targets: [a]": "expected a list",
    "- a": "expected a mapping",
    "- ~": "empty or null section",
    "- targets: a": "expected a list",
    "- targets: [[a]]": "expected a single value",
    "- targets: [a]\n  target: [b]": r'f:2:3: \[0\].target: unknown key, did you mean "targets"',
    "- Targets: [a]": "unknown key",
    "- targets: []\n  targets: []": "duplicate key",
    "- labels: {a: b, a: c}": "duplicate key",
    "- labels: {a: [b]}": "expected a single value",
    "- labels: [a]": "expected a mapping",
    "- labels: {'': a}": '"" is not a valid label name',
    "- targets: [*a]": "no anchor",
    "- targets: [a]\n---\n- targets: [b]": "only one YAML document",
    "\t- a": "not valid YAML",
    "- targets: " + "[" * 200 + "]" * 200: "nested more than",
}


@pytest.mark.parametrize("text", GOOD_YAML)
def test_yaml_groups_are_read_as_go_reads_them(text):
    assert parse_target_groups(text, "f") == GOOD_YAML[text]


@pytest.mark.parametrize("text", BAD_YAML, ids=lambda text: text[:40])
def test_yaml_that_is_no_list_of_groups_is_refused(text):
    with pytest.raises(ConfigError, match=BAD_YAML[text]) as caught:
        parse_target_groups(text, "f")
    assert len(caught.value.problems) == 1


def test_aliases_that_make_much_out_of_little_are_refused():
    targets = ", ".join(["a"] * 2_000)
    bomb = f"- &t {{targets: &l [{targets}]}}\n" + "- {targets: *l}\n" * 2_000
    with pytest.raises(ConfigError, match="aliases make too much of it"):
        parse_target_groups(bomb, "f")
    laughs = "".join(f"- &l{n} [{', '.join([f'*l{n - 1}'] * 9) if n else 'lol'}]\n" for n in range(30))
    with pytest.raises(ConfigError, match="aliases make too much of it"):
        parse_target_groups(laughs, "f")
    chain = "- labels: &l0 {}\n" + "".join(f"- labels: &l{n} {{<<: *l{n - 1}}}\n" for n in range(1, 2_000))
    with pytest.raises(ConfigError, match="aliases make too much of it"):
        parse_target_groups(chain, "f")


def test_aliases_of_labels_that_all_groups_share_are_fine():
    shared = "- labels: &l {" + ", ".join(f"l{n}: v" for n in range(10)) + "}\n"
    groups = parse_target_groups(shared + "- {targets: [a], labels: *l}\n" * 500, "f")
    assert len(groups) == 501
    assert len(groups[500].labels) == 10


def test_groups_get_their_number_as_source_and_their_origin_as_label():
    first, second = numbered_groups([group("a", "b", x="y"), group(m="other")], "o", "m")
    assert first == TargetGroup.of("o:0", [{"__address__": "a"}, {"__address__": "b"}], {"x": "y", "m": "o"})
    assert second == TargetGroup.of("o:1", [], {"m": "o"})
