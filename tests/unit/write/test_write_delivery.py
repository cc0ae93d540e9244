import asyncio
import random
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from harness.waiting import until
from promscout.httpclient.secret import URL
from promscout.model.clock import SystemClock
from promscout.model.duration import Duration
from promscout.write.config import ProtobufMessage, QueueConfig, RemoteWriteConfig
from promscout.write.delivery import RemoteWriteQueue
from promscout.write.sender import Reject, Retry, Sent, Unsupported, Written
from unit.write.fake_receiver import FakeReceiver, Target


def queue_with(clock, **options):
    config = RemoteWriteConfig(url=URL.parse("http://127.0.0.1:9/write"), queue_config=QueueConfig(**options))
    durations = []
    queue = RemoteWriteQueue("r", config, {}, clock, durations.append)
    queue.durations = durations
    return queue


@asynccontextmanager
async def running(queue, receiver):
    task = asyncio.create_task(queue.run(receiver))
    try:
        yield
    finally:
        queue.close()
        await task


async def test_a_full_request_goes_out_at_once(clock):
    queue, receiver = queue_with(clock, max_samples_per_send=10), FakeReceiver()
    async with running(queue, receiver):
        for stream in range(3):
            queue.append(Target(stream, 5).batch(clock.now_ms()))
        await asyncio.sleep(0.001)
        assert receiver.requests == [(0.0, 0, 10)]
        assert queue.status().pending_samples == 5


async def test_a_sample_waits_no_longer_than_the_batch_send_deadline(clock):
    queue, receiver = queue_with(clock, batch_send_deadline=Duration(5)), FakeReceiver()
    async with running(queue, receiver):
        await asyncio.sleep(1)
        queue.append(Target(1).batch(clock.now_ms()))
        await asyncio.sleep(3)
        queue.append(Target(2).batch(clock.now_ms()))
        await asyncio.sleep(100)
    assert receiver.requests == [(6.0, 0, 2)]


@pytest.mark.every_loop
async def test_a_deadline_that_has_come_is_no_trouble_when_more_samples_come():
    clock = SystemClock()
    queue = queue_with(clock, batch_send_deadline=Duration(0.0001), max_samples_per_send=2, min_shards=10)
    receiver = FakeReceiver()
    async with running(queue, receiver):
        await asyncio.sleep(0)
        queue.append(Target(1).batch(clock.now_ms()))
        queue.append(Target(2, 5).batch(clock.now_ms()))
        await until(lambda: receiver.count == 6, 5)
    assert len(receiver.requests) == 4


async def test_samples_appended_before_it_runs_are_delivered_when_it_runs(clock):
    queue, receiver = queue_with(clock), FakeReceiver()
    queue.append(Target(1).batch(clock.now_ms()))
    await asyncio.sleep(60)
    async with running(queue, receiver):
        await asyncio.sleep(0.001)
    assert receiver.requests == [(60.0, 0, 1)]


async def test_a_failed_request_is_sent_again_with_doubling_pauses_and_counted(clock):
    receiver = FakeReceiver(*[Retry("down")] * 7)
    queue = queue_with(clock, min_backoff=Duration(1), max_backoff=Duration(8), max_samples_per_send=2)
    async with running(queue, receiver):
        queue.append(Target(1, 2).batch(clock.now_ms()))
        await asyncio.sleep(100)
    times = [time for time, _, _ in receiver.requests]
    assert [attempt for _, attempt, _ in receiver.requests] == list(range(8))
    for (before, after), limit in zip(pairwise(times), [1, 2, 4, 8, 8, 8, 8], strict=True):
        assert limit / 2 <= after - before <= limit
    status = queue.status()
    assert (status.attempted, status.retried, status.sent, status.failed) == (16, 14, 2, 0)
    assert status.last_error == ""
    assert len(queue.durations) == 8


async def test_the_receiver_says_when_to_come_back(clock):
    receiver = FakeReceiver(Retry("busy", after=42.0))
    queue = queue_with(clock, max_samples_per_send=1)
    async with running(queue, receiver):
        queue.append(Target(1).batch(clock.now_ms()))
        await asyncio.sleep(41)
        assert queue.status().last_error == "busy"
        await asyncio.sleep(2)
    assert [time for time, _, _ in receiver.requests] == [0.0, 42.0]


async def test_rejected_samples_are_counted_and_the_next_ones_sent(clock, caplog):
    receiver = FakeReceiver(Reject("status 400: out of order"))
    queue, target = queue_with(clock, max_samples_per_send=1), Target(1)
    async with running(queue, receiver):
        for _ in range(3):
            queue.append(target.batch(clock.now_ms()))
        await asyncio.sleep(1)
    assert receiver.values() == [2.0, 3.0]
    assert (queue.status().failed, queue.status().sent) == (1, 2)
    assert [(one.levelname, one.facts["reason"], one.facts["samples"]) for one in caplog.records] == [
        ("WARNING", "status 400: out of order", 1)
    ]


