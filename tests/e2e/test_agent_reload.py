"""What a reload touches, counted: a thousand targets under one agent, on virtual time, with everything real around it.

After every kind of change: which loops are others now, which scrapes were missed, which
series got staleness markers, and what was listed again.
"""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from e2e.agent_world import INTERVAL, SERIES, STALE, World

pytestmark = pytest.mark.virtual_time

DELIVERY = 3  # seconds until what was scraped is at the receiver
JOBS = {"interval", "rules", "name", "list", "pods"}


@pytest.fixture
async def world(tmp_path):
    """A thousand targets."""
    async with World(tmp_path, 200).running() as world:
        yield world


@pytest.fixture
async def small(tmp_path):
    """A hundred."""
    async with World(tmp_path, 20).running() as world:
        yield world


class Before:
    """What was there before a reload."""

    def __init__(self, world):
        self.world = world
        self.loops = world.loops
        self.lists = world.lists()
        self.at = world.clock.now_ms()

    def restarted(self):
        """How many loops are others now, by job."""
        now = self.world.loops
        changed = [job for (job, instance), loop in self.loops.items() if now.get((job, instance)) is not loop]
        return {job: changed.count(job) for job in set(changed)}


def times(samples):
    return [at for at, value in samples if value is not STALE]


def steps(samples):
    return [later - earlier for earlier, later in pairwise(times(samples))]


def goes_on(world, *jobs, scrapes=4):
    """Every target of these jobs was scraped at each of its slots, so often, and no series of it turned stale."""
    for job in jobs:
        found = world.server.of(job=job)
        assert len(found) == world.each
        for samples in found.values():
            assert len(samples) >= scrapes
            assert set(steps(samples)) == {INTERVAL * 1000}
        assert world.server.markers[job] == 0


@pytest.mark.parametrize(("seconds", "longest"), [(15, 16), (5, 10.5)])
async def test_another_interval_restarts_the_loops_of_its_job_without_a_gap(world, seconds, longest):
    before = Before(world)
    world.job("interval")["scrape_interval"] = f"{seconds}s"
    await world.reload()
    assert before.restarted() == {"interval": world.each}
    await asyncio.sleep(3.2 * longest)
    goes_on(world, *JOBS - {"interval"})
    assert world.server.markers == {}
    found = world.server.of(job="interval")
    assert len(found) == world.each
    for samples in found.values():
        assert max(steps(samples)) <= longest * 1000
        new = [sample for sample in samples if sample[0] >= before.at][1:]
        assert set(steps(new)) == {seconds * 1000}, "at its slots, after one scrape that may be before them"
    assert world.lists() == before.lists
    assert world.metric("promscout_target_scrapes_missed_total") == 0


async def test_a_rule_without_effect_and_options_that_concern_no_target_restart_nothing(small):
    before = Before(small)
    job = small.job("rules")
    for options in (
        {"relabel_configs": [{"source_labels": ["no_such_label"], "regex": "x", "action": "drop"}]},
        {"metric_relabel_configs": [{"source_labels": ["__name__"], "regex": "nothing", "action": "drop"}]},
        {"sample_limit": 1000},
        {"body_size_limit": "1MB"},
        {"basic_auth": {"username": "u", "password": "p"}},
    ):
        job.update(options)
        await small.reload()
        await asyncio.sleep(INTERVAL / 5)
    del job["basic_auth"]
    await small.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {}
    goes_on(small, *JOBS - {"rules"})
    found = small.server.of(job="rules")
    assert len(found) == small.each
    for samples in found.values():
        assert set(steps(samples)) == {INTERVAL * 1000}
    assert small.lists() == before.lists


async def test_a_rule_that_drops_metrics_ends_their_series_and_nothing_else(small):
    before = Before(small)
    drop = {"source_labels": ["__name__"], "regex": "work_total", "action": "drop"}
    small.job("rules")["metric_relabel_configs"] = [drop]
    await small.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {}
    goes_on(small, *JOBS - {"rules"})
    assert small.server.markers == {"rules": small.each}
    assert all(samples[-1][1] is STALE for samples in small.server.of("work_total", job="rules").values())
    assert all(set(steps(samples)) == {INTERVAL * 1000} for samples in small.server.of(job="rules").values())


async def test_a_rule_that_adds_a_label_ends_the_series_of_its_job_and_begins_new_ones_at_the_same_slots(world):
    before = Before(world)
    world.job("rules")["relabel_configs"] = [{"target_label": "env", "replacement": "prod"}]
    await world.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {"rules": world.each}
    goes_on(world, *JOBS - {"rules"})
    assert world.server.markers == {"rules": world.each * SERIES}
    for samples in world.server.of(job="rules").values():  # the old series, then the new ones
        assert set(steps(samples)) == {INTERVAL * 1000}, "no scrape is missed"
        assert [value for _, value in samples].count(STALE) == 1
    assert len(world.server.of(job="rules", env="prod")) == world.each


