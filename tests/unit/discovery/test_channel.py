from __future__ import annotations

import asyncio
import itertools

import pytest

from promscout.discovery.channel import ChangeChannel
from promscout.model.group import TargetGroup


def _group(source, address="127.0.0.1:1"):
    return {("p/0", source): TargetGroup.of(source, ({"__address__": address},))}


async def _received_after(channel):
    loop = asyncio.get_running_loop()
    started = loop.time()
    change = await channel.receive()
    return change, loop.time() - started


async def test_the_first_change_after_quiet_goes_out_at_once():
    channel = ChangeChannel(interval=1)
    for _ in range(2):
        channel.put("job", _group("a"))
        change, waited = await _received_after(channel)
        assert change == {"job": _group("a")}
        assert waited == 0
        await asyncio.sleep(1)


async def test_under_churn_a_job_is_received_at_most_once_per_interval():
    channel = ChangeChannel(interval=1)

    async def churn():
        for step in range(40):
            channel.put("job", _group(f"s{step}"))
            await asyncio.sleep(0.1)

    times = []
    loop = asyncio.get_running_loop()
    churning = asyncio.create_task(churn())
    got = {}
    while len(got) < 40:
        got |= (await channel.receive())["job"]
        times.append(loop.time())
    await churning
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert all(gap == pytest.approx(1) for gap in gaps)
    assert len(times) == 5


async def test_of_several_changes_of_a_group_a_late_consumer_gets_the_last():
    channel = ChangeChannel(interval=1)
    channel.put("job", _group("a", "127.0.0.1:1"))
    channel.put("job", _group("b"))
    channel.put("job", {("p/0", "a"): TargetGroup("a")})
    assert await channel.receive() == {"job": {("p/0", "a"): TargetGroup("a"), **_group("b")}}


async def test_one_jobs_churn_does_not_delay_another_job():
    channel = ChangeChannel(interval=1)
    channel.put("busy", _group("a"))
    await channel.receive()
    channel.put("busy", _group("b"))
    channel.put("quiet", _group("c"))
    change, waited = await _received_after(channel)
    assert (change, waited) == ({"quiet": _group("c")}, 0)
    change, waited = await _received_after(channel)
    assert change == {"busy": _group("b")}
    assert waited == pytest.approx(1)


async def test_a_change_for_another_job_wakes_a_waiting_consumer():
    channel = ChangeChannel(interval=10)
    channel.put("busy", _group("a"))
    await channel.receive()
    channel.put("busy", _group("b"))
    receiving = asyncio.create_task(_received_after(channel))
    await asyncio.sleep(2)
    channel.put("quiet", _group("c"))
    change, waited = await receiving
    assert change == {"quiet": _group("c")}
    assert waited == pytest.approx(2)


async def test_changes_of_a_forgotten_job_are_not_received():
    channel = ChangeChannel(interval=1)
    channel.put("gone", _group("a"))
    channel.put("job", _group("b"))
    channel.forget("gone")
    assert await channel.receive() == {"job": _group("b")}
