"""What a plot shows of a store."""

from __future__ import annotations

import math

import pytest

from promscout.store.order import PlotMatcher, PlotOrder, PlotPoint
from promscout.store.plot import plot
from unit.store.store_data import NOW_MS, STALE, Filler, numbered, samples, series

NAME = "__name__"


@pytest.fixture
def filler(tmp_path):
    return Filler(tmp_path / "store")


def ask(filler, *matchers, start=NOW_MS, stop=NOW_MS + 1000, columns=10, limit=20):
    answer = plot(
        PlotOrder(root=str(filler.root), matchers=matchers, start_ms=start, stop_ms=stop, columns=columns, limit=limit)
    )
    assert answer.error == ""
    return answer


def points(filler, values, **options):
    """The points of one series with these samples, 10 ms apart."""
    for index, value in enumerate(values):
        filler.append(samples(numbered(1), [value], NOW_MS + 10 * index))
    (one,) = ask(filler, PlotMatcher(NAME, "metric"), **options).series
    return one.points


def test_a_column_has_the_lowest_the_highest_and_the_last_number(filler):
    found = points(filler, [5, 1, 9, 3, *[7] * 6, 8])
    assert found == [PlotPoint(0, 1, 9, 7, ends=False), PlotPoint(1, 8, 8, 8, ends=False)]


def test_files_and_journal_are_both_plotted(filler):
    filler.append(samples(numbered(1), [1], NOW_MS))
    filler.fold()
    assert [point.low for point in points(filler, [2], start=NOW_MS - 500)] == [1]


def test_a_staleness_marker_ends_the_line_in_its_column(filler):
    values = [1, STALE, *[2] * 7, STALE, *[3] * 10, *[4] * 10, *[STALE] * 10, 5]
    found = points(filler, values)
    assert [(point.column, point.last, point.ends) for point in found] == [
        (0, 2, True),
        (1, 3, False),
        (2, 4, True),
        (4, 5, False),
    ]


def test_numbers_that_are_not_finite_are_left_out(filler):
    assert points(filler, [math.nan, 1, math.inf, *[2] * 7, math.nan, -math.inf]) == [PlotPoint(0, 1, 2, 2, ends=False)]


def test_only_the_asked_time_is_plotted(filler):
    found = points(filler, range(100), start=NOW_MS + 200, stop=NOW_MS + 400, columns=2)
    assert [(point.column, point.low, point.high) for point in found] == [(0, 20, 29), (1, 30, 39)]


@pytest.mark.parametrize(
    ("matchers", "wanted"),
    [
        ((PlotMatcher("mode", "idle"),), {"a", "b"}),
        ((PlotMatcher("mode", "idle", negated=True),), {"c", "d"}),
        ((PlotMatcher("mode", ""),), {"d"}),
        ((PlotMatcher("mode", "id.*|us.r", regex=True),), {"a", "b", "c"}),
        ((PlotMatcher("mode", "idl", regex=True),), set()),
        ((PlotMatcher("mode", ".+", regex=True, negated=True),), {"d"}),
        ((PlotMatcher("text", "a.b", regex=True),), {"b"}),
        ((PlotMatcher(NAME, "cpu"), PlotMatcher("mode", "idle"), PlotMatcher("id", "a")), {"a"}),
        ((PlotMatcher(NAME, "cp", regex=True),), set()),
        ((PlotMatcher("x') OR (true", ""), PlotMatcher(NAME, "' OR 1=1 --")), set()),
        ((), {"a", "b", "c", "d"}),
    ],
    ids=[
        "equal", "not equal", "missing is empty", "regex", "regex matches the whole", "not regex",
        "dot matches line feed", "several", "regex of the name", "quotes are text", "none",
    ],
)  # fmt: skip
def test_series_are_selected_by_their_labels(filler, matchers, wanted):
    table = series(
        {NAME: "cpu", "mode": "idle", "id": "a"},
        {NAME: "cpu", "mode": "idle", "id": "b", "text": "a\nb"},
        {NAME: "cpu", "mode": "user", "id": "c"},
        {NAME: "cpu", "id": "d"},
    )
    filler.append(samples(table, [1, 2, 3, 4]))
    for _ in range(2):
        answer = ask(filler, *matchers)
        assert {one.labels["id"] for one in answer.series} == wanted
        assert answer.found == len(wanted)
        filler.fold()


def test_no_more_series_than_wanted_are_read_and_all_are_counted(filler):
    filler.append(samples(numbered(30), range(30)))
    answer = ask(filler, PlotMatcher(NAME, "metric"), limit=4)
    assert [one.labels["n"] for one in answer.series] == ["0", "10", "11", "12"]
    assert answer.found == 30


def test_what_cannot_be_read_is_told(tmp_path):
    order = PlotOrder(root=str(tmp_path / "none"), matchers=(), start_ms=0, stop_ms=1, columns=1, limit=1)
    assert plot(order).error.endswith("none: no local store")
