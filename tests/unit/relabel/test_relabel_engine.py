"""What each action does to labels."""

import pytest

from promscout.relabel import Action, Regex, RelabelConfig, Relabeler
from promscout.relabel.rules import lower, upper


def rule(**fields):
    if "regex" in fields:
        fields["regex"] = Regex.parse(fields["regex"])
    if "action" in fields:
        fields["action"] = Action(fields["action"])
    return RelabelConfig(**fields)


def relabel(labels, *rules):
    """The labels after the rules, or None when they drop them."""
    after = dict(labels)
    return after if Relabeler([rule(**fields) for fields in rules]).apply(after) else None


ABC = {"a": "foo", "b": "bar", "c": "baz"}

# Each case: labels, rules, what the rules set (None: delete), or "dropped".
REPLACE = {
    "a group is filled in twice": (
        ABC,
        [{"source_labels": ("a",), "regex": "f(.*)", "target_label": "d", "replacement": "ch${1}-ch${1}"}],
        {"d": "choo-choo"},
    ),
    "a later rule sees what an earlier one set": (
        ABC,
        [
            {"source_labels": ("a", "b"), "regex": "f(.*);(.*)r", "target_label": "a", "replacement": "b${1}${2}m"},
            {
                "source_labels": ("c", "a"),
                "regex": "(b).*b(.*)ba(.*)",
                "target_label": "d",
                "replacement": "$1$2$2$3",
            },
        ],
        {"a": "boobam", "d": "boooom"},
    ),
    "no match changes nothing": (
        {"a": "boo"},
        [{"source_labels": ("a",), "regex": "f", "target_label": "b", "replacement": "bar"}],
        {},
    ),
    "part of the value is no match": (
        {"a": "foo"},
        [{"source_labels": ("a",), "regex": "f|o", "target_label": "b", "replacement": "bar"}],
        {},
    ),
    "an empty result deletes the target": (
        {"a": "foo", "f": "baz"},
        [{"source_labels": ("a",), "regex": "(f).*", "target_label": "$1", "replacement": "$2"}],
        {"f": None},
    ),
    "an empty result deletes a fixed target": (
        {"a": "foo", "b": "bar"},
        [{"source_labels": ("a",), "target_label": "b", "replacement": ""}],
        {"b": None},
    ),
    "a copied label that is absent deletes the target": (
        {"b": "bar"},
        [{"source_labels": ("a",), "target_label": "b"}],
        {"b": None},
    ),
    "target and value both come from groups": (
        {"a": "some-name-value"},
        [
            {
                "source_labels": ("a",),
                "regex": "some-([^-]+)-([^,]+)",
                "target_label": "${1}",
                "replacement": "${2}",
            }
        ],
        {"name": "value"},
    ),
    "a target that comes out empty is skipped": (
        {"a": "some-name-0"},
        [
            {
                "source_labels": ("a",),
                "regex": "some-([^-]+)-([^,]+)",
                "target_label": "${3}",
                "replacement": "${1}",
            }
        ],
        {},
    ),
    "the service tags of a registry": (
        {"tags": "path:/secret,job:some-job,label:foo=bar"},
        [
            {"source_labels": ("tags",), "regex": "(?:.+,|^)path:(/[^,]+).*", "target_label": "__metrics_path__"},
            {"source_labels": ("tags",), "regex": "(?:.+,|^)job:([^,]+).*", "target_label": "job"},
            {
                "source_labels": ("tags",),
                "regex": "(?:.+,|^)label:([^=]+)=([^,]+).*",
                "target_label": "${1}",
                "replacement": "${2}",
            },
        ],
        {"__metrics_path__": "/secret", "job": "some-job", "foo": "bar"},
    ),
    "a dot matches a line feed": (
        {"a": "line1\nline2"},
        [{"source_labels": ("a",), "regex": "line1.*line2", "target_label": "d", "replacement": "match${1}"}],
        {"d": "match"},
    ),
    "a label name may be any text": (
        {"utf-8.label": "x"},
        [{"source_labels": ("utf-8.label",), "target_label": "größe/1", "replacement": "<$1>"}],
        {"größe/1": "<x>"},
    ),
    "a target may mix text and groups": (
        {"a": "line1\nline2"},
        [
            {
                "source_labels": ("a",),
                "regex": "(line1).*(?<second>line2)",
                "target_label": "label.${1}",
                "replacement": "val_$second",
            }
        ],
        {"label.line1": "val_line2"},
    ),
    "a rule without source labels sets a constant": (
        {"a": "x"},
        [{"target_label": "abc", "replacement": "static"}],
        {"abc": "static"},
    ),
    "a rule without source labels and with the default replacement deletes": (
        {"abc": "x"},
        [{"target_label": "abc"}],
        {"abc": None},
    ),
    "a rule without source labels whose expression needs something does nothing": (
        {"abc": "x"},
        [{"target_label": "abc", "regex": ".+", "replacement": "static"}],
        {},
    ),
    "a constant goes nowhere when its target comes out empty": (
        {"a": "x"},
        [{"target_label": "${0}", "replacement": "dropped"}],
        {},
    ),
    "an empty separator joins values directly": (
        {"a": "x", "b": "y"},
        [{"source_labels": ("a", "b"), "separator": "", "target_label": "c"}],
        {"c": "xy"},
    ),
    "absent source labels join as nothing": (
        {"a": "x"},
        [{"source_labels": ("no", "a", "no"), "target_label": "c"}],
        {"c": ";x;"},
    ),
    "an anchored suffix may be written out": (
        {"__name__": "http_requests_total"},
        [{"source_labels": ("__name__",), "regex": ".*_total$", "target_label": "t", "replacement": "counter"}],
        {"t": "counter"},
    ),
}

