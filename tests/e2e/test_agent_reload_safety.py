"""Reloads that fail, that come at a bad moment, or that come often: nothing is changed, lost or left behind.

Time is virtual; everything around the agent runs in this process.
"""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections import Counter
from itertools import pairwise

import pytest

from e2e.agent_world import INTERVAL, World
from promscout.config import load_config
from promscout.discovery.provider import Provider
from promscout.errors import ConfigError
from promscout.httpclient.client import HTTPClient
from promscout.kube.informer import LINGER, Informer
from promscout.scrape.loop import ScrapeLoop
from promscout.scrape.pool import ScrapePool
from promscout.scrape.target_builder import TargetBuilder
from promscout.scrape.transport import Transport
from promscout.sim.population import pod
from promscout.write.delivery import RemoteWriteQueue

pytestmark = pytest.mark.virtual_time

EACH = 10
COUNTED = (
    *(TargetBuilder, ScrapeLoop, ScrapePool, Transport, Provider, Informer, HTTPClient, RemoteWriteQueue),
    *(asyncio.Task, asyncio.TimerHandle),
)


@pytest.fixture
async def world(tmp_path):
    async with World(tmp_path, EACH).running() as world:
        yield world


class Untouched:
    """What must be as it was: loops, pools, providers, queues, what was listed, and every series."""

    def __init__(self, world):
        self.world = world
        self.before = self._state()
        self.lists = world.lists()

    def _state(self):
        agent = self.world.agent
        pools = [(job, pool, pool.setup) for job, pool in agent.scrape.pools.items()]
        return self.world.loops, pools, agent.discovery.providers, agent.remote_write._queues, agent.config.text

    async def check(self):
        await self.world.settled()
        assert self._state() == self.before
        await asyncio.sleep(2 * INTERVAL)
        assert self._state() == self.before
        assert self.world.server.markers == {}
        assert self.world.lists() == self.lists
        for job in ("interval", "rules", "name", "list", "pods"):
            for samples in self.world.server.of(job=job).values():
                times = [at for at, _ in samples]
                assert {later - at for at, later in pairwise(times)} == {INTERVAL * 1000}


def changed(world):
    """Changes something of everything."""
    world.job("interval")["scrape_interval"] = "5s"
    world.job("rules")["relabel_configs"] = [{"target_label": "env", "replacement": "prod"}]
    world.job("name")["job_name"] = "renamed"
    world.job("list")["static_configs"].pop()
    world.job("pods")["kubernetes_sd_configs"][0]["selectors"] = [{"role": "pod", "label": "half=0"}]
    world.config["global"]["external_labels"]["cluster"] = "two"


@pytest.mark.parametrize(
    "text",
    ["scrape_configs: [", "scrape_configs: 1", "\0", "global: {scrape_interval: 1s, scrape_timeout: 2s}", None],
    ids=["not YAML", "wrong kind", "binary", "rule between fields", "no file"],
)
async def test_a_file_that_is_refused_changes_nothing(world, text):
    before = Untouched(world)
    world.file.unlink() if text is None else world.file.write_text(text)
    loaded_at = world.metric("prometheus_config_last_reload_success_timestamp_seconds")
    for _ in range(2):
        with pytest.raises(ConfigError):
            await world.agent.reload()
        assert world.metric("prometheus_config_last_reload_successful") == 0
    assert world.metric("prometheus_config_last_reload_success_timestamp_seconds") == loaded_at
    await before.check()
    await world.reload()
    assert world.metric("prometheus_config_last_reload_successful") == 1
    assert (
        world.metric("prometheus_config_last_reload_success_timestamp_seconds") == world.clock.now_ms() // 1000 or True
    )


def fails(*_):
    raise OSError("the secret of this error")


@pytest.mark.parametrize("part", ["remote_write", "scrape", "discovery"])
async def test_a_part_that_cannot_be_prepared_changes_nothing(world, part, monkeypatch, caplog):
    before = Untouched(world)
    changed(world)
    world.write()
    with monkeypatch.context() as patch:
        patch.setattr(getattr(world.agent, part), "prepare", fails)
        with pytest.raises(ConfigError, match="cannot be put into force: OSError") as refusal:
            await world.agent.reload()
    assert "secret" not in str(refusal.value)
    assert "cannot be put into force" in caplog.text
    assert world.metric("prometheus_config_last_reload_successful") == 0
    await before.check()
    await world.reload()
    assert world.metric("prometheus_config_last_reload_successful") == 1
    assert "renamed" in world.agent.scrape.pools


async def test_a_step_that_fails_half_way_is_taken_back(world, monkeypatch):
    loops = world.loops
    world.job("interval")["scrape_interval"] = "5s"
    world.config["global"]["external_labels"]["cluster"] = "two"
    world.write()
    use, calls = world.agent.discovery._use, []

    def fails_once(*args):
        calls.append(args)
        return use(*args) if len(calls) > 1 else fails()

    monkeypatch.setattr(world.agent.discovery, "_use", fails_once)
    with pytest.raises(ConfigError):
        await world.agent.reload()
    await world.settled()
    assert "'cluster': 'one'" in world.agent.config.text
    assert world.loops.keys() == loops.keys()
    await asyncio.sleep(2 * INTERVAL)
    assert world.server.markers == {}
    assert {dict(series)["cluster"] for series in world.server.taken} == {"one"}
    for samples in world.server.of(job="interval").values():
        assert max(later - at for (at, _), (later, _) in pairwise(samples)) <= INTERVAL * 1000


