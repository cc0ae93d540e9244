from __future__ import annotations

import asyncio

from promscout.kube.workqueue import WorkQueue


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


async def test_cleared_keys_do_not_come():
    queue = WorkQueue()
    queue.add("a")
    queue.clear()
    queue.add("b")
    assert list(await queue.take()) == ["b"]
