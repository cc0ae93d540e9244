"""Limits of a sample's labels: what exceeds them, and what a scrape that does is like."""

from __future__ import annotations

import pytest

from promscout.errors import LabelLimitError
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.engine import Relabeler
from promscout.relabel.regex import Regex
from promscout.scrape.label_limits import NO_LIMITS, LabelLimits
from promscout.scrape.sample_labels import SampleLabels
from unit.scrape.fakes import STALE, config
from unit.scrape.test_scrape_loop import Scraper, values

LABELS = (("__name__", "m"), ("instance", "i"), ("job", "jé"))


def problem(limits, labels=LABELS):
    """What is refused, or nothing."""
    try:
        limits.check(labels)
    except LabelLimitError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("limits", "refused"),
    [
        (LabelLimits(), ""),
        (LabelLimits(count=3, name_length=8, value_length=3), ""),
        (LabelLimits(count=2), "label_limit exceeded (metric: m, number of labels: 3, limit: 2)"),
        (
            LabelLimits(name_length=7),
            "label_name_length_limit exceeded (metric: m, label name: __name__, length: 8, limit: 7)",
        ),
        (
            LabelLimits(value_length=2),  # é has two bytes
            'label_value_length_limit exceeded (metric: m, label name: job, value: "jé", length: 3, limit: 2)',
        ),
        (
            LabelLimits(count=2, name_length=1, value_length=1),
            "label_limit exceeded (metric: m, number of labels: 3, limit: 2)",
        ),
        (
            LabelLimits(name_length=1, value_length=2),
            "label_name_length_limit exceeded (metric: m, label name: __name__, length: 8, limit: 1)",
        ),
    ],
)
def test_each_limit_counts_the_metric_name_and_bytes(limits, refused):
    assert problem(limits) == refused


def test_long_names_and_values_are_shown_by_their_first_fifty_characters():
    shown = "é" * 50
    labels = (("__name__", "é" * 60), ("n" * 60, 'v"' * 60))
    assert problem(LabelLimits(count=1), labels) == (
        f"label_limit exceeded (metric: {shown}, number of labels: 2, limit: 1)"
    )
    assert problem(LabelLimits(name_length=59), labels) == (
        f"label_name_length_limit exceeded (metric: {shown}, label name: {'n' * 50}, length: 60, limit: 59)"
    )
    escaped = 'v\\"' * 25
    assert problem(LabelLimits(value_length=119), labels) == (
        f"label_value_length_limit exceeded (metric: {shown}, label name: __name__, "
        f'value: "{shown}", length: 120, limit: 119)'
    )
    assert problem(LabelLimits(value_length=119), labels[1:]) == (
        f"label_value_length_limit exceeded (metric: , label name: {'n' * 50}, "
        f'value: "{escaped}", length: 120, limit: 119)'
    )


def test_a_job_without_limits_checks_nothing():
    assert LabelLimits.of(config()) is NO_LIMITS
    assert LabelLimits.of(config(label_limit=1, label_name_length_limit=2, label_value_length_limit=3)) == LabelLimits(
        1, 2, 3
    )


def test_the_final_labels_count_with_those_of_the_target_and_after_relabelling():
    drop = RelabelConfig(regex=Regex.parse("b"), action=Action.LABELDROP)
    labels = SampleLabels(
        (("instance", "i"), ("job", "j")), Relabeler((drop,)), honor_labels=False, limits=LabelLimits(count=4)
    )
    assert labels.finish([("__name__", "m"), ("a", "1"), ("b", "2")]) is not None
    with pytest.raises(LabelLimitError, match="number of labels: 5, limit: 4"):
        labels.finish([("__name__", "m"), ("a", "1"), ("c", "2")])


async def test_a_scrape_beyond_a_label_limit_fails_is_counted_and_leaves_markers(clock):
    scraper = Scraper(clock, "a 1\n", 'a 1\nb{x="y"} 1\n', 'a 1\nb{x="y"} 2\n', "a 2\n", label_limit=3)
    async with scraper.running(3):
        assert scraper.loop.last.error == "label_limit exceeded (metric: b, number of labels: 4, limit: 3)"
        assert scraper.context.metrics.label_limits_exceeded._value.get() == 2
        await scraper.scraped(4)
    recorder = scraper.recorder
    assert values(recorder.of("a")) == [1, STALE, 2]
    assert recorder.of("b") == []
    assert values(recorder.of("up")) == [1, 0, 0, 1]  # report samples have no limit: they always come
