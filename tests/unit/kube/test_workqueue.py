from __future__ import annotations

import asyncio

from promscout.kube.workqueue import QueueStats, WorkQueue


async def test_a_key_added_twice_is_taken_once_and_keys_keep_their_order():
    queue = WorkQueue()
    for key in ("b", "a", "b"):
        queue.add(key)
    assert list(await queue.take()) == ["b", "a"]
    assert len(queue) == 0


async def test_a_key_added_while_it_is_worked_on_comes_again():
    queue = WorkQueue()
    queue.add("a")
    await queue.take()
    queue.add("a")
    assert list(await queue.take()) == ["a"]


async def test_take_waits_until_something_is_added():
    queue = WorkQueue()
    taking = asyncio.create_task(queue.take())
    await asyncio.sleep(1)
    assert not taking.done()
    queue.add("a")
    assert await taking == {"a": 1}


async def test_what_was_taken_before_it_is_waited_for_does_not_come_again():
    queue = WorkQueue()
    assert queue.take_all() == {}
    queue.add("a")
    assert queue.take_all() == {"a": 0}
    queue.add("b")
    assert list(await queue.take()) == ["b"]


async def test_queues_of_one_name_count_together_what_waits_and_what_is_worked_on_and_for_how_long():
    stats = QueueStats()
    one, other = WorkQueue(stats), WorkQueue(stats)
    one.add("a")
    other.add("a")
    other.add("b")
    other.add("b")
    assert (stats.added, stats.depth) == (3, 3)

    await asyncio.sleep(2)
    await other.take()
    assert (stats.depth, stats.taken, stats.waited) == (1, 2, 4)
    await asyncio.sleep(3)
    assert (stats.unfinished(5), stats.longest(5), stats.done) == (6, 3, 0)
    one.take_all()
    await asyncio.sleep(1)
    assert (stats.unfinished(6), stats.longest(6)) == (9, 4)

    other.done()
    one.done()
    assert (stats.done, stats.worked, stats.depth, stats.running) == (3, 5, 0, {})


async def test_what_waits_or_is_worked_on_when_a_queue_is_closed_is_not_counted_for_ever():
    stats = QueueStats()
    queue = WorkQueue(stats)
    queue.add("a")
    await queue.take()
    queue.add("b")
    queue.close()
    assert (stats.depth, stats.dropped, stats.running) == (0, 1, {})
