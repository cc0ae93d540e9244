"""From exposed labels to stored ones."""

from __future__ import annotations

import pytest

from promscout.errors import InvalidValueError
from promscout.model.names import NameValidation
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.engine import Relabeler
from promscout.relabel.regex import Regex
from promscout.scrape.sample_labels import SampleLabels

TARGET = (("instance", "i"), ("job", "j"))


def finish(exposed, *rules, target=TARGET, honor_labels=False, names=NameValidation.UTF8):
    labels = SampleLabels(target, Relabeler(rules), honor_labels=honor_labels, names=names)
    finished = labels.finish({"__name__": "m", **exposed}.items())
    return None if finished is None else dict(finished)


@pytest.mark.parametrize(
    ("exposed", "stored"),
    [
        ({}, {"instance": "i", "job": "j"}),
        ({"a": "1"}, {"a": "1", "instance": "i", "job": "j"}),
        ({"job": "x"}, {"exported_job": "x", "instance": "i", "job": "j"}),
        ({"job": "j"}, {"exported_job": "j", "instance": "i", "job": "j"}),
        ({"job": "x", "instance": "y"}, {"exported_instance": "y", "exported_job": "x", "instance": "i", "job": "j"}),
        (
            {"job": "x", "exported_job": "y"},
            {"exported_exported_job": "x", "exported_job": "y", "instance": "i", "job": "j"},
        ),
        ({"job": ""}, {"instance": "i", "job": "j"}),
    ],
    ids=str,
)
def test_the_labels_of_the_target_win_and_what_they_displace_is_kept(exposed, stored):
    assert finish(exposed) == {"__name__": "m", **stored}


def test_a_displaced_label_does_not_displace_an_exported_label_of_the_target():
    target = (("exported_job", "t"), ("job", "j"))
    assert finish({"job": "x", "exported_job": "y"}, target=target) == {
        "__name__": "m",
        "exported_exported_exported_job": "y",
        "exported_exported_job": "x",
        "exported_job": "t",
        "job": "j",
    }


@pytest.mark.parametrize(
    ("exposed", "stored"),
    [
        ({"job": "x"}, {"instance": "i", "job": "x"}),
        ({"job": ""}, {"instance": "i"}),  # present, and empty: the target's label does not come back
        ({}, {"instance": "i", "job": "j"}),
    ],
    ids=str,
)
def test_exposed_labels_win_where_they_are_honoured(exposed, stored):
    assert finish(exposed, honor_labels=True) == {"__name__": "m", **stored}


def test_metric_relabelling_sees_all_labels_and_can_drop_and_rename():
    drop = RelabelConfig(source_labels=("job", "a"), regex=Regex.parse("j;1"), action=Action.DROP)
    rename = RelabelConfig(source_labels=("a",), target_label="__name__", replacement="m_$1")
    assert finish({"a": "1"}, drop, rename) is None
    assert finish({"a": "2"}, drop, rename) == {"__name__": "m_2", "a": "2", "instance": "i", "job": "j"}


def test_a_sample_without_a_name_after_relabelling_is_refused():
    unnamed = RelabelConfig(regex=Regex.parse("__name__"), action=Action.LABELDROP)
    with pytest.raises(InvalidValueError, match="metric name missing after relabelling"):
        finish({}, unnamed)


def test_a_sample_without_any_label_after_relabelling_is_dropped():
    assert finish({}, RelabelConfig(regex=Regex.parse(".+"), action=Action.LABELDROP)) is None


NOT_LEGACY = [
    ({"__name__": "http.requests"}, "http.requests"),
    ({"__name__": "9m"}, "9m"),
    ({"service.name": "s"}, "service.name"),
    ({"a:b": "s"}, "a:b"),
    ({"é" * 100: "s"}, "é" * 80 + "…"),
]


@pytest.mark.parametrize(("exposed", "shown"), NOT_LEGACY)
def test_names_beyond_the_legacy_scheme_are_refused_where_it_is_in_force(exposed, shown):
    assert finish(exposed) == {"__name__": "m", **exposed, **dict(TARGET)}
    with pytest.raises(InvalidValueError) as caught:
        finish(exposed, names=NameValidation.LEGACY)
    assert str(caught.value) == (
        f'invalid metric name or label names: "{shown}" (metric_name_validation_scheme is legacy)'
    )


def test_a_legacy_metric_name_may_have_colons():
    assert finish({"__name__": "job:m:rate"}, names=NameValidation.LEGACY) == {"__name__": "job:m:rate", **dict(TARGET)}


def test_metric_relabelling_comes_before_the_names_are_looked_at():
    rename = RelabelConfig(
        source_labels=("__name__",), regex=Regex.parse("a\\.b"), target_label="__name__", replacement="a_b"
    )
    clean = RelabelConfig(regex=Regex.parse("x\\.y"), action=Action.LABELDROP)
    drop = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("c\\.d"), action=Action.DROP)
    rules, names = (rename, clean, drop), NameValidation.LEGACY
    assert finish({"__name__": "a.b", "x.y": "1"}, *rules, names=names) == {"__name__": "a_b", **dict(TARGET)}
    assert finish({"__name__": "c.d"}, *rules, names=names) is None


def test_a_label_of_the_target_beyond_the_scheme_fails_its_samples_and_not_its_reports():
    labels = SampleLabels((("a.b", "1"),), Relabeler(()), honor_labels=False, names=NameValidation.LEGACY)
    with pytest.raises(InvalidValueError, match=r'"a\.b"'):
        labels.finish([("__name__", "m")])
    assert labels.report("up") == (("__name__", "up"), ("a.b", "1"))


def test_report_samples_have_the_labels_of_the_target_and_are_not_relabelled():
    drop = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("up"), action=Action.DROP)
    labels = SampleLabels(TARGET, Relabeler((drop,)), honor_labels=False)
    assert labels.report("up") == (("__name__", "up"), *TARGET)