async def test_the_same_complaint_is_logged_once_in_half_a_minute(clock, caplog):
    queue, target = queue_with(clock, max_samples_per_send=1), Target(1)
    async with running(queue, FakeReceiver(*[Reject("no")] * 100)):
        for _ in range(40):
            queue.append(target.batch(clock.now_ms()))
            await asyncio.sleep(1)
    assert [one.facts["suppressed"] for one in caplog.records] == [0, 29]


async def test_a_receiver_that_is_down_for_a_minute_loses_nothing(clock):
    receiver = FakeReceiver(latency=0.05)
    up = receiver.answer
    receiver.answer = lambda: up() if not 10 <= asyncio.get_running_loop().time() < 70 else Retry("down")
    queue = queue_with(clock, max_samples_per_send=100)
    targets = [Target(stream, 25) for stream in range(20)]
    async with running(queue, receiver):
        for _ in range(90):
            for target in targets:
                queue.append(target.batch(clock.now_ms()))
            await asyncio.sleep(1)
        assert await queue.flush(10)
    assert receiver.count == 90 * 20 * 25
    assert all(values == [float(n) for n in range(1, 91)] for values in map(first, receiver.samples.values()))
    assert queue.status().dropped == {}


def first(samples):
    return [value for value, _ in samples]


async def test_requests_at_once_grow_with_the_backlog_and_shrink_without(clock):
    receiver = FakeReceiver(latency=1.0)
    queue = queue_with(clock, max_samples_per_send=10, max_shards=8)
    async with running(queue, receiver):
        targets = [Target(stream, 10) for stream in range(20)]
        for _ in range(10):
            for target in targets:
                queue.append(target.batch(clock.now_ms()))
        assert queue.status().shards == 1
        await asyncio.sleep(10)
        assert (receiver.most_at_once, queue.status().shards) == (8, 8)
        await asyncio.sleep(60)
        assert receiver.count == 2000
        for _ in range(20):
            queue.append(targets[0].batch(clock.now_ms()))
            await asyncio.sleep(2)
        assert queue.status().shards == 1


async def test_one_large_target_is_delivered_by_several_requests_at_once_and_in_order(clock):
    receiver = FakeReceiver(latency=1.0)
    queue, target = queue_with(clock, max_samples_per_send=10, max_shards=10), Target(1, 200)
    async with running(queue, receiver):
        for _ in range(10):
            queue.append(target.batch(clock.now_ms()))
        assert await queue.flush(60)
    assert receiver.most_at_once == 10
    assert len(receiver.samples) == 200
    assert all(first(samples) == list(range(1, 11)) for samples in receiver.samples.values())


async def test_requests_at_once_do_not_grow_while_the_receiver_is_down(clock):
    receiver = FakeReceiver(*[Retry("down")] * 1000)
    queue = queue_with(clock, max_samples_per_send=10, max_shards=8, min_backoff=Duration(1))
    async with running(queue, receiver):
        for stream in range(50):
            queue.append(Target(stream, 10).batch(clock.now_ms()))
        await asyncio.sleep(60)
        assert queue.status().requests == 1


async def test_samples_older_than_the_age_limit_are_dropped_even_between_attempts(clock):
    receiver = FakeReceiver(*[Retry("down", after=5.0)] * 3)
    queue = queue_with(clock, max_samples_per_send=2, sample_age_limit=Duration(12))
    async with running(queue, receiver):
        queue.append(Target(1).batch(clock.now_ms() - 5000))
        queue.append(Target(2).batch(clock.now_ms()))
        queue.append(Target(3, 2).batch(clock.now_ms() - 13000))
        await asyncio.sleep(60)
    assert [(time, size) for time, _, size in receiver.requests] == [(0.0, 2), (5.0, 2), (10.0, 1)]
    assert queue.status().dropped == {"too_old": 4}
    assert queue.status().in_flight_samples == 0


async def test_flush_sends_what_is_pending_without_waiting_for_more(clock):
    queue, receiver = queue_with(clock), FakeReceiver(latency=1.0)
    async with running(queue, receiver):
        queue.append(Target(1).batch(clock.now_ms()))
        assert await queue.flush(10)
        assert asyncio.get_running_loop().time() == 1.0
    assert receiver.count == 1


async def test_flush_gives_up_in_time_and_leaves_the_rest_in_order(clock):
    queue = queue_with(clock, max_samples_per_send=2, min_backoff=Duration(1))
    target = Target(1, 3)
    async with running(queue, FakeReceiver(*[Retry("down")] * 100)):
        for _ in range(3):
            queue.append(target.batch(clock.now_ms()))
        assert not await queue.flush(7)
        assert asyncio.get_running_loop().time() == 7.0
    rest = [value for entry in queue.leftover() for value in entry.portion.values]
    assert rest == [1, 1, 1, 2, 2, 2, 3, 3, 3]


