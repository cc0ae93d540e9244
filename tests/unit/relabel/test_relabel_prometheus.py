"""Odd rules, and what Prometheus 3.5.3 made of them.

``prometheus_3_5_3.json`` was recorded from the real program: ``relabelled`` has the labels of a static target after
the rules (null: dropped), ``validated`` the error when loading the rules (empty: loaded).
"""

import json
from pathlib import Path

import pytest

from promscout.errors import InvalidValueError
from promscout.relabel import Action, Regex, RelabelConfig, Relabeler

RECORDED = json.loads((Path(__file__).parent / "prometheus_3_5_3.json").read_text())
KNOWN_DIFFERENCES = {
    "unbalanced but fitting": "parentheses that only fit the ones around the expression are an error here",
    "regex unbalanced but fitting": "likewise",
    "regex deep nesting": "RE2 takes deeper nesting than Go, in linear time all the same",
    "labelmap to one name": "chance decides in Prometheus which label wins, here the last by name",
    "labelmap to an empty name": "no label without a name is made, since no receiver takes it",
}
TYPES = {"regex": Regex.parse, "action": Action.parse, "source_labels": tuple}


def load(rules):
    return [
        RelabelConfig(**{name: TYPES.get(name, lambda it: it)(value) for name, value in rule.items()}) for rule in rules
    ]


def cases(kind):
    return [pytest.param(case, id=case["name"]) for case in RECORDED[kind] if case["name"] not in KNOWN_DIFFERENCES]


@pytest.mark.parametrize("case", cases("relabelled"))
def test_labels_come_out_as_prometheus_has_them(case):
    labels = {**RECORDED["input"], "e": ""}
    kept = Relabeler(load(case["rules"])).apply(labels)
    assert ({name: value for name, value in labels.items() if value} if kept else None) == case["labels"]


@pytest.mark.parametrize("case", cases("validated"))
def test_rules_are_accepted_or_refused_as_prometheus_does(case):
    if not case["error"]:
        load(case["rules"])
        return
    with pytest.raises(InvalidValueError) as caught:
        load(case["rules"])
    if "regexp" in case["error"]:
        assert str(caught.value).startswith("error parsing regexp: ")
    elif "unmarshal" not in case["error"]:
        assert str(caught.value) == case["error"]


@pytest.mark.parametrize("text", ["f)|(o", "a)|(b"])
def test_an_expression_that_escapes_its_anchors_is_refused(text):
    with pytest.raises(InvalidValueError, match="unexpected"):
        Regex.parse(text)


def test_labelmap_makes_no_label_without_a_name():
    labels = {"m_": "x"}
    assert Relabeler(load([{"action": "labelmap", "regex": "m_(.*)"}])).apply(labels)
    assert labels == {"m_": "x"}
