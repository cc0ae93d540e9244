"""The disk side of a queue in virtual time: crashes, disks that fail, and what is delivered all the same."""

import asyncio
import random
from collections import defaultdict
from concurrent.futures import Executor, Future
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest

from promscout.httpclient.secret import URL
from promscout.model.duration import Duration
from promscout.write.config import QueueConfig, RemoteWriteConfig
from promscout.write.delivery import RemoteWriteQueue
from promscout.write.sender import Reject, Retry, Sent
from promscout.write.spool import Buffer, Spool
from unit.write.fake_receiver import FakeReceiver, Target
from unit.write.write_wire import decode_request

FLUSH = 1.0


class NoThread(Executor):
    """Does all work at once, until ``crashed``: then none at all."""

    def __init__(self, name):
        self.crashed = False

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        try:
            if self.crashed:
                raise OSError("the machine is down")
            future.set_result(fn(*args, **kwargs))
        except OSError as error:
            future.set_exception(error)
        return future

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.crashed = True


class Machine:
    """Where a queue runs, which may crash: what it has on disk is what the next one finds."""

    def __init__(self, clock, directory, **options):
        self.clock = clock
        self.directory = directory
        self.config = RemoteWriteConfig(url=URL.parse("http://127.0.0.1:9/write"), queue_config=QueueConfig(**options))
        self.threads = []

    def _thread(self, name):
        self.threads.append(NoThread(name))
        return self.threads[-1]

    def boot(self):
        buffer = Buffer(self.directory, make_thread=self._thread)
        return RemoteWriteQueue("r", self.config, {}, self.clock, lambda _: None, buffer=buffer)

    @asynccontextmanager
    async def running(self, receiver, *, crash=False):
        queue = self.boot()
        task = asyncio.create_task(queue.run(receiver))
        try:
            yield queue
        finally:
            if crash:
                self.threads[-1].crashed = True
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            else:
                queue.close()
                await task


def files(directory):
    return sum(path.stat().st_size for path in directory.glob("*.segment"))


async def test_a_disk_that_works_again_is_written_in_time_again(clock, tmp_path):
    directory = tmp_path / "buffer"
    directory.touch()
    machine, receiver, target = Machine(clock, directory), FakeReceiver(), Target(1)
    receiver.answer = lambda: Retry("away")
    async with machine.running(receiver) as queue:
        queue.append(target.batch(clock.now_ms()))
        await asyncio.sleep(FLUSH)
        assert queue.status().buffer.error == "File exists"
        directory.unlink()
        await asyncio.sleep(5)
        for _ in range(20):
            before = files(directory)
            assert queue.status().buffer.error == ""
            queue.append(target.batch(clock.now_ms()))
            await asyncio.sleep(FLUSH + 0.001)
            assert files(directory) > before


async def test_a_disk_that_does_not_answer_holds_nothing_up_and_is_told(clock, tmp_path, caplog, monkeypatch):
    machine, receiver, target = Machine(clock, tmp_path, max_samples_per_send=1), FakeReceiver(), Target(1)
    receiver.answer = lambda: Retry("away")
    queue = machine.boot()
    task = asyncio.create_task(queue.run(receiver))
    await asyncio.sleep(3 * FLUSH)
    answered = asyncio.Event()
    # Not in a thread: time would not go on before it has ended.
    monkeypatch.setattr(Spool, "_do", lambda self, work: answered.wait())
    for _ in range(10):
        queue.append(target.batch(clock.now_ms()))
        await asyncio.sleep(1)
    assert queue.status().buffer.error == "the disk has not answered for 5 s"
    messages = [one.message for one in caplog.records]
    assert messages[1:] == ["samples that wait cannot be kept on disk, they wait in memory"]
    receiver.answer = Sent
    await asyncio.sleep(20)
    assert receiver.values() == [float(number) for number in range(1, 11)]
    queue.close()
    await asyncio.wait_for(task, 5)


async def test_a_slow_disk_delays_no_sample_and_has_what_waits_in_the_end(clock, tmp_path, monkeypatch):
    machine, receiver, target = Machine(clock, tmp_path, max_samples_per_send=1), FakeReceiver(), Target(1)
    quick = Spool._do

    async def slow(self, work):
        await asyncio.sleep(3)
        return await quick(self, work)

    async with machine.running(receiver) as queue:
        await asyncio.sleep(FLUSH)
        monkeypatch.setattr(Spool, "_do", slow)
        for number in range(1, 11):
            queue.append(target.batch(clock.now_ms()))
            await asyncio.sleep(0.5)
            assert receiver.values()[-1] == number
        receiver.answer = lambda: Retry("away")
        queue.append(target.batch(clock.now_ms()))
        await asyncio.sleep(8)
        assert queue.status().buffer.error == ""
        assert files(tmp_path) > 0
        monkeypatch.undo()
    receiver.answer = Sent
    async with machine.running(receiver) as queue:
        await settled(queue)
    assert receiver.values() == [float(number) for number in range(1, 12)]


