"""What waits on disk: it outlives promscout, however that ends, and trouble with the disk disturbs nothing else."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from contextlib import contextmanager, suppress
from random import Random
from signal import SIGTERM

import pytest

from e2e.counting import account
from e2e.delivering import FLUSH, FULL, SLACK, everything_arrives, scraped, sent
from e2e.promscout_process import Promscout, until
from peers import StrictReceiver

KILLS = 50 if FULL else 8
JUST_DIED = 0.1  # seconds for a target to notice

pytestmark = pytest.mark.timeout(1800 if FULL else 120)


@pytest.fixture
async def receiver(tmp_path):
    async with StrictReceiver(tmp_path) as receiver:
        yield receiver


def killed(*moments):
    """The spans of time in which a sample that a kill may cost was served: also to one that has just died."""
    return [(moment - FLUSH - SLACK, moment + JUST_DIED) for moment in moments]


async def some_scrapes(targets):
    before = {name: len(served) for name, served in targets.served.items()}
    await until(lambda: all(len(targets.served[name]) >= before[name] + 4 for name in before), 10, "scrapes")


async def all_up(agent):
    return {one["health"] for one in await agent.active()} == {"up"}


def segments(data):
    """The segments of the buffer below a data directory, the oldest first."""
    return sorted((data / "remote-write").rglob("*.segment"))


def held(data):
    """Bytes in the buffer."""
    return sum(path.stat().st_size for path in segments(data))


async def is_on_disk(data):
    """Waits until the buffer grows, as it does while a receiver is away."""
    before = held(data)
    await until(lambda: held(data) > before, 10, "samples go to disk")


async def buffer(agent):
    (queue,) = (await agent.get_json("/api/v1/status/remote_write"))["data"]["queues"]
    return queue["buffer"]


async def catches_up(targets, receiver):
    """Waits until nothing is missing but what is new."""

    def is_complete():
        now = time.time()
        return not account(targets, receiver.recorded()).lost_outside([(now - 1, now)])

    await until(is_complete, 20, "what was scraped is delivered")


async def test_a_promscout_killed_at_any_moment_loses_no_more_than_a_flush_interval(receiver, tmp_path):
    random, kills = Random(4), []
    async with scraped(5, 50) as targets, Promscout(tmp_path, sent(targets, receiver, timeout=1)) as agent:
        for _ in range(KILLS):
            weather = random.choice(["fair", "foul", "away"])
            if weather == "foul":
                kinds = ["500", "hang", "take_and_hang", "reset", "reset_body", "slow"]
                await receiver.answer(seed=random.randrange(1000), rate=0.5, kinds=kinds, limit=20)
            elif weather == "away":
                receiver.kill()
            await asyncio.sleep(random.uniform(0.5, 6 if FULL else 2.5))
            agent.kill()
            kills.append(time.time())
            if weather == "away" and random.random() < 0.5:
                await receiver.come_back()
            await agent.come_back()
            if weather == "away":
                await receiver.come_back()
        await receiver.answer()
        result = await everything_arrives(targets, receiver, agent, unless=killed(*kills), again=True)
        assert result.delivered > 5 * KILLS
    ages = [min(kill - at for kill in kills if kill + JUST_DIED >= at) for at in result.lost.values()]
    text = f"{KILLS} kills; the oldest scrape that was lost was {max(ages, default=0):.2f} s old"
    print(text)  # noqa: T201 - pytest shows it, with -s or on failure


async def test_a_stop_while_the_receiver_is_away_loses_nothing(receiver, tmp_path):
    async with scraped(4, 100) as targets, Promscout(tmp_path, sent(targets, receiver)) as agent:
        await some_scrapes(targets)
        receiver.kill()
        for _ in range(2):
            await some_scrapes(targets)
            targets.paused = True
            await asyncio.sleep(0.1)  # what is under way arrives
            agent.signal(SIGTERM)
            assert await agent.exit_code(6) == 0
            targets.paused = False
            await agent.come_back()
        await some_scrapes(targets)
        await receiver.come_back()
        await everything_arrives(targets, receiver, agent)


@pytest.mark.parametrize("trouble", ["vanishes", "is a file"])
async def test_a_directory_that_is_gone_disturbs_nothing_and_is_made_again(receiver, tmp_path, trouble):
    async with scraped(4, 100) as targets, Promscout(tmp_path, sent(targets, receiver)) as agent:
        await some_scrapes(targets)
        data = agent.directory / "data"
        receiver.kill()
        await is_on_disk(data)
        shutil.rmtree(data / "remote-write")
        if trouble == "is a file":
            (data / "remote-write").touch()
            await until(lambda: "error" in agent.log() or "warning" in agent.log(), 10, "it says so")
        await some_scrapes(targets)
        assert await all_up(agent)
        if trouble == "is a file":
            assert (await buffer(agent))["error"]
            (data / "remote-write").unlink()
        await is_on_disk(data)
        await receiver.come_back()
        # What was on disk only is gone with it, and nothing of it was: memory has room.
        await catches_up(targets, receiver)
        receiver.kill()
        await some_scrapes(targets)
        await asyncio.sleep(FLUSH + SLACK)
        agent.kill()
        kill = time.time()
        await receiver.come_back()
        await agent.come_back()
        await everything_arrives(targets, receiver, agent, unless=killed(kill), again=True)


@contextmanager
def small_disk(directory, size):
    """A file system of so many bytes. Skips the test where none can be mounted."""
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no small disk: {mounted.stderr.decode().strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True)


def fill(path):
    """A file that takes all space that is left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


