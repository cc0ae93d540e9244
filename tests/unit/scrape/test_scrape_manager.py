"""Jobs and their pools: what a new configuration makes of them, and how large changes are carried out."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from promscout.model.duration import Duration
from promscout.model.group import TargetGroup
from promscout.relabel.config import RelabelConfig
from promscout.scrape.manager import ScrapeManager
from unit.scrape.fakes import STALE, FakeTransport, Recorder, config, context

ENV = RelabelConfig(target_label="env", replacement="x")


def groups(count, each=1):
    """``count`` groups of ``each`` targets."""
    hosts = ([{"__address__": f"h{number}-{one}"} for one in range(each)] for number in range(count))
    return {("p", str(number)): TargetGroup.of(str(number), targets) for number, targets in enumerate(hosts)}


class Running:
    """A manager with fakes around it, which takes the changes that a test puts into a queue."""

    def __init__(self, clock):
        self.recorder = Recorder()
        self.changes = asyncio.Queue()
        self.manager = ScrapeManager(context(self.recorder, clock, lambda _: FakeTransport("a 1\n")))

    @property
    def loops(self):
        return {
            (job, target.labels): active.loop
            for job, pool in self.manager.pools.items()
            for target, active in pool.active.items()
            if active.places
        }

    async def settled(self):
        """Waits until nothing is left to do; how many turns others had meanwhile."""
        turns = 0
        while self.manager._settling is not None or not self.changes.empty() or not turns:
            turns += 1
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return turns

    async def scraped(self, scrapes=1):
        async with asyncio.timeout(1000):
            while min(loop.scrapes for loop in self.loops.values()) < scrapes:  # noqa: ASYNC110 - no event is set
                await asyncio.sleep(0.5)


@asynccontextmanager
async def running(clock, *configs):
    it = Running(clock)
    async with it.manager:
        it.manager.apply_config(configs)
        task = asyncio.create_task(it.manager.run(it.changes.get))
        yield it
        task.cancel()


@pytest.fixture
def sliced(monkeypatch):
    """Every slice is one step."""
    monkeypatch.setattr("promscout.scrape.pool.SLICE_SECONDS", 0)


@pytest.mark.usefixtures("sliced")
async def test_a_large_sync_and_a_reload_leave_room_for_others(clock):
    async with running(clock, config()) as it:
        it.changes.put_nowait({"j": groups(2, each=500)})
        assert await it.settled() > 1000
        assert len(it.loops) == 1000
        await it.scraped()
        before = it.loops
        it.manager.apply_config([config(scrape_interval=Duration(20))])
        assert await it.settled() > 1000
        assert it.loops.keys() == before.keys()
    assert it.recorder.names(STALE) == []


@pytest.mark.usefixtures("sliced")
async def test_changes_that_come_during_a_reload_are_not_lost(clock):
    async with running(clock, config()) as it:
        it.changes.put_nowait({"j": groups(40)})
        await it.settled()
        await it.scraped()
        it.manager.apply_config([config(relabel_configs=(ENV,))])
        for number in range(10):
            await asyncio.sleep(0)
            it.changes.put_nowait({"j": {("p", str(4 * number)): TargetGroup(str(4 * number))}})
        it.manager.apply_config([config(scrape_interval=Duration(20), relabel_configs=(ENV,))])
        await it.settled()
        assert len(it.loops) == 30
        assert {dict(labels)["env"] for _, labels in it.loops} == {"x"}
        await it.scraped()
        ups = [dict(labels)["instance"] for labels, _, value in it.recorder.samples if value == 1]
        assert len(set(ups)) == 40


async def test_a_job_that_comes_back_before_its_predecessor_has_ended_starts_after_its_markers(clock, monkeypatch):
    monkeypatch.setattr("promscout.scrape.pool.SLICE_SECONDS", 0)
    async with running(clock, config()) as it:
        it.changes.put_nowait({"j": groups(50)})
        await it.settled()
        await it.scraped()
        it.manager.apply_config([])
        await asyncio.sleep(0)
        it.manager.apply_config([config()])
        it.changes.put_nowait({"j": groups(50)})
        await it.settled()
        await it.scraped()
        for number in range(50):
            assert [value for _, value in it.recorder.of("up", instance=f"h{number}-0")] == [1, STALE, 1]


async def test_a_renamed_job_turns_stale_and_starts_anew(clock):
    async with running(clock, config(job_name="old")) as it:
        it.changes.put_nowait({"old": groups(3)})
        await it.settled()
        await it.scraped()
        it.manager.apply_config([config(job_name="new")])
        it.changes.put_nowait({"new": groups(3)})
        await it.settled()
        await it.scraped()
        assert [value for _, value in it.recorder.of("up", job="old")] == [1, 1, 1, STALE, STALE, STALE]
        assert [value for _, value in it.recorder.of("up", job="new")] == [1, 1, 1]


async def test_what_cannot_be_prepared_changes_nothing(clock):
    async with running(clock, config(job_name="a"), config(job_name="b")) as it:
        it.changes.put_nowait({"a": groups(3), "b": groups(3)})
        await it.settled()
        pools, loops, setups = dict(it.manager.pools), it.loops, [pool.setup for pool in it.manager.pools.values()]
        object.__setattr__(it.manager._context, "transport", _refuse)
        with pytest.raises(OSError, match="no"):
            it.manager.apply_config([config(job_name="b", scrape_interval=Duration(20)), config(job_name="c")])
        await it.settled()
        assert it.manager.pools == pools
        assert [pool.setup for pool in it.manager.pools.values()] == setups
        await it.scraped()
        assert it.loops == loops
        assert it.recorder.names(STALE) == []


def _refuse(_):
    raise OSError("no")
