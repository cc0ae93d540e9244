"""Which rules are accepted, and what is said about the others."""

import pytest

from promscout.errors import InvalidValueError
from promscout.relabel import Action, Regex, RelabelConfig

REFUSED = [
    ({}, "target_label", "relabel configuration for replace action requires 'target_label' value"),
    ({"action": "lowercase"}, "target_label", "lowercase action requires 'target_label' value"),
    ({"action": "hashmod", "modulus": 2}, "target_label", "hashmod action requires 'target_label' value"),
    ({"action": "keepequal"}, "target_label", "keepequal action requires 'target_label' value"),
    ({"action": "hashmod", "target_label": "a"}, "modulus", "hashmod requires non-zero modulus"),
    ({"modulus": -1, "target_label": "a"}, "modulus", "modulus must fit in 64 bits"),
    ({"modulus": 1 << 64, "target_label": "a"}, "modulus", "modulus must fit in 64 bits"),
    ({"source_labels": ("a", ""), "target_label": "a"}, "source_labels", '"" is not a valid label name'),
    (
        {"action": "uppercase", "target_label": "a", "replacement": "x"},
        "replacement",
        "'replacement' can not be set for uppercase action",
    ),
    ({"action": "labelmap", "replacement": ""}, "replacement", "\"\" is invalid 'replacement' for labelmap action"),
    (
        {"action": "dropequal", "target_label": "a", "regex": Regex.parse("x")},
        "regex",
        "dropequal action requires only 'source_labels' and `target_label`, and no other fields",
    ),
    ({"action": "keepequal", "target_label": "a", "separator": ","}, "separator", "and no other fields"),
    ({"action": "keepequal", "target_label": "a", "modulus": 1}, "modulus", "and no other fields"),
    ({"action": "labeldrop", "source_labels": ("a",)}, "source_labels", "labeldrop action requires only 'regex'"),
    ({"action": "labelkeep", "target_label": "a"}, "target_label", "labelkeep action requires only 'regex'"),
    ({"action": "labelkeep", "replacement": "a"}, "replacement", "labelkeep action requires only 'regex'"),
]


@pytest.mark.parametrize(("fields", "key", "message"), REFUSED)
def test_a_rule_that_cannot_work_is_refused_with_the_key_at_fault(fields, key, message):
    fields = {name: Action(value) if name == "action" else value for name, value in fields.items()}
    with pytest.raises(InvalidValueError) as caught:
        RelabelConfig(**fields)
    assert caught.value.key == key
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"target_label": "${3}"},
        {"target_label": "0${3}"},
        {"target_label": "-${3}"},
        {"target_label": "not a legacy name"},
        {"target_label": "a", "separator": "", "replacement": ""},
        {"action": Action.LOWERCASE, "target_label": "${3}"},
        {"action": Action.LABELMAP, "regex": Regex.parse("__meta_(.+)"), "replacement": "${1}"},
        {"action": Action.KEEP},
        {"action": Action.KEEP, "modulus": 3, "target_label": "unused", "replacement": "unused"},
        {"action": Action.HASHMOD, "modulus": (1 << 64) - 1, "target_label": "a"},
        {"action": Action.LABELMAP},
        {"action": Action.LABELDROP},
    ],
)
def test_a_rule_that_prometheus_accepts_is_accepted(fields):
    assert RelabelConfig(**fields) == RelabelConfig(**fields)


@pytest.mark.parametrize("action", Action)
def test_an_action_is_read_in_whatever_case(action):
    assert Action.parse(action.value.title()) is action


@pytest.mark.parametrize("text", ["", "repl", "replace "])
def test_an_unknown_action_is_named(text):
    with pytest.raises(InvalidValueError, match=f'^unknown relabel action "{text}"$'):
        Action.parse(text)


def test_rules_are_equal_by_meaning():
    one = RelabelConfig(target_label="a", regex=Regex.parse("x+"))
    other = RelabelConfig(target_label="a", regex=Regex.parse("x+"))
    assert one == other
    assert hash(one) == hash(other)
    assert one != RelabelConfig(target_label="a", regex=Regex.parse("x*"))
