"""Pools with more targets than ``target_limit`` allows."""

from __future__ import annotations

from promscout.scrape.target_limit import TargetLimit
from unit.scrape.fakes import STALE, config
from unit.scrape.test_scrape_pool import GONE, KEY, OTHER, group, running


def values(recorder, name, **labels):
    return [value for _, value in recorder.of(name, **labels)]


def number(metric):
    return metric._value.get()


def test_a_limit_is_exceeded_by_more_than_it_and_zero_is_none():
    limit = TargetLimit()
    assert limit.error == ""
    for targets, allowed, error in (
        (3, 2, "target_limit exceeded (number of targets: 3, limit: 2)"),
        (2, 2, ""),
        (10_000, 0, ""),
    ):
        limit.note(targets, allowed)
        assert limit.error == error


async def test_all_scrapes_of_a_pool_over_its_limit_fail_without_asking_anybody_until_it_is_under_it_again(clock):
    async with running(clock, target_limit=2) as it:
        it.pool.sync({KEY: group("a", "b")})
        await it.scraped()
        asked = len(it.transports[0].fetched)
        it.pool.sync({OTHER: group("c")})
        await it.until(lambda: {loop.last.error for loop in it.loops.values() if loop.last} != {""})
        await it.scraped(3)
        assert {loop.last.error for loop in it.loops.values()} == {
            "target_limit exceeded (number of targets: 3, limit: 2)"
        }
        assert len(it.transports[0].fetched) == asked
        assert values(it.recorder, "a", instance="a")[-1] is STALE
        assert values(it.recorder, "up", instance="c") == [0] * it.loops["c"].scrapes
        assert values(it.recorder, "a", instance="c") == []
        metrics = it.pool._context.metrics
        assert number(metrics.target_limit_exceeded) == 1
        assert number(metrics.pool_target_limit.labels("j")) == 2
        it.pool.sync({KEY: group("a")})
        await it.until(lambda: all(loop.last.up for loop in it.loops.values()))
        assert it.addresses == ["a", "c"]
        assert number(metrics.target_limit_exceeded) == 1


async def test_every_sync_over_the_limit_is_counted(clock):
    async with running(clock, target_limit=1) as it:
        for groups in ({KEY: group("a", "b")}, {KEY: group("a", "c")}, {KEY: group("a")}):
            it.pool.sync(groups)
        assert number(it.pool._context.metrics.target_limit_exceeded) == 2


async def test_equal_targets_count_once_and_dropped_ones_do_not(clock):
    async with running(clock, target_limit=2) as it:
        it.pool.sync({KEY: group("a", "a", "b"), OTHER: group("b", "a")})
        assert it.pool.setup.options.target_limit.error == ""
        it.pool.sync({KEY: GONE})
        it.pool.sync({OTHER: group("b", "c", "d")})
        assert it.pool.setup.options.target_limit.error
        it.pool.sync({OTHER: group("b", "c")})
        assert it.pool.setup.options.target_limit.error == ""


async def test_targets_that_move_to_another_group_never_count_twice(clock):
    async with running(clock, target_limit=2) as it:
        it.pool.sync({KEY: group("a", "b")})
        it.pool.sync({KEY: GONE, OTHER: group("b", "a")})
        it.pool.sync({OTHER: group("c", "d")})
        assert it.pool.setup.options.target_limit.error == ""
        assert number(it.pool._context.metrics.target_limit_exceeded) == 0


async def test_a_reload_changes_the_limit_and_touches_no_loop(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "b")})
        await it.scraped()
        loops = it.loops
        it.pool.reload(config(target_limit=1))
        assert it.loops == loops
        await it.until(lambda: not any(loop.last.up for loop in loops.values()))
        it.pool.reload(config(target_limit=2))
        await it.until(lambda: all(loop.last.up for loop in loops.values()))
        assert number(it.pool._context.metrics.target_limit_exceeded) == 1