FILTERS = {
    "drop on a match": ({"a": "foo"}, [{"source_labels": ("a",), "regex": ".*o.*", "action": "drop"}], "dropped"),
    "drop without a match keeps": ({"a": "foo"}, [{"source_labels": ("a",), "regex": "no", "action": "drop"}], {}),
    "drop on part of the value keeps": (
        {"a": "foo"},
        [{"source_labels": ("a",), "regex": "f|o", "action": "drop"}],
        {},
    ),
    "keep without a match": ({"a": "foo"}, [{"source_labels": ("a",), "regex": "no", "action": "keep"}], "dropped"),
    "keep on a match": ({"a": "foo"}, [{"source_labels": ("a",), "regex": "f.*", "action": "keep"}], {}),
    "keep on an absent label": ({}, [{"source_labels": ("a",), "regex": "", "action": "keep"}], {}),
    "nothing follows a drop": (
        {"a": "foo"},
        [{"source_labels": ("a",), "action": "drop"}, {"target_label": "b", "replacement": "x"}],
        "dropped",
    ),
    "keepequal on equal values": (
        {"t": "1234", "p": "1234"},
        [{"source_labels": ("t",), "target_label": "p", "action": "keepequal"}],
        {},
    ),
    "keepequal on different values": (
        {"t": "1234", "p": "5678"},
        [{"source_labels": ("t",), "target_label": "p", "action": "keepequal"}],
        "dropped",
    ),
    "dropequal on equal values": (
        {"t": "1234", "p": "1234"},
        [{"source_labels": ("t",), "target_label": "p", "action": "dropequal"}],
        "dropped",
    ),
    "dropequal on different values": (
        {"t": "1234", "p": "5678"},
        [{"source_labels": ("t",), "target_label": "p", "action": "dropequal"}],
        {},
    ),
    "two absent labels are equal": (
        {},
        [{"source_labels": ("t",), "target_label": "p", "action": "dropequal"}],
        "dropped",
    ),
}

ON_NAMES = {
    "labelmap copies": (
        {"a": "foo", "b1": "bar", "b2": "baz"},
        [{"regex": "(b.*)", "replacement": "bar_${1}", "action": "labelmap"}],
        {"bar_b1": "bar", "bar_b2": "baz"},
    ),
    "labelmap cuts off a prefix": (
        {"a": "foo", "__meta_my_bar": "aaa", "__meta_my_baz": "bbb", "__meta_other": "ccc"},
        [{"regex": "__meta_(my.*)", "replacement": "${1}", "action": "labelmap"}],
        {"my_bar": "aaa", "my_baz": "bbb"},
    ),
    "labelmap reads all values before it sets any": (
        {"x": "1", "xx": "2"},
        [{"regex": "(x+)", "replacement": "${1}x", "action": "labelmap"}],
        {"xx": "1", "xxx": "2"},
    ),
    "labelmap lets the last name win": (
        {"m_2": "two", "m_1": "one"},
        [{"regex": "m_.", "replacement": "m", "action": "labelmap"}],
        {"m": "two"},
    ),
    "labelmap passes over empty values": (
        {"m_a": "", "a": "x"},
        [{"regex": "m_(.*)", "action": "labelmap"}],
        {},
    ),
    "labelkeep": (
        {"a": "foo", "b1": "bar", "b2": "baz"},
        [{"regex": "(b.*)", "action": "labelkeep"}],
        {"a": None},
    ),
    "labeldrop": (
        {"a": "foo", "b1": "bar", "b2": "baz"},
        [{"regex": "(b.*)", "action": "labeldrop"}],
        {"b1": None, "b2": None},
    ),
    "a dropped label can be set again": (
        {"port_name": "foo", "metrics_port": "9091"},
        [
            {"regex": "^port_name$", "action": "labeldrop"},
            {
                "source_labels": ("metrics_port",),
                "regex": "(.+)",
                "replacement": "metrics",
                "target_label": "port_name",
            },
            {"source_labels": ("port_name",), "regex": "^metrics$", "action": "keep"},
        ],
        {"port_name": "metrics"},
    ),
}

