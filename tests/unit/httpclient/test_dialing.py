import asyncio
import socket

import pytest

from promscout.httpclient import dialing
from promscout.httpclient.answer import TIMED_OUT, NoAnswer
from promscout.httpclient.dialing import Dialer, Place
from promscout.httpclient.resolver import Resolver
from unit.httpclient.raw_server import always, answer, raw_server

pytestmark = pytest.mark.every_loop

GOOD = (socket.AF_INET, "127.0.0.1")
REFUSES = (socket.AF_INET, "127.0.0.2")
HANGS = (socket.AF_INET, "127.0.0.3")


@pytest.fixture
def connect(monkeypatch):
    """Connects to one address as ever, and never to the one that hangs; notes what was tried."""
    tried = []
    connect_to = dialing._connect_to

    async def connect(address, port):
        tried.append(address)
        if address == HANGS:
            await asyncio.Event().wait()
        return await connect_to(address, port)

    monkeypatch.setattr(dialing, "_connect_to", connect)
    return tried


async def dial(addresses, *, within=2.0, times=1):
    """What comes of dialling a name with these addresses, where a server listens on the good one only."""
    resolver = Resolver()
    loop = asyncio.get_running_loop()
    resolver._known["name"] = loop.time() + 60, addresses
    async with raw_server(always(answer())) as server:
        place = Place("name", int(server.url.rpartition(":")[2]))
        ended = asyncio.Event()
        for _ in range(times):
            ended.clear()
            outcome = await Dialer(resolver).dial(place, None, lambda _: ended.set(), loop.time() + within)
            if not isinstance(outcome, NoAnswer):
                outcome.close()
                await ended.wait()
    return outcome, resolver


@pytest.mark.parametrize("bad", [REFUSES, HANGS])
async def test_an_address_that_leads_nowhere_leaves_time_for_the_next_which_is_then_tried_first(connect, bad):
    outcome, _ = await dial((bad, GOOD), within=0.4, times=2)
    assert not isinstance(outcome, NoAnswer)
    assert connect == [bad, GOOD, GOOD]


async def test_when_no_address_works_the_last_failure_is_told_and_the_name_asked_for_anew(connect):
    outcome, resolver = await dial((HANGS, REFUSES), within=0.4)
    assert outcome.reason.startswith("cannot connect to name:")
    assert outcome.reason.endswith("Connection refused")
    assert "name" not in resolver._known
    outcome, resolver = await dial((REFUSES, HANGS), within=0.1)
    assert outcome == TIMED_OUT
    assert "name" not in resolver._known