async def test_a_rule_that_drops_half_of_the_targets_leaves_the_other_half_alone(small):
    before = Before(small)
    odd = {"source_labels": ["instance"], "regex": ".*[13579]", "action": "drop"}
    small.job("rules")["relabel_configs"] = [odd]
    await small.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {"rules": small.each / 2}
    assert small.server.markers == {"rules": small.each / 2 * SERIES}
    goes_on(small, *JOBS - {"rules"})


async def test_other_external_labels_restart_nothing_and_lose_nothing(world):
    before = Before(world)
    world.server.latency = 2  # requests are under way
    for cluster in ("two", "three"):
        world.config["global"]["external_labels"]["cluster"] = cluster
        await world.reload()
        await asyncio.sleep(INTERVAL)
    world.server.latency = 0
    await asyncio.sleep(INTERVAL)
    assert before.restarted() == {}
    goes_on(world, *JOBS)
    assert {dict(series)["cluster"] for series in world.server.taken} == {"one", "two", "three"}
    found = world.server.of("work_total")
    assert len(found) == 5 * world.each
    for instance, samples in found.items():
        assert [value for _, value in samples] == [*range(1, len(samples) + 1)], "in order, none twice, none lost"
        assert len(samples) >= world.server.scrapes[f"/t/{instance}"] - 1, "but the last, which may be pending"
    assert world.metric("prometheus_target_scrape_pool_reloads_total") == 0


async def test_another_receiver_gets_what_comes_and_the_old_one_what_was_pending(small):
    before = Before(small)
    section = small.config["remote_write"][0]
    section["queue_config"]["batch_send_deadline"] = "2s"
    section["headers"] = {"X-Scope-OrgID": "tenant"}
    await small.reload()
    section["name"] = "other"
    await small.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {}
    goes_on(small, *JOBS)


async def test_selectors_of_one_job_keep_the_targets_that_both_find_and_list_once(world):
    before = Before(world)
    selectors = [{"role": "pod", "label": "half=0"}]
    world.job("pods")["kubernetes_sd_configs"][0]["selectors"] = selectors
    await world.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {"pods": world.each / 2}
    assert world.server.markers == {"pods": world.each / 2 * SERIES}
    assert world.lists() == before.lists + 1, "the selected pods"
    goes_on(world, *JOBS - {"pods"})
    kept = [samples for samples in world.server.of(job="pods").values() if samples[-1][1] is not STALE]
    assert len(kept) == world.each / 2
    for samples in kept:
        assert set(steps(samples)) == {INTERVAL * 1000}


async def test_another_way_to_the_same_objects_lists_only_what_is_new(small):
    before = Before(small)
    small.job("pods")["kubernetes_sd_configs"][0]["attach_metadata"] = {"namespace": True}
    await small.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {}
    assert small.lists() == before.lists + 1, "namespaces; the pods are there"
    goes_on(small, *JOBS)


async def test_a_kubernetes_job_that_is_removed_and_brought_back_lists_nothing(small):
    before = Before(small)
    job = small.job("pods")
    small.config["scrape_configs"].remove(job)
    await small.reload()
    assert before.restarted() == {"pods": small.each}
    small.config["scrape_configs"].append(job)
    await small.reload()
    await asyncio.sleep(INTERVAL + DELIVERY)
    assert len(small.loops) == 5 * small.each
    assert small.lists() == before.lists
    goes_on(small, *JOBS - {"pods"}, scrapes=3)
    for samples in small.server.of(job="pods").values():
        values = [value for _, value in samples]
        assert values.count(STALE) == 1
        assert values[-1] == 1, "after its marker"


async def test_an_address_taken_out_of_a_list_of_targets_ends_alone(world):
    before = Before(world)
    groups = world.job("list")["static_configs"]
    del groups[7]
    groups.append({"targets": [world.server.address], "labels": {"instance": "new", "__metrics_path__": "/t/new"}})
    await world.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {"list": 1}
    assert world.server.markers == {"list": SERIES}
    goes_on(world, *JOBS - {"list"})
    for instance, samples in world.server.of(job="list").items():
        assert set(steps(samples)) == {INTERVAL * 1000}
        assert (samples[-1][1] is STALE) is (instance == "list-7")


async def test_a_renamed_job_ends_and_begins_anew(world):
    before = Before(world)
    world.job("name")["job_name"] = "renamed"
    world.job("pods")["job_name"] = "renamed-pods"
    await world.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {"name": world.each, "pods": world.each}
    assert world.server.markers == {"name": world.each * SERIES, "pods": world.each * SERIES}
    assert world.lists() == before.lists
    goes_on(world, "interval", "rules", "list")
    for job in ("renamed", "renamed-pods"):
        found = world.server.of(job=job)
        assert len(found) == world.each
        for samples in found.values():
            assert samples[0][0] - before.at <= INTERVAL * 1000 + 100, "at its first slot"


async def test_a_reload_of_the_same_configuration_does_nothing(small):
    before = Before(small)
    for _ in range(5):
        await small.reload()
    await asyncio.sleep(2 * INTERVAL + DELIVERY)
    assert before.restarted() == {}
    goes_on(small, *JOBS)
    assert small.lists() == before.lists
    assert small.metric("prometheus_target_scrape_pool_reloads_total") == 0
