"""How many targets are up, told by the loops themselves."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.virtual_time import VirtualClock, VirtualTimeLoop
from promscout.scrape.transport import FetchFailed
from unit.scrape.fakes import config
from unit.scrape.test_scrape_pool import GONE, KEY, OTHER, RENAME, drop, group, running


def counted(it):
    """Up, down and unknown as the pool's tally has them."""
    health = it.pool.health
    return health.up, health.down, health.unknown


def looked_at(it):
    """The same, found out by looking at every target."""
    lasts = [active.loop.last for active in it.pool.active.values()]
    known = [last for last in lasts if last is not None]
    up = sum(last.up for last in known)
    return up, len(known) - up, len(lasts) - len(known)


async def test_a_target_is_unknown_until_its_first_scrape_and_then_up_or_down(clock):
    async with running(clock) as it:
        it.transports[0].bodies = ["a 1\n", FetchFailed("no answer"), "a 1\n"]
        it.pool.sync({KEY: group("a")})
        assert counted(it) == (0, 0, 1)
        for scrapes, expected in ((1, (1, 0, 0)), (2, (0, 1, 0)), (3, (1, 0, 0))):
            await it.scraped(scrapes)
            assert counted(it) == expected


async def test_targets_that_go_count_no_more_also_while_their_last_scrape_is_under_way(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "b")})
        await it.scraped()
        it.transports[0].bodies = [3.0]
        await it.until(lambda: it.under_way)
        it.pool.sync({KEY: GONE})
        assert counted(it) == (0, 0, 0)
        await it.until(lambda: not it.under_way)
        assert counted(it) == (0, 0, 0)


async def test_the_counts_go_on_under_another_configuration_and_end_with_the_pool(clock):
    async with running(clock) as it:
        it.pool.sync({KEY: group("a", "b"), OTHER: group("c")})
        await it.scraped()
        it.pool.reload(config(relabel_configs=(RENAME,)))
        it.pool.reload(config(relabel_configs=(drop("a"),)))
        await it.until(lambda: not it.under_way and counted(it) == looked_at(it))
        assert sum(counted(it)) == 2
    assert counted(it) == (0, 0, 0)


SYNCS = st.builds(
    lambda key, addresses, label: {key: group(*addresses, label=label)},
    st.sampled_from([KEY, OTHER]),
    st.lists(st.sampled_from("abcd"), max_size=4, unique=True),
    st.sampled_from(["1", "2"]),
)
RULES = st.sampled_from([(), (RENAME,), (drop("a"),)])
STEPS = st.lists(st.one_of(SYNCS, st.integers(0, 25), RULES), max_size=12)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_happens_the_counts_are_what_looking_at_every_target_finds(steps):
    async def run():
        async with running(VirtualClock()) as it:
            it.transports[0].bodies = ["a 1\n", FetchFailed("no answer"), 1.0, "a 1\n"] * 50
            for step in steps:
                if isinstance(step, int):
                    await asyncio.sleep(step)
                elif isinstance(step, dict):
                    it.pool.sync(step)
                else:
                    it.pool.reload(config(relabel_configs=step))
            # A loop that comes in place of another counts once the last scrape of that one has ended.
            await it.until(lambda: not it.under_way and not it.pool._handover._ending)
            assert counted(it) == looked_at(it)
        assert counted(it) == (0, 0, 0)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
