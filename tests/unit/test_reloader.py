from __future__ import annotations

import asyncio

import pytest

from promscout.errors import ConfigError, Problem
from promscout.reloader import Reloader

REFUSED = ConfigError((Problem("f", 0, 0, "", "no"),))


class Reload:
    """Takes a second, or raises what ``outcomes`` has for it."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.began = []
        self.at_once = 0

    async def __call__(self):
        self.began.append(asyncio.get_running_loop().time())
        self.at_once += 1
        assert self.at_once == 1
        await asyncio.sleep(1)
        self.at_once -= 1
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome


async def asked(reloader, *, after=0.0):
    await asyncio.sleep(after)
    return await reloader.request()


async def test_requests_at_one_time_are_one_reload():
    reload = Reload()
    reloader = Reloader(reload)
    await asyncio.gather(*(reloader.request() for _ in range(10)))
    assert reload.began == [0]


async def test_requests_that_come_while_one_is_under_way_share_the_next():
    reload = Reload()
    reloader = Reloader(reload)
    await asyncio.gather(*(asked(reloader, after=after) for after in (0, 0.1, 0.2, 0.9, 1.5, 1.6, 10)))
    assert reload.began == [0, 1, 2, 10]


async def test_each_learns_what_became_of_the_reload_that_it_asked_for():
    reloader = Reloader(Reload(REFUSED, None, REFUSED))
    found = await asyncio.gather(
        *(asked(reloader, after=after) for after in (0, 0, 0.1, 0.1, 1.5, 1.5)), return_exceptions=True
    )
    assert found == [REFUSED, REFUSED, None, None, REFUSED, REFUSED]


async def test_who_stops_waiting_leaves_the_reload_alone():
    reload = Reload(REFUSED)
    reloader = Reloader(reload)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await reloader.request()
    await reloader.wait()
    assert asyncio.get_running_loop().time() == 1
    await reloader.request()
    assert reload.began == [0, 1]


async def test_waiting_ends_with_the_last_reload_that_was_asked_for():
    reloader = Reloader(Reload())
    await reloader.wait()
    requests = [asyncio.create_task(asked(reloader, after=after)) for after in (0, 0.5)]
    await asyncio.sleep(0.6)
    await reloader.wait()
    assert asyncio.get_running_loop().time() == 2
    await asyncio.gather(*requests)
