"""What a queue says about itself while attempts fail."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from promscout.httpclient.secret import URL
from promscout.model.duration import Duration
from promscout.write.config import QueueConfig, RemoteWriteConfig
from promscout.write.delivery import RemoteWriteQueue
from promscout.write.sender import Reject, Retry
from promscout.write.status import Counters
from unit.write.fake_receiver import FakeReceiver, Target


@asynccontextmanager
async def delivering(clock, receiver, **options):
    given = {"batch_send_deadline": Duration(1), "max_samples_per_send": 10} | options
    config = RemoteWriteConfig(url=URL.parse("http://127.0.0.1:9/write"), queue_config=QueueConfig(**given))
    queue = RemoteWriteQueue("r", config, {}, clock, lambda _: None)
    task = asyncio.create_task(queue.run(receiver))
    try:
        yield queue
    finally:
        queue.close()
        await task


async def test_a_failing_queue_says_how_long_and_when_it_tries_again(clock):
    receiver = FakeReceiver(Retry("down", after=8.0), Retry("down", after=8.0))
    async with delivering(clock, receiver) as queue:
        queue.append(Target(1).batch(clock.now_ms()))
        assert (queue.status().failing_for, queue.status().next_attempt_in) == (0, 0)
        await asyncio.sleep(4)  # the first attempt was after one second
        assert (queue.status().failing_for, queue.status().next_attempt_in) == (3, 5)
        await asyncio.sleep(8)
        assert (queue.status().failing_for, queue.status().next_attempt_in) == (11, 5)
        await asyncio.sleep(7)
        assert (queue.status().failing_for, queue.status().next_attempt_in) == (0, 0)


async def test_a_rejected_request_ends_a_failure_and_leaves_its_reason(clock):
    receiver = FakeReceiver(Retry("down", after=8.0), Reject("status 400: no"))
    async with delivering(clock, receiver) as queue:
        queue.append(Target(1).batch(clock.now_ms()))
        await asyncio.sleep(20)
        status = queue.status()
        assert (status.failing_for, status.next_attempt_in, status.last_error) == (0, 0, "status 400: no")


async def test_the_deadline_is_that_of_the_section(clock):
    async with delivering(clock, FakeReceiver(), batch_send_deadline=Duration(60)) as queue:
        assert queue.status().batch_send_deadline == 60


@pytest.mark.parametrize(
    ("plans", "first"),
    [
        ([(10, 5)], 15),
        ([(10, 5), (11, 1)], 12),
        ([(10, 5), (11, 9)], 15),
        ([(10, 5), (15, 9)], 24),
    ],
)
def test_the_next_attempt_is_the_first_of_those_to_come(plans, first):
    counters = Counters()
    for now, pause in plans:
        counters.will_retry(now, pause)
    assert counters.next_attempt == first
