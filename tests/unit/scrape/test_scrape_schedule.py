"""Slots of targets."""

from __future__ import annotations

from itertools import pairwise

import pytest

from promscout.scrape.schedule import GRID_MS, Schedule


def schedule(digest=0, interval=10.0, now_ms=1_000_000, loop_time=0.0):
    return Schedule(digest, interval, now_ms, loop_time)


@pytest.mark.parametrize("digest", [0, 1, 4_999, 9_999, 10_000, 2**64 - 1])
@pytest.mark.parametrize("now_ms", [1_000_000, 1_000_001, 1_004_999, 1_009_999])
def test_the_first_slot_is_the_next_time_with_the_offset_of_the_digest(digest, now_ms):
    first = schedule(digest, now_ms=now_ms)
    slot_ms = now_ms + round(first.at * 1000)
    assert now_ms < slot_ms <= now_ms + 10_000
    assert slot_ms % 10_000 == digest % 10_000 // GRID_MS * GRID_MS


def test_all_slots_are_on_one_grid_whatever_the_interval():
    slots = {
        round(1_000_000 + schedule(digest, interval).at * 1000) for digest in range(999) for interval in (1.0, 7.0)
    }
    assert {slot % GRID_MS for slot in slots} == {0}


def test_targets_with_short_intervals_have_the_whole_interval():
    assert {round(schedule(digest, interval=0.5).at * 1000) % 500 for digest in range(500)} == set(range(500))


def test_slots_are_the_same_whenever_one_starts_to_look():
    early, late = schedule(7_777, now_ms=1_000_000), schedule(7_777, now_ms=1_123_456, loop_time=500.0)
    slots = {round(1_000_000 + early.at * 1000)}
    for _ in range(20):
        early.advance(early.at)
        slots.add(round(1_000_000 + early.at * 1000))
    assert round(1_123_456 + (late.at - 500.0) * 1000) in slots


def test_slots_are_exactly_one_interval_apart_however_late_a_scrape_ends():
    slots, running = [], schedule(3_000)
    for late in (0.0, 0.1, 9.999, 0.0):
        slots.append(running.at)
        assert running.advance(running.at + late) == 0
    assert [round(later - first, 6) for first, later in pairwise(slots)] == [10.0] * 3


@pytest.mark.parametrize(
    ("late", "missed"), [(9.999, 0), (10.0, 1), (10.001, 1), (19.999, 1), (20.0, 2), (3600.0, 360)]
)
def test_slots_that_pass_during_a_scrape_are_missed_and_counted(late, missed):
    running = schedule(3_000)
    before = running.at
    assert running.advance(before + late) == missed
    assert running.at == before + 10.0 * (missed + 1)
    assert running.at > before + late


def test_a_scrape_that_ends_early_leaves_the_next_slot_alone():
    running = schedule(3_000)
    before = running.at
    assert running.advance(before - 1.0) == 0
    assert running.at == before + 10.0


@pytest.mark.parametrize(
    ("interval", "late_ms", "aligned"),
    [
        (10.0, 0, True),
        (10.0, 2, True),
        (10.0, 3, False),
        (10.0, -2, True),
        (10.0, -3, False),
        (0.1, 1, True),  # 1% of the interval
        (0.1, 2, False),
        (0.05, 0, True),
        (0.05, 1, False),
    ],
)
def test_a_scrape_that_is_hardly_late_has_the_time_of_its_slot(interval, late_ms, aligned):
    running = schedule(3, interval)
    slot_ms = 1_000_000 + round(running.at * 1000)
    assert running.timestamp(slot_ms + late_ms) == (slot_ms if aligned else slot_ms + late_ms)


def test_a_step_of_the_wall_clock_moves_no_slot_and_shows_in_time_stamps():
    running = schedule(3_000)
    at = running.at
    assert running.timestamp(5_000_000) == 5_000_000
    assert running.at == at


def test_the_wall_clock_times_of_the_next_scrapes_are_those_of_their_slots():
    running = schedule(3_000, loop_time=50.0)
    assert (running.at_ms, running.after_ms) == (1_003_000, 1_013_000)
    running.advance(running.at)
    assert (running.at_ms, running.after_ms) == (1_013_000, 1_023_000)
    early = Schedule(9_000, 10.0, 1_000_000, 50.0, latest=52.5)
    assert (early.at, early.at_ms, early.after_ms) == (52.5, 1_002_500, 1_009_000)
