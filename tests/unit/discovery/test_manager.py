from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

import pytest
from prometheus_client import CollectorRegistry

from promscout.discovery.config import StaticConfig, StaticSDConfig
from promscout.discovery.manager import HANDOVER_SECONDS, DiscoveryManager
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.discovery.static import StaticDiscoverer
from promscout.model.frozendict import FrozenDict
from promscout.model.group import TargetGroup


@dataclass(frozen=True)
class ScriptedConfig:
    """A mechanism whose groups the test publishes."""

    name: str
    mechanism: ClassVar[str] = "scripted"


class Scripted:
    """All discoverers that the manager made, by config, and what became of them."""

    def __init__(self):
        self.publish = {}
        self.made = []
        self.ended = []

    def __call__(self, config):
        self.made.append(config.name)
        scripted = self

        class Discoverer:
            async def run(self, publish):
                scripted.publish[config.name] = publish
                try:
                    await asyncio.Event().wait()
                finally:
                    scripted.ended.append(config.name)

        return Discoverer()


def _group(source, *addresses):
    return TargetGroup.of(source, ({"__address__": address} for address in addresses))


A, B = ScriptedConfig("a"), ScriptedConfig("b")


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def scripted():
    return Scripted()


@pytest.fixture
async def manager(scripted, registry):
    factories = {ScriptedConfig: scripted, StaticSDConfig: StaticDiscoverer}
    async with DiscoveryManager(factories, DiscoveryMetrics(registry)) as manager:
        yield manager


async def _next(manager):
    """The next change by job and source, without provider names."""
    async with asyncio.timeout(10):
        change = await manager.receive()
    return {job: {source: group for (_, source), group in groups.items()} for job, groups in change.items()}


async def _nothing(manager):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10):
            pytest.fail(f"received {await manager.receive()}")


async def test_jobs_with_equal_configs_share_one_provider_and_both_hear_of_changes(manager, scripted):
    manager.apply_config({"one": [A], "two": [ScriptedConfig("a")]})
    await asyncio.sleep(0)
    assert scripted.made == ["a"]
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    assert await _next(manager) == {job: {"s": _group("s", "127.0.0.1:1")} for job in ("one", "two")}


