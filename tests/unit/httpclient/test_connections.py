"""How long connections are kept; the wires are made here, the time is virtual."""

import asyncio

import pytest

from promscout.httpclient.answer import TIMED_OUT, Answer, Head, NoAnswer, Order
from promscout.httpclient.connections import KEEP_IDLE, Connections
from promscout.httpclient.dialing import Place

PLACE = Place("127.0.0.1", 80)
ANSWER = Answer(200, "OK", (), b"")
REFUSED = NoAnswer("connection refused")
MUCH_LATER = 3 * KEEP_IDLE


class Wire:
    """Answers a request after as many seconds as its path says; ``close`` ends what it carries."""

    def __init__(self, lost, *, shared):
        self.lost = lost
        self.shared = shared
        self.waiters = set()
        self.closed = False

    @property
    def free(self):
        return not self.closed and (self.shared or not self.waiters)

    async def exchange(self, order, deadline):
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self.waiters.add(waiter)
        timer = loop.call_later(float(order.path[1:] or 0), self.end, waiter, ANSWER)
        timeout = loop.call_at(deadline, self.end, waiter, TIMED_OUT)
        try:
            return await waiter
        finally:
            self.waiters.discard(waiter)
            timer.cancel()
            timeout.cancel()

    def end(self, waiter, outcome):
        self.waiters.discard(waiter)
        waiter.set_result(outcome)

    def close(self):
        if not self.closed:
            self.closed = True
            for waiter in list(self.waiters):
                self.end(waiter, NoAnswer("closed"))
            asyncio.get_running_loop().call_soon(self.lost, self)


class Dialer:
    """Stands in for the one that opens sockets: each wire takes ``takes`` seconds; none comes if it ``refuses``."""

    def __init__(self, *, shared=False, refuses=False):
        self.shared = shared
        self.refuses = refuses
        self.takes = 0.0
        self.wires = []

    async def dial(self, _place, _context, lost, _deadline):
        await asyncio.sleep(self.takes)
        if self.refuses:
            return REFUSED
        self.wires.append(Wire(lost, shared=self.shared))
        return self.wires[-1]


async def ask(connections, *, place=PLACE, seconds=0.0):
    order = Order("POST", "http", "127.0.0.1:80", f"/{seconds}", Head(()), limit=1000)
    deadline = asyncio.get_running_loop().time() + 10 * MUCH_LATER
    return await connections.exchange(place, None, order, deadline)


@pytest.mark.parametrize("shared", [False, True])
async def test_a_connection_is_kept_from_the_end_of_its_last_request(shared):
    dialer = Dialer(shared=shared)
    connections = Connections(dialer, multiplexing=True)
    assert await ask(connections, seconds=MUCH_LATER) == ANSWER
    await asyncio.sleep(KEEP_IDLE - 1)
    assert await ask(connections) == ANSWER
    assert len(dialer.wires) == 1
    await asyncio.sleep(MUCH_LATER)
    assert dialer.wires[0].closed
    assert not connections._kept
    assert not connections._open
    await connections.close()


async def test_a_shared_connection_is_not_closed_under_any_of_its_requests():
    dialer = Dialer(shared=True)
    connections = Connections(dialer, multiplexing=True)
    assert await ask(connections) == ANSWER
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(connections, seconds=seconds)) for seconds in (0, 1, MUCH_LATER)]
    assert [task.result() for task in asked] == [ANSWER] * 3
    assert len(dialer.wires) == 1
    await connections.close()


async def test_a_connection_that_took_long_to_open_is_kept_where_the_next_request_finds_it():
    dialer = Dialer()
    connections = Connections(dialer, multiplexing=True)
    assert await ask(connections) == ANSWER
    dialer.wires[0].close()
    dialer.takes = MUCH_LATER
    for _ in range(2):
        assert await ask(connections) == ANSWER
    assert len(dialer.wires) == 2
    await connections.close()


async def test_a_request_that_is_cancelled_is_not_under_way():
    dialer = Dialer()
    connections = Connections(dialer, multiplexing=True)
    assert await ask(connections) == ANSWER
    task = asyncio.create_task(ask(connections, seconds=MUCH_LATER))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    dialer.wires[0].close()
    await asyncio.sleep(MUCH_LATER)
    assert not connections._kept
    await connections.close()


async def test_places_where_nobody_listens_are_forgotten():
    connections = Connections(Dialer(refuses=True), multiplexing=True)
    for port in range(3):
        assert await ask(connections, place=Place("127.0.0.1", port)) == REFUSED
    await asyncio.sleep(KEEP_IDLE - 1)
    assert len(connections._kept) == 3
    await asyncio.sleep(MUCH_LATER)
    assert not connections._kept
    assert connections._look is None
    await connections.close()


async def test_what_is_asked_of_a_closed_client_opens_nothing_and_keeps_nothing():
    dialer = Dialer()
    connections = Connections(dialer, multiplexing=True)
    await connections.close()
    assert await ask(connections) == NoAnswer("the client is closed")
    assert not dialer.wires
    assert not connections._kept
    assert connections._look is None
