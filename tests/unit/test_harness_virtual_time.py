import asyncio
import socket
import threading
import time

import pytest

from harness.virtual_time import EPOCH_MS, DeadlockError, VirtualClock, VirtualTimeLoop
from promscout.model.clock import Clock


@pytest.fixture
def loop_of_its_own():
    loop = VirtualTimeLoop()
    yield loop
    loop.close()


async def test_an_hour_of_sleep_takes_no_real_time():
    started = time.monotonic()
    loop = asyncio.get_running_loop()
    await asyncio.sleep(3600)
    assert loop.time() == 3600
    await asyncio.sleep(40 * 86_400)
    assert loop.time() == 3600 + 40 * 86_400
    assert time.monotonic() - started < 1


async def test_timers_go_off_in_order_and_at_their_exact_times():
    loop = asyncio.get_running_loop()
    seen = []

    async def note(delay):
        await asyncio.sleep(delay)
        seen.append((delay, loop.time()))

    async with asyncio.TaskGroup() as group:
        for delay in (0.3, 0.1, 15, 0.2):
            group.create_task(note(delay))
    assert seen == [(0.1, 0.1), (0.2, 0.2), (0.3, 0.3), (15, 15)]


async def test_a_timeout_goes_off_in_virtual_time():
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(30):
            await asyncio.Event().wait()
    assert asyncio.get_running_loop().time() == 30


async def test_a_cancelled_timer_does_not_move_time():
    loop = asyncio.get_running_loop()
    loop.call_later(5, lambda: None).cancel()
    await asyncio.sleep(10)
    assert loop.time() == 10


def test_waiting_for_what_never_comes_is_a_deadlock_that_names_the_waiting_tasks(loop_of_its_own):
    async def waits_for_godot():
        await asyncio.Event().wait()

    task = loop_of_its_own.create_task(waits_for_godot(), name="estragon")
    with pytest.raises(DeadlockError) as raised:
        loop_of_its_own.run_until_complete(task)
    message = str(raised.value)
    assert "nothing is ready and no timer is set" in message
    assert "estragon: " in message
    assert "waits_for_godot" in message
    assert "test_harness_virtual_time.py" in message
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop_of_its_own.run_until_complete(task)


def test_ticking_forever_is_a_deadlock_too(loop_of_its_own, monkeypatch):
    monkeypatch.setattr("harness.virtual_time.JUMP_LIMIT", 100)

    async def tick():
        for _ in range(200):
            await asyncio.sleep(1)

    task = loop_of_its_own.create_task(tick())
    with pytest.raises(DeadlockError, match="100 timers went by"):
        loop_of_its_own.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop_of_its_own.run_until_complete(task)


async def test_time_stands_still_while_a_thread_works():
    async with asyncio.timeout(0.01):
        assert await asyncio.to_thread(lambda: time.sleep(0.05) or "done") == "done"
    assert asyncio.get_running_loop().time() == 0


async def test_a_thread_of_the_tests_own_may_wake_the_loop():
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()

    def wake():
        time.sleep(0.02)
        loop.call_soon_threadsafe(woken.set)

    thread = threading.Thread(target=wake)
    thread.start()
    await woken.wait()
    thread.join()


async def test_a_connection_inside_the_process_is_quicker_than_any_timeout():
    async def upper(reader, writer):
        writer.write((await reader.readline()).upper())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(upper, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        async with asyncio.timeout(0.001):
            reader, writer = await asyncio.open_connection(host, port, family=socket.AF_INET)
            writer.write(b"hello\n")
            assert await reader.read() == b"HELLO\n"
        writer.close()
        await writer.wait_closed()
    assert asyncio.get_running_loop().time() == 0


async def test_the_clock_shows_the_loops_time(clock):
    as_the_protocol: Clock = clock
    assert as_the_protocol.now_ms() == EPOCH_MS
    await asyncio.sleep(15.001)
    assert clock.now_ms() == EPOCH_MS + 15_001
    clock.advance(-60_000)
    assert clock.now_ms() == EPOCH_MS - 44_999
    assert asyncio.get_running_loop().time() == 15.001


def test_the_clock_stands_still_without_a_loop(clock):
    assert clock.now_ms() == EPOCH_MS
    clock.advance(1500)
    assert clock.now_ms() == EPOCH_MS + 1500


@pytest.mark.real_time
async def test_a_test_marked_real_time_runs_on_the_ordinary_loop():
    loop = asyncio.get_running_loop()
    assert not isinstance(loop, VirtualTimeLoop)
    started = time.monotonic()
    await asyncio.sleep(0.02)
    assert time.monotonic() - started >= 0.02
    with pytest.raises(TypeError, match="virtual time"):
        VirtualClock().now_ms()