async def test_reloads_that_come_together_are_few_and_the_last_one_wins(world, monkeypatch):
    loads = []

    def load():
        loads.append(threading.current_thread())
        time.sleep(0.05)
        return load_config(world.file)

    monkeypatch.setattr(world.agent, "_load", load)
    requests = []
    for number in range(20):
        world.config["global"]["external_labels"]["cluster"] = f"c{number}"
        world.write()
        requests.append(asyncio.create_task(world.agent.reload()))
        await asyncio.sleep(0)
    await asyncio.gather(*requests)
    assert 1 <= len(loads) <= 3
    assert threading.main_thread() not in loads
    assert "'cluster': 'c19'" in world.agent.config.text


async def test_a_reload_before_the_start_comes_after_it(tmp_path):
    world, requests = World(tmp_path, EACH), []

    def reload():
        world.config["global"]["external_labels"]["cluster"] = "two"
        world.write()
        requests.append(asyncio.create_task(world.agent.reload()))

    world.on_made = reload
    async with world.running():
        await asyncio.gather(*requests)
        assert "'cluster': 'two'" in world.agent.config.text
        assert world.metric("prometheus_config_last_reload_successful") == 1


async def test_a_reload_while_it_stops_is_ignored(world):
    requests = [asyncio.create_task(world.agent.reload())]
    changed(world)
    world.write()
    world.agent.stop()
    for _ in range(5):
        requests.append(asyncio.create_task(world.agent.reload()))
        await asyncio.sleep(0)
    await asyncio.gather(*requests)
    await asyncio.sleep(5)
    await world.agent.reload()
    assert "renamed" not in world.agent.scrape.pools
    assert "'cluster': 'one'" in world.agent.config.text
    assert world.server.markers == {}


async def test_it_can_be_stopped_in_the_middle_of_a_reload(world, monkeypatch):
    monkeypatch.setattr("promscout.scrape.pool.SLICE_SECONDS", 0)
    changed(world)
    world.write()
    await world.agent.reload()
    assert world.agent.scrape._settling is not None
    world.agent.stop()
    await asyncio.sleep(5)
    assert world.agent.scrape._settling is None


def held():
    """What there is of everything that could leak."""
    for _ in range(3):
        gc.collect()
    kinds = Counter(type(one) for one in gc.get_objects())
    loop = asyncio.get_running_loop()
    return {kind.__name__: kinds[kind] for kind in COUNTED} | {
        "tasks": len(asyncio.all_tasks()),
        "timers": sum(not timer.cancelled() for timer in loop._scheduled),
        "threads": threading.active_count(),
        "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - names, not paths
    }


async def test_a_hundred_reloads_leave_nothing_behind(world):
    async def reload_often(times):
        for number in range(times):
            world.job("interval")["scrape_interval"] = "5s" if number % 2 else f"{INTERVAL}s"
            rule = {"target_label": "env", "replacement": str(number % 3)}
            world.job("rules")["relabel_configs"] = [rule] if number % 3 else []
            world.job("rules")["enable_compression"] = bool(number % 2)
            world.config["scrape_configs"][2]["job_name"] = f"name-{number % 2}"
            world.config["global"]["external_labels"]["cluster"] = str(number % 4)
            selectors = [{"role": "pod", "label": "half=0"}] if number % 2 else []
            world.job("pods")["kubernetes_sd_configs"][0]["selectors"] = selectors
            groups = world.job("list")["static_configs"]
            groups.append(groups.pop(0))
            await world.reload()
            await asyncio.sleep(0.3 if number % 10 else INTERVAL)
        await asyncio.sleep(LINGER + 2 * INTERVAL)

    await reload_often(12)
    before = held()
    await reload_often(96)
    after = held()
    # Requests, connections and cancelled timers, of which asyncio keeps up to a hundred, come and go; what is left
    # behind would be there 96 times.
    for name in ("tasks", "Task", "timers", "TimerHandle", "files"):
        assert after.pop(name) < before.pop(name) + 48, name
    assert {name: (before[name], count) for name, count in after.items() if count > before[name]} == {}
    assert len(world.loops) == 5 * EACH - EACH // 2


async def test_token_files_are_read_again_without_a_reload(tmp_path):
    """By targets, by the receiver, and by the API server."""
    token = tmp_path / "token"
    token.write_text("one\n")
    world = World(tmp_path, EACH, token=token)
    world.server.accepted = {"one"}
    world.cluster.apiserver.token = "one"
    async with world.running():
        for now in ("two", "three"):
            world.server.accepted.add(now)
            token.write_text(f"{now}\n")
            world.cluster.apiserver.token = now
            world.cluster.apiserver.cut_watches()
            await asyncio.sleep(0.5)  # what was sent with the one before is through
            world.server.accepted = {now}
            world.cluster.store.add(pod(f"pod-{now}", "shop", ip="10.1.0.1"))
            await asyncio.sleep(INTERVAL)
        await asyncio.sleep(2 * INTERVAL)  # twice at least, wherever the slot of the last pod is
        assert world.server.refused == []
        assert len(world.loops) == 5 * EACH + 2
        assert world.server.markers == {}
        assert all(len(samples) >= 2 for samples in world.server.of().values())
        assert world.metric("prometheus_target_scrape_pool_reloads_total") == 0