class Transactional(FakeReceiver):
    """Refuses a request as a whole if it has one sample of all those already, as receivers of 1.0 may."""

    async def send(self, request, attempt):
        taken = {(labels, stamp) for labels, samples in self.samples.items() for _, stamp in samples}
        asked = {(labels, stamp) for labels, samples in decode_request(request.body) for _, stamp in samples}
        if taken & asked:
            return Reject("status 400: out of order")
        return await super().send(request, attempt)


async def test_what_the_receiver_has_already_costs_no_other_sample_after_a_crash(clock, tmp_path):
    machine, receiver = Machine(clock, tmp_path, max_samples_per_send=100), Transactional()
    targets = [Target(stream, 3) for stream in range(4)]
    async with machine.running(receiver, crash=True) as queue:
        for target in targets[:2]:
            queue.append(target.batch(clock.now_ms()))
        await asyncio.sleep(2 * FLUSH)
        assert await queue.flush(0.1)  # delivered, but the disk does not know it yet
        machine.threads[-1].crashed = True
    receiver.answer = lambda: Retry("away")
    async with machine.running(receiver, crash=True) as queue:
        for target in targets[2:]:
            queue.append(target.batch(clock.now_ms()))
        await asyncio.sleep(2 * FLUSH)
    receiver.answer = Sent
    async with machine.running(receiver) as queue:
        await settled(queue)
        assert (queue.status().sent, queue.status().failed) == (6, 6)
    assert receiver.count == 12


async def test_what_is_settled_is_not_sent_again_after_a_stop(clock, tmp_path):
    machine, receiver, target = Machine(clock, tmp_path), FakeReceiver(), Target(1)
    for _ in range(3):
        async with machine.running(receiver) as queue:
            queue.append(target.batch(clock.now_ms()))
            assert await queue.flush(1)
    assert receiver.values() == [1.0, 2.0, 3.0]
    assert files(tmp_path) == 0


@dataclass
class Weather:
    """A ``Sender`` that fails as a receiver and the way to it fail: also after the samples were taken."""

    draw: random.Random
    samples: dict = field(default_factory=lambda: defaultdict(list))
    fair: bool = False

    async def send(self, request, attempt):
        kind = "sent" if self.fair else self.draw.choice(("sent", "sent", "away", "away", "unknown", "slow"))
        if kind == "away":
            await asyncio.sleep(self.draw.choice((0, 0.5)))
            return Retry("away")
        if kind == "slow":
            await asyncio.sleep(self.draw.uniform(0, 3))
        for labels, samples in decode_request(request.body):
            self.samples[labels] += [(stamp, float(np.uint64(bits).view(np.float64))) for bits, stamp in samples]
        await asyncio.sleep(0.05)
        return Retry("no answer") if kind == "unknown" else Sent()


@pytest.mark.parametrize("seed", range(12))
async def test_however_often_it_crashes_each_sample_older_than_a_flush_interval_arrives_in_order(clock, tmp_path, seed):
    draw = random.Random(seed)
    receiver = Weather(draw)
    machine = Machine(
        clock, tmp_path, max_samples_per_send=draw.choice((5, 400)), max_shards=4, batch_send_deadline=Duration(0.3)
    )
    targets = [Target(stream, draw.choice((1, 7, 600))) for stream in range(4)]
    due = defaultdict(list)  # stream → (milliseconds, number) of each batch that must arrive
    allowed = defaultdict(list)  # and of those that may
    for _ in range(6):
        appended = []
        async with machine.running(receiver, crash=True) as queue:
            end = asyncio.get_running_loop().time() + draw.uniform(0.1, 8)
            while asyncio.get_running_loop().time() < end:
                target = draw.choice(targets)
                queue.append(target.batch(clock.now_ms()))
                appended.append((target.table.stream, clock.now_ms(), target.scrapes))
                await asyncio.sleep(draw.choice((0.02, 0.1, 0.3)))
            crash = clock.now_ms()
        for stream, at, number in appended:
            allowed[stream].append((at, float(number)))
            if at < crash - 1000 * FLUSH:
                due[stream].append((at, float(number)))
        await asyncio.sleep(1)
    receiver.fair = True
    async with machine.running(receiver) as queue:
        assert await asyncio.wait_for(settled(queue), 600) is None
    for target in targets:
        stream = target.table.stream
        for labels in target.table:
            found = list(dict.fromkeys(receiver.samples[labels]))  # without those that came again
            assert found == sorted(found), f"{labels} is not in order"
            assert set(due[stream]) <= set(found) <= set(allowed[stream])


async def settled(queue):
    while True:
        status = queue.status()
        if status.buffer.samples == status.pending_samples == status.in_flight_samples == 0 and status.sent:
            return
        await asyncio.sleep(0.1)