CONVERSIONS = {
    "hashmod": (
        ABC,
        [{"source_labels": ("c",), "target_label": "d", "action": "hashmod", "modulus": 1000}],
        {"d": "976"},
    ),
    "hashmod of a line feed": (
        {"a": "foo\nbar"},
        [{"source_labels": ("a",), "target_label": "b", "action": "hashmod", "modulus": 1000}],
        {"b": "734"},
    ),
    "hashmod of nothing": ({}, [{"target_label": "b", "action": "hashmod", "modulus": 1}], {"b": "0"}),
    "upper and lower case": (
        {"foo": "bAr123Foo"},
        [
            {"source_labels": ("foo",), "target_label": "up", "action": "uppercase"},
            {"source_labels": ("foo",), "target_label": "low", "action": "lowercase"},
        ],
        {"up": "BAR123FOO", "low": "bar123foo"},
    ),
    "lower case of nothing deletes": (
        {"b": "x"},
        [{"source_labels": ("a",), "target_label": "b", "action": "lowercase"}],
        {"b": None},
    ),
}

CASES = REPLACE | FILTERS | ON_NAMES | CONVERSIONS


@pytest.mark.parametrize(("labels", "rules", "change"), CASES.values(), ids=CASES)
def test_rules_change_labels_as_the_table_says(labels, rules, change):
    expected = None if change == "dropped" else {k: v for k, v in {**labels, **change}.items() if v is not None}
    assert relabel(labels, *rules) == expected


@pytest.mark.parametrize(
    ("text", "low", "up"),
    [
        ("straße", "straße", "STRAßE"),
        ("ΟΔΟΣ", "οδοσ", "ΟΔΟΣ"),
        ("İ", "i", "İ"),
        ("ᾀ", "ᾀ", "ᾈ"),
        ("ŉ", "ŉ", "ŉ"),
        ("ǆ", "ǆ", "Ǆ"),
        ("Größe", "größe", "GRÖßE"),
    ],
)
def test_case_changes_character_by_character(text, low, up):
    assert lower(text) == low
    assert upper(text) == up


def test_equal_labels_give_equal_results_in_whatever_order_they_come():
    mapping = {"regex": "m_.*", "replacement": "m", "action": "labelmap"}
    forwards = relabel({"m_1": "one", "m_2": "two"}, mapping)
    backwards = relabel({"m_2": "two", "m_1": "one"}, mapping)
    assert forwards == backwards


def test_no_rules_change_nothing():
    assert relabel(ABC) == ABC


def test_a_trace_tells_value_match_and_effect_of_every_rule():
    relabeler = Relabeler(
        [
            rule(source_labels=("a", "b"), regex="foo;(.*)", target_label="c"),
            rule(regex="b", action="labeldrop"),
            rule(source_labels=("a",), regex="bar", action="drop"),
            rule(source_labels=("a",), target_label="a"),
        ]
    )
    labels = dict(ABC)
    steps = relabeler.trace(labels)
    assert labels == ABC
    assert [(step.index, step.value, step.matched, step.kept, step.changed) for step in steps] == [
        (0, "foo;bar", True, True, {"c": "bar"}),
        (1, "", True, True, {"b": None}),
        (2, "foo", False, True, {}),
        (3, "foo", True, True, {}),
    ]
    assert steps[-1].labels == {"a": "foo", "c": "bar"}


def test_a_trace_ends_with_the_rule_that_drops():
    relabeler = Relabeler(
        [rule(source_labels=("a",), regex="x", action="keep"), rule(target_label="b", replacement="never")]
    )
    (step,) = relabeler.trace({"a": "y"})
    assert (step.matched, step.kept, step.labels) == (False, False, {"a": "y"})


@pytest.mark.parametrize("action", ["keepequal", "dropequal"])
def test_a_trace_says_whether_values_were_equal(action):
    relabeler = Relabeler([rule(source_labels=("a",), target_label="b", action=action)])
    assert [relabeler.trace({"a": "x", "b": b})[0].matched for b in ("x", "y")] == [True, False]


def test_a_rule_that_always_acts_counts_as_matched():
    relabeler = Relabeler([rule(source_labels=("a",), target_label="b", action="lowercase")])
    assert relabeler.trace({"a": "X"})[0].matched
