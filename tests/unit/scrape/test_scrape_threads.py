"""Work in a thread."""

from __future__ import annotations

import asyncio
import threading

import pytest

from promscout.scrape.threads import in_thread

pytestmark = pytest.mark.real_time


async def test_work_is_done_elsewhere_and_its_result_comes_back():
    assert await in_thread(threading.get_ident) != threading.get_ident()


async def test_an_error_comes_back():
    with pytest.raises(ZeroDivisionError):
        await in_thread(lambda: 1 // 0)


@pytest.mark.parametrize("cancels", [1, 3])
async def test_cancelling_waits_until_the_work_is_done(cancels):
    begun, may_end, done = asyncio.Event(), threading.Event(), []
    loop = asyncio.get_running_loop()

    def work():
        loop.call_soon_threadsafe(begun.set)
        may_end.wait(10)
        done.append(True)
        raise ValueError("nobody hears this")

    task = asyncio.create_task(in_thread(work))
    await begun.wait()
    for _ in range(cancels):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done
