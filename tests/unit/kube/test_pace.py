from __future__ import annotations

import asyncio

from promscout.kube.pace import FLOOD, GATHER, Pace


async def test_the_first_event_after_quiet_does_not_make_a_watch_busy_but_one_that_follows_closely_does():
    pace = Pace()
    assert not pace.is_busy(100)
    await asyncio.sleep(2 * GATHER + 0.001)
    assert not pace.is_busy(100)
    await asyncio.sleep(GATHER)
    assert pace.is_busy(100)
    await asyncio.sleep(GATHER)
    assert pace.is_busy(100)
    await asyncio.sleep(2 * GATHER + 0.001)
    assert not pace.is_busy(100)


async def test_a_flood_is_not_held_up():
    pace = Pace()
    for _ in range(3):
        assert not pace.is_busy(FLOOD)
    assert pace.is_busy(FLOOD - 1)
