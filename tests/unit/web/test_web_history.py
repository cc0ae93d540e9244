"""The last hour of the agent's own numbers: kept, read and drawn."""

from __future__ import annotations

import asyncio
import logging
import math
import time

import pytest

from promscout.scrape.report import Report
from promscout.web.pages.history import ROWS, STEP_SECONDS, History, Sampler
from promscout.web.pages.sparkline import HEIGHT, WIDTH, Sparkline, sparkline
from promscout.web.vitals import Vital, Vitals, health_counts, quantile
from unit.web.agent_view import agent_view


def test_a_history_gives_the_newest_rows_the_oldest_first():
    history = History()
    assert list(history.of("a")) == []
    for number in range(3):
        history.add({"a": number})
    assert list(history.of("a")) == [0, 1, 2]
    assert list(history.of("a", 2)) == [1, 2]
    assert list(history.of("unheard of")) == []


@pytest.mark.parametrize("added", [ROWS - 1, ROWS, ROWS + 1, 2 * ROWS, 2 * ROWS + 7])
def test_a_history_keeps_an_hour_and_no_more(added):
    history = History()
    for number in range(added):
        history.add({"a": number})
    assert len(history) == min(added, ROWS)
    assert list(history.of("a")) == list(range(max(0, added - ROWS), added))
    assert list(history.of("a", 3)) == [added - 3, added - 2, added - 1]


def test_what_a_row_does_not_say_is_not_known():
    history = History()
    history.add({"a": 1})
    history.add({"b": 2})
    a, b = history.of("a"), history.of("b")
    assert (a[0], b[1]) == (1, 2)
    assert math.isnan(a[1])
    assert math.isnan(b[0])


async def test_a_sampler_adds_a_row_at_each_multiple_of_the_step(clock):
    history, seen = History(), []
    sampler = Sampler(history, lambda: {"at": asyncio.get_running_loop().time()}, clock)
    sampler.when_sampled(lambda: seen.append(clock.now_ms()))
    await asyncio.sleep(1.25)
    sampler.start()
    await asyncio.sleep(4 * STEP_SECONDS)
    sampler.stop()
    sampler.stop()
    await asyncio.sleep(2 * STEP_SECONDS)
    assert len(seen) == len(history) == 4
    assert [at % (STEP_SECONDS * 1000) for at in seen] == [0, 0, 0, 0]


async def test_a_reading_that_fails_leaves_no_row_and_is_logged_once(clock, caplog):
    readings = iter([{}, {"a": 1}, None, None, {"a": 2}])

    def read():
        reading = next(readings)
        if reading is None:
            raise ValueError("broken")
        return reading

    sampler = Sampler(History(), read, clock)
    with caplog.at_level(logging.ERROR):
        sampler.start()
        await asyncio.sleep(4.5 * STEP_SECONDS)
        sampler.stop()
    assert list(sampler.history.of("a")) == [1, 2]
    assert [record.message for record in caplog.records] == ["the agent's own numbers could not be read"]


@pytest.mark.real_time
async def test_readings_are_what_the_agent_counts():
    now = 100.0
    async with agent_view() as view:
        view.add_pool("web")
        up, down, _ = view.sync("web", "a", ["127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1"])
        up.loop.last, down.loop.last = Report(0, 0.1), Report(0, 0.1, "no answer")
        vitals = Vitals(view, lambda: now)
        first = vitals.read()
        assert (first[Vital.UP], first[Vital.DOWN], first[Vital.UNKNOWN], first[Vital.DROPPED]) == (1, 1, 1, 0)
        for rate in (Vital.SAMPLES, Vital.CPU, Vital.LATENESS, Vital.LAG, Vital.DELIVERED):
            assert math.isnan(first[rate])
        assert 1e6 < first[Vital.MEMORY] < 1e10
        now = 105.0
        view.scrape.metrics.samples.inc(500)
        for _ in range(99):
            view.scrape.metrics.started(0.0005)
        view.discovery.metrics.change_wait.observe(0.2)
        view.discovery.metrics.event_to_group["pod"].observe(0.1)
        view.discovery.metrics.event_to_group["node"].observe(0.3)
        second = vitals.read()
        assert second[Vital.SAMPLES] == 100
        assert second[Vital.LATENESS] == pytest.approx(0.00099)
        assert second[Vital.LAG] == pytest.approx(0.2 + 0.2)
        assert second[Vital.WAITING] == second[Vital.DELIVERED] == second[Vital.STORED] == 0
        now = 110.0
        assert vitals.read()[Vital.SAMPLES] == 0
        assert health_counts(view).active == 3


@pytest.mark.real_time
async def test_a_reading_costs_the_same_for_many_targets():
    async with agent_view() as view:
        costs = []
        for job, targets in (("few", 1), ("many", 5000)):
            view.add_pool(job)
            view.sync(job, "a", [f"127.0.{number // 250}.{number % 250 + 1}:1" for number in range(targets)])
            vitals, history = Vitals(view), History()
            best = math.inf
            for _ in range(50):
                started = time.thread_time()
                history.add(vitals.read())
                best = min(best, time.thread_time() - started)
            costs.append(best)
    few, many = costs
    assert many < 2 * few
    assert many < 0.001


def test_a_quantile_is_taken_to_be_even_within_its_bucket():
    buckets = {1.0: 1.0, 2.0: 3.0, 4.0: 4.0, math.inf: 4.0}
    assert quantile(0.25, buckets) == 1
    assert quantile(0.5, buckets) == 1.5
    assert quantile(1, buckets) == 4
    assert quantile(1, {1.0: 0.0, math.inf: 2.0}) == 1  # nobody knows how far beyond
    assert math.isnan(quantile(0.5, {1.0: 0.0, math.inf: 0.0}))


def test_a_sparkline_is_as_wide_as_its_time_with_the_newest_at_the_right():
    plot = sparkline([0, 1], rows=4)
    assert plot.line == f"M80 {HEIGHT - 1.5}L{WIDTH} 1.5"
    assert plot.area == f"M80 {HEIGHT}L80 {HEIGHT - 1.5}L{WIDTH} 1.5L{WIDTH} {HEIGHT}Z"
    assert (plot.low, plot.high) == (0, 1)


def test_a_sparkline_breaks_where_nothing_is_known():
    nan = math.nan
    plot = sparkline([2, 2, nan, 2, nan], rows=5)
    assert plot.line == "M0 1.5L30 1.5M90 1.5h1"
    assert plot.area.count("Z") == 2
    assert sparkline([nan, nan], rows=5) == sparkline([], rows=5) == Sparkline()


def test_many_values_are_drawn_as_the_means_of_columns():
    plot = sparkline([float(number % 2) for number in range(ROWS)], rows=ROWS)
    assert plot.line.count("L") == WIDTH - 1
    assert (plot.low, plot.high) == (0.5, 0.5)


def test_a_sparkline_that_does_not_begin_at_zero_does_not_blow_up_noise():
    plot = sparkline([1000, 1001], rows=2, from_zero=False)
    assert plot.line == f"M0 2.1L{WIDTH} 1.5"
