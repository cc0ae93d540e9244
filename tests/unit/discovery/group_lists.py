"""Lists of target groups, with what is in them or why they are refused.

tests/differential/test_file_sd.py compares with Prometheus.
"""

from __future__ import annotations

from promscout.discovery.config import StaticConfig
from promscout.model.frozendict import FrozenDict


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
    "\t- a": "not valid YAML",
    "- targets: " + "[" * 200 + "]" * 200: "nested more than",
}

STRICTER_YAML = {"- targets: [a]\n---\n- targets: [b]": "only one YAML document"}
"""Refused here; Prometheus reads the first document."""
