"""Samples with time stamps of their own: what is sent, and what is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.virtual_time import EPOCH_MS
from promscout.model.series import SampleBatch, SeriesTable
from promscout.scrape.loop import Ending
from promscout.scrape.own_times import OwnTimes
from unit.scrape.fakes import STALE
from unit.scrape.test_scrape_loop import Scraper, values

NOW = 1_000_000_000
LIMIT = NOW + 600_000


def table(*names):
    return SeriesTable.from_label_sets(7, [(("__name__", name),) for name in names])


def batch(series, *samples):
    times, found = zip(*samples, strict=True)
    return SampleBatch(series, np.array(found, dtype=np.float64), np.array(times, dtype=np.int64))


def sent(admitted):
    one = admitted.batch
    names = [labels[0][1] for labels in one.series]
    return list(zip(names, np.asarray(one.timestamps).tolist(), one.values.tolist(), strict=True))


def counts(admitted):
    return admitted.out_of_order, admitted.duplicates, admitted.out_of_bounds


def test_only_what_goes_on_in_time_is_sent():
    times, series = OwnTimes(), table("a", "b", "c")
    first = batch(series, (10, 1), (10, 1), (10, 1))
    assert times.admit(first, NOW).batch is first
    second = times.admit(batch(series, (10, 1), (9, 2), (11, 2)), NOW)
    assert (sent(second), counts(second)) == ([("c", 11, 2.0)], (1, 0, 0))
    third = times.admit(batch(series, (10, 5), (10, 1), (10, 2)), NOW)
    assert (sent(third), counts(third)) == ([], (1, 1, 0))
    fourth = times.admit(batch(series, (12, 5), (12, 5), (12, 5)), NOW)
    assert (len(fourth.batch), counts(fourth)) == (3, (0, 0, 0))


def test_samples_more_than_ten_minutes_ahead_are_refused_and_forgotten():
    times, series = OwnTimes(), table("a", "b")
    admitted = times.admit(batch(series, (LIMIT, 1), (LIMIT + 1, 1)), NOW)
    assert (sent(admitted), counts(admitted)) == ([("a", LIMIT, 1.0)], (0, 0, 1))
    admitted = times.admit(batch(series, (LIMIT + 1, 1), (NOW, 1)), NOW + 1)
    assert (len(admitted.batch), counts(admitted)) == (2, (0, 0, 0))


def test_a_value_that_is_no_number_is_the_same_again_when_its_bits_are():
    times, series = OwnTimes(), table("a")
    times.admit(batch(series, (10, float("nan"))), NOW)
    admitted = times.admit(batch(series, (10, float("nan"))), NOW)
    assert (sent(admitted), counts(admitted)) == ([], (0, 0, 0))


def test_what_is_known_of_a_series_outlives_a_change_of_the_table():
    times = OwnTimes()
    times.admit(batch(table("a", "b"), (10, 1), (20, 1)), NOW)
    admitted = times.admit(batch(table("new", "b", "a"), (5, 1), (20, 1), (9, 1)), NOW)
    assert (sent(admitted), counts(admitted)) == ([("new", 5, 1.0)], (1, 0, 0))


def test_while_the_same_series_are_left_their_table_is_the_same_object():
    times, series = OwnTimes(), table("a", "b")
    times.admit(batch(series, (10, 1), (10, 1)), NOW)
    left = [times.admit(batch(series, (10, 1), (at, 1)), NOW).batch.series for at in (11, 12, 13)]
    assert left[0] is left[1] is left[2]
    other = times.admit(batch(series, (11, 1), (13, 1)), NOW).batch.series
    assert [labels[0][1] for labels in other] == ["a"]


def test_a_series_that_stands_in_a_body_several_times_is_judged_in_turn():
    times, series = OwnTimes(), table("a", "a", "b", "a")
    admitted = times.admit(batch(series, (10, 1), (12, 2), (5, 1), (11, 3)), NOW)
    assert (sent(admitted), counts(admitted)) == ([("a", 10, 1.0), ("a", 12, 2.0), ("b", 5, 1.0)], (1, 0, 0))
    admitted = times.admit(batch(series, (12, 2), (12, 3), (LIMIT + 1, 1), (13, 3)), NOW)
    assert (sent(admitted), counts(admitted)) == ([("a", 13, 3.0)], (0, 1, 1))


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from("abc"), st.integers(NOW - 2, NOW + 2), st.integers(0, 2)), min_size=1, max_size=6
        ),
        max_size=8,
    )
)
def test_it_is_the_same_as_looking_at_one_sample_after_the_other(bodies):
    times, last = OwnTimes(), {}
    tables = {}
    for body in bodies:
        names = tuple(name for name, _, _ in body)
        series = tables.setdefault(names, table(*names))
        expected, refused = [], [0, 0, 0]
        for name, at, value in body:
            before = last.get(name)
            if before is None or at > before[0]:
                expected.append((name, at, float(value)))
                last[name] = at, value
            else:
                refused[0] += at < before[0]
                refused[1] += at == before[0] and value != before[1]
        admitted = times.admit(batch(series, *((at, value) for _, at, value in body)), NOW)
        assert (sent(admitted), list(counts(admitted))) == (expected, refused)
        last = {name: pair for name, pair in last.items() if name in names}


BODIES = [f"a 1 {EPOCH_MS}\nb 1\n", f"a 1 {EPOCH_MS}\nb 2\n", f"a 2 {EPOCH_MS}\nb 3\n", f"a 3 {EPOCH_MS - 1}\nb 4\n"]


async def test_refused_samples_are_counted_and_do_no_harm(clock):
    far = EPOCH_MS + 3_600_000
    scraper = Scraper(clock, *BODIES, f"a 4 {far}\nb 5\n", f"a 5 {EPOCH_MS + 1}\nb 6\n")
    recorder = await scraper.run(6)
    assert recorder.of("a") == [(EPOCH_MS, 1), (EPOCH_MS + 1, 5)]
    assert values(recorder.of("b")) == [1, 2, 3, 4, 5, 6]
    assert values(recorder.of("up")) == [1] * 6
    assert values(recorder.of("scrape_samples_post_metric_relabeling")) == [2] * 6
    metrics = scraper.context.metrics
    counted = (metrics.duplicate_samples, metrics.out_of_order_samples, metrics.out_of_bounds_samples)
    assert [metric._value.get() for metric in counted] == [1, 1, 1]
    assert metrics.samples._value.get() == 8


@pytest.mark.parametrize(
    ("options", "a"),
    [
        ({}, [1, 1]),
        ({"track_timestamps_staleness": True}, [1, 1, STALE]),
        ({"honor_timestamps": False}, [1, 1, STALE]),
        ({"honor_timestamps": False, "track_timestamps_staleness": True}, [1, 1, STALE]),
    ],
)
async def test_a_series_with_times_of_its_own_turns_stale_only_where_they_are_tracked_or_not_honoured(
    clock, options, a
):
    scraper = Scraper(clock, f"a 1 {EPOCH_MS}\n", f"a 1 {EPOCH_MS + 1}\n", "c 1\n", **options)
    recorder = await scraper.run(4)
    assert values(recorder.of("a")) == a
    times = [at for at, _ in recorder.of("a")]
    if options.get("honor_timestamps", True):
        assert times[:2] == [EPOCH_MS, EPOCH_MS + 1]
    else:
        assert times == [at for at, _ in recorder.of("up")][:3]


def test_only_series_whose_last_sample_is_earlier_may_end():
    times, series = OwnTimes(), table("a", "b")
    assert times.may_end(series, 5) is series
    times.admit(batch(series, (10, 1), (20, 1)), NOW)
    assert list(times.may_end(table("a", "b", "c"), 20)) == [(("__name__", "a"),), (("__name__", "c"),)]
    assert list(times.may_end(series, 10)) == []
    assert times.may_end(series, 21) is series


@pytest.mark.parametrize("after", ["c 1\n", "a 1\nb 3\n", 500.0])
async def test_no_marker_is_earlier_than_the_sample_before_it(clock, after):
    ahead = EPOCH_MS + 100_000
    before = f"a 1 {ahead}\nb 1 {EPOCH_MS}\n"
    recorder = await Scraper(clock, before, after, "c 1\n", track_timestamps_staleness=True).run(2, Ending.REMOVED)
    for name in ("a", "b"):
        stamps = [at for at, _ in recorder.of(name)]
        assert stamps == sorted(stamps)
    assert values(recorder.of("b"))[-1] is STALE


async def test_a_series_gets_no_marker_at_the_scrape_that_gives_it_a_later_time(clock):
    recorder = await Scraper(clock, "a 1\n", f"a 2 {EPOCH_MS + 100_000}\n").run(2)
    assert values(recorder.of("a")) == [1, 2]


async def test_a_loop_that_takes_over_sends_nothing_twice(clock):
    old = Scraper(clock, f"a 1 {EPOCH_MS}\n")
    new = Scraper(clock, f"a 1 {EPOCH_MS}\n", labels={"__metrics_path__": "/other"})
    async with old.running(1, Ending.REPLACED):
        new.loop.take_over(old.loop)
    await new.run(2)
    assert old.recorder.of("a") == [(EPOCH_MS, 1)]
    assert new.recorder.of("a") == []
