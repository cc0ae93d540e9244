from __future__ import annotations

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from promscout.discovery.refresh import Refresher, RefreshFailed, RefreshMetrics
from promscout.model.group import TargetGroup


def group(source, *addresses):
    return TargetGroup.of(source, ({"__address__": address} for address in addresses))


class Refreshed:
    """A refresher of every 30 s whose refreshes do what the test says; ``published`` has the loop's time, too."""

    def __init__(self, *results, takes=0.0):
        self.registry = CollectorRegistry()
        self.results = list(results)
        self.takes = takes
        self.asked = []
        self.published = []

    async def refresh(self):
        self.asked.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes)
        result = self.results.pop(0) if self.results else []
        if isinstance(result, Exception):
            raise result
        return result

    def publish(self, groups):
        self.published.append((asyncio.get_running_loop().time(), list(groups)))

    async def run(self, seconds):
        refresher = Refresher("scripted", 30, RefreshMetrics(self.registry))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await refresher.run(self.refresh, self.publish)

    def value(self, name):
        return self.registry.get_sample_value(f"prometheus_sd_refresh_{name}", {"mechanism": "scripted"})


async def test_the_first_refresh_is_at_once_and_the_others_follow_at_the_interval():
    refreshed = Refreshed([group("a", "x")], [group("a", "y")], takes=2)
    await refreshed.run(63)
    assert refreshed.asked == [0, 30, 60]
    assert refreshed.published[:2] == [(2, [group("a", "x")]), (32, [group("a", "y")])]
    assert refreshed.value("duration_seconds_count") == 3
    assert refreshed.value("duration_seconds_sum") == 6
    assert refreshed.value("duration_histogram_seconds_count") == 3
    assert refreshed.value("failures_total") == 0


async def test_a_refresh_that_takes_longer_than_the_interval_is_followed_by_the_next_at_once():
    refreshed = Refreshed(takes=40)
    await refreshed.run(100)
    assert refreshed.asked == [0, 40, 80]


async def test_a_source_that_is_there_no_more_becomes_an_empty_group_once():
    refreshed = Refreshed([group("a", "x"), group("b", "y")], [group("b", "y")], [])
    await refreshed.run(100)
    assert [groups for _, groups in refreshed.published] == [
        [group("a", "x"), group("b", "y")],
        [group("b", "y"), group("a")],
        [group("b")],
        [],
    ]


@pytest.mark.parametrize("error", [RefreshFailed("no answer"), ValueError("a bug")])
async def test_a_refresh_that_fails_publishes_nothing_and_is_counted_and_logged(error, caplog):
    refreshed = Refreshed([group("a", "x")], error, [group("b", "y")])
    with caplog.at_level(logging.ERROR):
        await refreshed.run(61)
    assert refreshed.published[:2] == [(0, [group("a", "x")]), (60, [group("b", "y"), group("a")])]
    assert refreshed.value("failures_total") == 1
    assert [record.message for record in caplog.records] == ["refresh failed, targets stay as they are"]


async def test_a_first_refresh_that_fails_says_nothing_about_targets():
    refreshed = Refreshed(RefreshFailed("no answer"), [])
    await refreshed.run(31)
    assert refreshed.published == [(30, [])]