async def test_a_full_disk_disturbs_nothing_and_is_used_again_when_there_is_room(receiver, tmp_path):
    data = tmp_path / "small"
    with small_disk(data, 8 << 20):
        async with (
            scraped(4, 100) as targets,
            Promscout(tmp_path, sent(targets, receiver), f"--data-dir={data}") as agent,
        ):
            await some_scrapes(targets)
            receiver.kill()
            await is_on_disk(data)
            fill(data / "filler")

            async def is_said():
                return (await buffer(agent))["error"]

            await until(is_said, 10, "the status says that the disk is full")
            await some_scrapes(targets)
            assert await all_up(agent)
            assert "Healthy" in await agent.request("GET", "/-/healthy")
            await receiver.come_back()
            # Directly, from memory: the disk is as full as before.
            await catches_up(targets, receiver)
            receiver.kill()
            (data / "filler").unlink()
            await is_on_disk(data)
            assert not await is_said()
            await asyncio.sleep(FLUSH + SLACK)
            agent.kill()
            kill = time.time()
            await receiver.come_back()
            await agent.come_back()
            await everything_arrives(targets, receiver, agent, unless=killed(kill), again=True)


@pytest.mark.parametrize("damage", ["changed", "cut off"])
async def test_damaged_segments_cost_no_more_than_what_they_hold(receiver, tmp_path, damage):
    async with scraped(4, 100) as targets, Promscout(tmp_path, sent(targets, receiver)) as agent:
        await some_scrapes(targets)
        data = agent.directory / "data"
        receiver.kill()
        away = time.time()
        await asyncio.sleep(3 * FLUSH)
        agent.signal(SIGTERM)
        assert await agent.exit_code(6) == 0
        stopped = time.time()
        largest = max(segments(data), key=lambda path: path.stat().st_size)
        content = bytearray(largest.read_bytes())
        place = len(content) * 3 // 4
        content[place] ^= 0xFF
        largest.write_bytes(content if damage == "changed" else content[:place])
        await receiver.come_back()
        await agent.come_back()
        await some_scrapes(targets)
        assert await all_up(agent)
        assert largest.name in agent.log(), "it reports where"
        result = await everything_arrives(targets, receiver, agent, unless=[(away - FLUSH, stopped)], again=True)
        waited = [at for served in targets.served.values() for at in served if away <= at <= stopped]
        lost = [at for at in result.lost.values() if away <= at <= stopped]
        assert 0 < len(lost) < len(waited), "some of it is lost, and only some"
