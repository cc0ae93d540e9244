"""What fails between promscout and a receiver, and that each sample arrives once and in order all the same."""

from __future__ import annotations

import asyncio

import pytest

from e2e.delivering import FULL, INTERVAL, everything_arrives, scraped, sent
from e2e.promscout_process import Promscout, until
from peers import StrictReceiver

OUTAGE = 600 if FULL else 4  # seconds

pytestmark = pytest.mark.timeout(1800 if FULL else 120)


@pytest.fixture
async def receiver(tmp_path):
    async with StrictReceiver(tmp_path) as receiver:
        yield receiver


async def test_a_receiver_killed_under_50_000_samples_a_second_gets_each_sample(receiver, tmp_path):
    async with scraped(25, 500) as targets, Promscout(tmp_path, sent(targets, receiver)) as agent:
        for number in range(10 if FULL else 3):
            await asyncio.sleep(1.5 + 0.1 * number)
            receiver.kill()
            await asyncio.sleep(0.3 * number)
            await receiver.come_back()
        await asyncio.sleep(1)
        result = await everything_arrives(targets, receiver, agent)
        assert result.delivered > 25 * 20


async def test_an_outage_loses_nothing(receiver, tmp_path):
    async with scraped(4, 100) as targets, Promscout(tmp_path, sent(targets, receiver)) as agent:
        await until(lambda: min(map(len, targets.served.values())) >= 4, 10, "scrapes")
        receiver.kill()
        await asyncio.sleep(OUTAGE)
        assert {one["health"] for one in await agent.active()} == {"up"}
        await receiver.come_back()
        result = await everything_arrives(targets, receiver, agent)
        assert result.delivered > 4 * OUTAGE / INTERVAL


@pytest.mark.parametrize("seed", range(1, 21 if FULL else 3))
async def test_whatever_a_receiver_answers_each_sample_is_taken_once_or_refused(receiver, tmp_path, seed):
    kinds = ["500", "503", "429", "400", "hang", "take_and_hang", "reset_body", "reset_answer", "reset", "slow"]
    await receiver.answer(seed=seed, rate=0.4, kinds=kinds, limit=60, retry_after="1", delay=0.5)
    queue = {"max_samples_per_send": 100, "max_shards": 4, "timeout": 1}
    async with scraped(4, 120) as targets, Promscout(tmp_path, sent(targets, receiver, **queue)) as agent:
        await asyncio.sleep(30 if FULL else 5)
        dealt = (await receiver.report())["faults"]
        await receiver.answer()
        result = await everything_arrives(targets, receiver, agent, again=True, refused=True)
        assert result.delivered > 4 * 8
        assert sum(dealt.values()) > 5
        assert ("status 400: refused on purpose with 400" in agent.log()) == ("400" in dealt)


async def test_a_reload_while_the_receiver_is_away_loses_nothing(receiver, tmp_path):
    async with scraped(4, 100) as targets, Promscout(tmp_path, sent(targets, receiver)) as agent:
        await until(lambda: min(map(len, targets.served.values())) >= 4, 10, "scrapes")
        receiver.kill()
        await asyncio.sleep(2)
        for number in range(3):
            await agent.reload(sent(targets, receiver, max_samples_per_send=150 + number))
            await asyncio.sleep(0.7)
        await receiver.come_back()
        await everything_arrives(targets, receiver, agent)
