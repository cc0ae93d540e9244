"""Rules under ``metric_name_validation_scheme: legacy``."""

import msgspec
import pytest

from promscout.errors import InvalidValueError
from promscout.model.names import NameValidation
from promscout.relabel import Action, Regex, RelabelConfig, Relabeler

LEGACY_NAMES = ["a", "_", "__tmp", "aB9_", "a_", "A"]
OTHER_NAMES = ["a.b", "a-b", "9a", "a:b", "ä", "a b", "a\n", " a"]
TEMPLATES = ["$1", "${1}", "a$1", "${1}_b", "$1$2", "a${x}b", "_$x", "$a_b"]
OTHER_TEMPLATES = ["$", "$$", "a$", "9$1", "a-$1", "${1}.b", "${}", "${a-b}", "$-", "$ä", "${1", "a$1\n"]
TARGET_ACTIONS = [Action.HASHMOD, Action.LOWERCASE, Action.UPPERCASE, Action.KEEPEQUAL, Action.DROPEQUAL]


def legacy(**fields):
    return RelabelConfig(**fields, name_validation=NameValidation.LEGACY)


def fields_of(action, name):
    if action is Action.LABELMAP:
        return {"action": action, "replacement": name}
    return {"action": action, "target_label": name, "modulus": 7 * (action is Action.HASHMOD)}


@pytest.mark.parametrize("action", [Action.REPLACE, Action.LABELMAP])
@pytest.mark.parametrize("name", LEGACY_NAMES + TEMPLATES)
def test_legacy_names_and_templates_that_look_like_them_can_be_set(action, name):
    assert legacy(**fields_of(action, name)).action is action


@pytest.mark.parametrize("action", [Action.REPLACE, Action.LABELMAP])
@pytest.mark.parametrize("name", OTHER_NAMES + OTHER_TEMPLATES)
def test_names_and_templates_beyond_the_legacy_scheme_are_refused(action, name):
    key = "replacement" if action is Action.LABELMAP else "target_label"
    with pytest.raises(InvalidValueError) as caught:
        legacy(**fields_of(action, name))
    assert caught.value.key == key
    assert str(caught.value) == (
        f"\"{name}\" is invalid '{key}' for {action} action under metric_name_validation_scheme legacy"
    )
    assert RelabelConfig(**fields_of(action, name)).name_validation is NameValidation.UTF8


@pytest.mark.parametrize("action", TARGET_ACTIONS)
def test_where_no_template_is_filled_a_reference_is_no_legacy_name(action):
    for name in LEGACY_NAMES:
        legacy(**fields_of(action, name))
    for name in [*OTHER_NAMES, "$1", "a${1}"]:
        with pytest.raises(InvalidValueError, match=f"is invalid 'target_label' for {action} action under"):
            legacy(**fields_of(action, name))


@pytest.mark.parametrize("action", [Action.KEEP, Action.DROP, Action.LABELDROP, Action.LABELKEEP])
def test_rules_that_set_no_name_may_say_what_they_like(action):
    unused = (
        {} if action in {Action.LABELDROP, Action.LABELKEEP} else {"target_label": "a.b", "source_labels": ("c.d",)}
    )
    legacy(action=action, **unused)


def test_source_labels_may_have_any_name():
    labels = {"k8s.pod": "web-0"}
    Relabeler([legacy(source_labels=("k8s.pod",), target_label="pod")]).apply(labels)
    assert labels["pod"] == "web-0"


@pytest.mark.parametrize(
    ("value", "target", "name"),
    [
        ("team", "$1", "team"),
        ("team", "l_${1}", "l_team"),
        ("a.b", "$1", None),
        ("9", "$1", None),
        ("9", "_$1", "_9"),
        ("ä", "x$1", None),
        ("a\n", "$1", None),
        ("", "$1", None),
        ("", "x$1", "x"),
    ],
)
def test_a_target_that_comes_out_as_no_legacy_name_is_not_set(value, target, name):
    fields = {"source_labels": ("s",), "target_label": target, "replacement": "v"}
    labels = {"s": value} if value else {}
    before = dict(labels)
    assert Relabeler([legacy(**fields)]).apply(labels)
    assert labels == (before if name is None else before | {name: "v"})


def test_nor_is_one_deleted_whose_name_does_not_fit():
    labels = {"s": "a.b", "a.b": "stays"}
    assert Relabeler([legacy(source_labels=("s",), target_label="$1", replacement="")]).apply(labels)
    assert labels == {"s": "a.b", "a.b": "stays"}


def test_a_rule_without_source_labels_follows_the_scheme_too():
    labels = {}
    rules = [legacy(target_label="$1", replacement="v"), legacy(target_label="a$1", replacement="v")]
    assert Relabeler(rules).apply(labels)
    assert labels == {"a": "v"}


def test_labelmap_makes_the_names_that_it_makes():
    """As in Prometheus: what a labelmap makes of a name is not looked at again."""
    labels = {"m_a.b": "x"}
    assert Relabeler([legacy(action=Action.LABELMAP, regex=Regex.parse("m_(.+)"))]).apply(labels)
    assert labels == {"m_a.b": "x", "a.b": "x"}


def test_the_scheme_is_a_part_of_what_a_rule_means():
    rule = RelabelConfig(target_label="a")
    bound = msgspec.structs.replace(rule, name_validation=NameValidation.LEGACY)
    assert bound != rule
    assert bound == legacy(target_label="a")


@pytest.mark.parametrize("name", LEGACY_NAMES)
def test_legacy_names_are_valid_in_both_schemes(name):
    assert all(scheme.is_label_name(name) and scheme.is_metric_name(name) for scheme in NameValidation)


@pytest.mark.parametrize("name", [name for name in OTHER_NAMES if name != "a:b"])
def test_other_names_are_valid_in_utf8_only(name):
    assert NameValidation.UTF8.is_label_name(name)
    assert NameValidation.UTF8.is_metric_name(name)
    assert not NameValidation.LEGACY.is_label_name(name)
    assert not NameValidation.LEGACY.is_metric_name(name)


def test_a_legacy_metric_name_may_have_colons_and_no_name_is_empty():
    assert NameValidation.LEGACY.is_metric_name("a:b")
    assert not NameValidation.LEGACY.is_label_name("a:b")
    assert not any(scheme.is_label_name("") or scheme.is_metric_name("") for scheme in NameValidation)
