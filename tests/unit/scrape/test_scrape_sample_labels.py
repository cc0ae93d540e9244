"""From exposed labels to stored ones."""

from __future__ import annotations

import pytest

from promscout.errors import InvalidValueError
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.engine import Relabeler
from promscout.relabel.regex import Regex
from promscout.scrape.sample_labels import SampleLabels

TARGET = (("instance", "i"), ("job", "j"))


def finish(exposed, *rules, target=TARGET, honor_labels=False):
    labels = SampleLabels(target, Relabeler(rules), honor_labels=honor_labels)
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


def test_report_samples_have_the_labels_of_the_target_and_are_not_relabelled():
    drop = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("up"), action=Action.DROP)
    labels = SampleLabels(TARGET, Relabeler((drop,)), honor_labels=False)
    assert labels.report("up") == (("__name__", "up"), *TARGET)