async def test_samples_that_come_after_the_end_are_counted(clock):
    queue = queue_with(clock)
    queue.close()
    queue.append(Target(1, 3).batch(clock.now_ms()))
    assert queue.status().dropped == {"shutdown": 3}


async def test_the_status_tells_the_age_of_the_oldest_sample(clock):
    queue = queue_with(clock)
    queue.append(Target(1, 3).batch(clock.now_ms()))
    await asyncio.sleep(7)
    status = queue.status()
    assert (status.oldest_pending_age, status.pending_samples, status.pending_bytes) == (7.0, 3, 424)


@pytest.mark.parametrize("seed", range(10))
async def test_whatever_the_receiver_does_each_stream_is_delivered_in_order_or_counted(clock, seed):
    draw = random.Random(seed)
    receiver = FakeReceiver(latency=0.5)

    def answer():
        receiver.latency = draw.choice([0.0, 0.3, 2.0])
        return draw.choices([Sent(), Retry("down"), Reject("no")], [8, 4, 1])[0]

    receiver.answer = answer
    queue = queue_with(clock, max_samples_per_send=draw.choice([3, 7, 50]), max_shards=5)
    targets = [Target(stream, draw.randint(1, 12)) for stream in range(8)]
    async with running(queue, receiver):
        for _ in range(150):
            queue.append(draw.choice(targets).batch(clock.now_ms()))
            await asyncio.sleep(draw.choice([0, 0, 0.2]))
        assert await queue.flush(600)
    for samples in receiver.samples.values():
        assert first(samples) == sorted(set(first(samples)))
    status = queue.status()
    assert status.sent == receiver.count
    assert status.sent + status.failed == sum(target.scrapes * len(target.table) for target in targets)
    assert receiver.most_at_once <= 5


class Speaks(FakeReceiver):
    """Takes requests with some messages only; remembers which came."""

    def __init__(self, *messages):
        super().__init__()
        self.messages = messages
        self.asked = []

    async def send(self, request, attempt):
        self.asked.append(request.message)
        if request.message not in self.messages:
            return Unsupported("status 415: Unsupported Media Type")
        return Sent() if request.message is V2 else await super().send(request, attempt)


V1, V2 = ProtobufMessage


def queue_of_2_0(clock):
    config = RemoteWriteConfig(
        url=URL.parse("http://127.0.0.1:9/write"),
        protobuf_message=V2,
        queue_config=QueueConfig(max_samples_per_send=2, min_backoff=Duration(1)),
    )
    return RemoteWriteQueue("r", config, {}, clock, lambda _: None)


async def test_a_receiver_that_does_not_know_2_0_gets_the_same_samples_by_1_0(clock, caplog):
    queue, receiver, target = queue_of_2_0(clock), Speaks(V1), Target(1, 2)
    async with running(queue, receiver):
        assert queue.status().protobuf_message == V2
        for _ in range(3):
            queue.append(target.batch(clock.now_ms()))
            await asyncio.sleep(1)
    assert receiver.asked == [V2, V1, V1, V1]
    assert receiver.values(n="0") == [1.0, 2.0, 3.0]
    assert (queue.status().protobuf_message, queue.status().sent, queue.status().failed) == (V1, 6, 0)
    assert [one.message for one in caplog.records] == ["the receiver does not know remote write 2.0, it gets 1.0"]


async def test_2_0_is_not_given_up_for_a_receiver_that_takes_1_0_neither(clock):
    queue, receiver, target = queue_of_2_0(clock), Speaks(), Target(1, 2)
    async with running(queue, receiver):
        queue.append(target.batch(clock.now_ms()))
        await asyncio.sleep(1)
        assert queue.status().failed == 2
        receiver.messages = (V2,)
        queue.append(target.batch(clock.now_ms()))
        await asyncio.sleep(1)
    assert receiver.asked == [V2, V1, V2]
    assert (queue.status().protobuf_message, queue.status().sent) == (V2, 2)


async def test_what_a_receiver_says_it_has_not_stored_counts_as_failed(clock):
    queue, receiver, target = queue_of_2_0(clock), FakeReceiver(), Target(1, 2)
    answers = [
        Sent(Written(samples=1)),
        Reject("status 400: one is too old", Written(samples=1)),
        Sent(Written(samples=2)),
    ]

    async def send(request, attempt):
        return answers.pop(0)

    receiver.send = send
    async with running(queue, receiver):
        for _ in range(3):
            queue.append(target.batch(clock.now_ms()))
            await asyncio.sleep(1)
    assert (queue.status().sent, queue.status().failed) == (4, 2)