async def test_a_provider_that_is_still_wanted_runs_on_over_a_reload(manager, scripted):
    manager.apply_config({"one": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    await _next(manager)
    manager.apply_config({"one": [A], "two": [B]})
    await asyncio.sleep(0)
    assert scripted.made == ["a", "b"]
    assert scripted.ended == []
    await _nothing(manager)


async def test_a_job_new_to_a_running_provider_gets_all_its_groups_at_once(manager, scripted):
    manager.apply_config({"one": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1"), _group("t", "127.0.0.1:2")])
    await _next(manager)
    manager.apply_config({"one": [A], "two": [A]})
    assert await _next(manager) == {"two": {"s": _group("s", "127.0.0.1:1"), "t": _group("t", "127.0.0.1:2")}}


async def test_a_provider_nobody_wants_is_stopped_and_its_groups_are_deleted(manager, scripted):
    manager.apply_config({"one": [A, B]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    scripted.publish["b"]([])
    await _next(manager)
    manager.apply_config({"one": [B]})
    assert await _next(manager) == {"one": {"s": TargetGroup("s")}}
    assert scripted.ended == ["a"]


async def test_groups_of_a_replaced_provider_stay_until_the_new_one_has_found_its_own(manager, scripted):
    manager.apply_config({"one": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1"), _group("t", "127.0.0.1:2")])
    await _next(manager)
    manager.apply_config({"one": [B]})
    await _nothing(manager)
    assert scripted.ended == ["a"]
    scripted.publish["b"]([_group("new", "127.0.0.1:1")])
    change = (await manager.receive())["one"]
    assert sorted((provider, group.source, group.is_empty) for (provider, _), group in change.items()) == [
        ("scripted/0", "s", True),
        ("scripted/0", "t", True),
        ("scripted/1", "new", False),
    ]


async def test_groups_of_a_replaced_provider_go_in_the_end_when_the_new_one_finds_nothing_out(manager, scripted):
    manager.apply_config({"one": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    await _next(manager)
    manager.apply_config({"one": [B]})
    began = asyncio.get_running_loop().time()
    assert (await manager.receive())["one"] == {("scripted/0", "s"): TargetGroup("s")}
    assert asyncio.get_running_loop().time() - began == pytest.approx(HANDOVER_SECONDS)


async def test_a_second_reload_while_groups_are_handed_over_loses_none_of_them(manager, scripted):
    manager.apply_config({"one": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    await _next(manager)
    manager.apply_config({"one": [B]})
    manager.apply_config({"one": [ScriptedConfig("c")]})
    await _nothing(manager)
    scripted.publish["c"]([])
    assert await _next(manager) == {"one": {"s": TargetGroup("s")}}


async def test_a_reload_that_is_taken_back_while_groups_are_handed_over_leaves_all_of_them(manager, scripted):
    manager.apply_config({"one": [A], "keeps it running": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1"), _group("t", "127.0.0.1:2")])
    await _next(manager)
    manager.apply_config({"one": [B], "keeps it running": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([TargetGroup("t")])
    await _next(manager)
    manager.apply_config({"one": [A], "keeps it running": [A]})
    assert await _next(manager) == {"one": {"s": _group("s", "127.0.0.1:1"), "t": TargetGroup("t")}}
    await _nothing(manager)


async def test_a_job_that_ends_while_its_groups_are_handed_over_leaves_nothing(manager, scripted):
    manager.apply_config({"one": [A], "two": []})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    await _next(manager)
    manager.apply_config({"one": [B], "two": []})
    manager.apply_config({"two": []})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2 * HANDOVER_SECONDS):
            pytest.fail(f"received {await manager.receive()}")


async def test_a_job_that_loses_a_provider_which_another_keeps_gets_deletions(manager, scripted):
    manager.apply_config({"one": [A], "two": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    await _next(manager)
    manager.apply_config({"one": [A], "two": []})
    assert await _next(manager) == {"two": {"s": TargetGroup("s")}}
    assert scripted.ended == []


async def test_equal_groups_go_no_further(manager, scripted):
    manager.apply_config({"one": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    await _next(manager)
    scripted.publish["a"]([_group("s", "127.0.0.1:1"), TargetGroup("never seen")])
    await _nothing(manager)


async def test_a_first_publication_of_nothing_is_passed_on(manager, scripted):
    manager.apply_config({"one": [A]})
    await asyncio.sleep(0)
    assert not manager.providers[0].synced
    scripted.publish["a"]([])
    assert await _next(manager) == {"one": {}}
    assert manager.providers[0].synced


async def test_discovered_targets_are_counted_per_job_and_forgotten_with_it(manager, scripted, registry):
    def count(job):
        return registry.get_sample_value("prometheus_sd_discovered_targets", {"name": "scrape", "config": job})

    manager.apply_config({"one": [A, B], "two": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1", "127.0.0.1:2")])
    scripted.publish["b"]([_group("s", "127.0.0.1:3")])
    assert (count("one"), count("two")) == (3, 2)
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    assert (count("one"), count("two")) == (2, 1)
    manager.apply_config({"one": [B]})
    assert (count("one"), count("two")) == (1, None)


async def test_static_configs_become_groups_named_by_their_position(manager):
    config = StaticSDConfig(
        groups=(
            StaticConfig(targets=("127.0.0.1:1", "127.0.0.1:2"), labels=FrozenDict({"env": "test"})),
            StaticConfig(targets=("127.0.0.1:3",)),
        )
    )
    manager.apply_config({"one": [config]})
    assert await _next(manager) == {
        "one": {
            "0": TargetGroup.of("0", ({"__address__": "127.0.0.1:1"}, {"__address__": "127.0.0.1:2"}), {"env": "test"}),
            "1": TargetGroup.of("1", ({"__address__": "127.0.0.1:3"},)),
        }
    }


async def test_a_discoverer_that_failed_and_runs_again_replaces_what_it_had_found(registry):
    class Failing:
        runs = 0

        async def run(self, publish):
            self.runs += 1
            publish([_group("gone", "127.0.0.1:1"), _group("stays", "127.0.0.1:2")] if self.runs == 1 else [])
            if self.runs == 2:
                publish([_group("new", "127.0.0.1:3")])
                publish([_group("stays", "127.0.0.1:2")])
                await asyncio.Event().wait()
            await asyncio.sleep(1)
            raise ValueError("a bug")

    failing = Failing()
    async with DiscoveryManager({ScriptedConfig: lambda _: failing}, DiscoveryMetrics(registry)) as manager:
        manager.apply_config({"job": [A]})
        assert (await _next(manager))["job"].keys() == {"gone", "stays"}
        assert await _next(manager) == {
            "job": {
                "gone": _group("gone"),
                "new": _group("new", "127.0.0.1:3"),
                "stays": _group("stays", "127.0.0.1:2"),
            }
        }
        assert registry.get_sample_value("prometheus_sd_discovered_targets", {"name": "scrape", "config": "job"}) == 2


async def test_a_provider_is_awaited_until_the_consumer_has_taken_over_its_first_groups(manager, scripted):
    manager.apply_config({"one": [A, B], "nothing": []})
    await asyncio.sleep(0)
    assert manager.awaited("one") == ("scripted/0", "scripted/1")
    assert manager.awaited("nothing") == manager.awaited("unknown") == ()
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    await _next(manager)
    assert manager.awaited("one") == ("scripted/0", "scripted/1")
    await _nothing(manager)
    assert manager.awaited("one") == ("scripted/1",)
    scripted.publish["b"]([])
    await _next(manager)
    await _nothing(manager)
    assert manager.awaited("one") == ()
    scripted.publish["a"]([TargetGroup("s")])
    await _next(manager)
    assert manager.awaited("one") == ()


async def test_a_job_awaits_what_a_reload_adds_and_nothing_that_it_takes_away(manager, scripted):
    manager.apply_config({"one": [A], "two": [B]})
    await asyncio.sleep(0)
    for name in ("a", "b"):
        scripted.publish[name]([_group("s", "127.0.0.1:1")])
    await _next(manager)
    await _nothing(manager)
    new = ScriptedConfig("new")
    manager.apply_config({"one": [A, B, new], "two": [B]})
    assert manager.awaited("one") == ("scripted/1", "scripted/2")
    assert manager.awaited("two") == ()
    await _next(manager)
    await _nothing(manager)
    assert manager.awaited("one") == ("scripted/2",)
    manager.apply_config({"one": [A], "two": [B]})
    assert manager.awaited("one") == ()


async def test_groups_that_were_handed_out_before_a_job_left_and_came_back_do_not_count(manager, scripted):
    manager.apply_config({"one": [A], "keeps it running": [A]})
    await asyncio.sleep(0)
    scripted.publish["a"]([_group("s", "127.0.0.1:1")])
    await manager.receive()
    for jobs in ({"keeps it running": [A]}, {"one": [A], "keeps it running": [A]}):
        manager.apply_config(jobs)
    assert manager.awaited("one") == ("scripted/0",)
    assert (await _next(manager)).keys() == {"one"}
    assert manager.awaited("one") == ("scripted/0",)
    await _nothing(manager)
    assert manager.awaited("one") == ()
