from __future__ import annotations

import asyncio
import itertools

import pytest

from promscout.supervisor import RESTART_DELAY, Supervisor


async def test_leaving_the_context_ends_every_child():
    ended = []

    async def child(name):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(1)
            ended.append(name)

    async with Supervisor("test") as supervisor:
        supervisor.start("a", lambda: child("a"))
        supervisor.start("b", lambda: child("b"))
        await asyncio.sleep(1)
        assert set(supervisor) == {"a", "b"}
    assert sorted(ended) == ["a", "b"]


async def test_a_child_starts_only_after_the_one_before_has_ended():
    log = []

    async def first():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(3)
            log.append("first ended")

    async def second():
        log.append("second started")
        await asyncio.Event().wait()

    async with Supervisor("test") as supervisor:
        supervisor.start("key", first)
        await asyncio.sleep(1)
        supervisor.stop("key")
        supervisor.start("key", second)
        await asyncio.sleep(10)
        assert log == ["first ended", "second started"]


async def test_a_child_of_a_key_that_is_running_cannot_be_started_again():
    async with Supervisor("test") as supervisor:
        supervisor.start("key", asyncio.Event().wait)
        with pytest.raises(RuntimeError, match="already running"):
            supervisor.start("key", asyncio.Event().wait)


async def test_a_failing_child_is_logged_harms_no_other_and_runs_again(caplog):
    runs = []

    async def failing():
        runs.append(asyncio.get_running_loop().time())
        if len(runs) < 3:
            raise ValueError("broken")
        await asyncio.Event().wait()

    async with Supervisor("test") as supervisor:
        supervisor.start("fails", failing)
        supervisor.start("works", asyncio.Event().wait)
        await asyncio.sleep(RESTART_DELAY * 4)
        assert "works" in supervisor
    assert [after - before for before, after in itertools.pairwise(runs)] == [RESTART_DELAY] * 2
    assert [(one.levelname, str(one.exc_info[1])) for one in caplog.records] == [("ERROR", "broken")] * 2


async def test_a_child_that_returns_is_forgotten():
    async def brief():
        await asyncio.sleep(1)

    async with Supervisor("test") as supervisor:
        supervisor.start("key", brief)
        await asyncio.sleep(2)
        assert "key" not in supervisor


async def test_stopping_an_unknown_key_does_nothing():
    async with Supervisor("test") as supervisor:
        supervisor.stop("nobody")
        assert len(supervisor) == 0
