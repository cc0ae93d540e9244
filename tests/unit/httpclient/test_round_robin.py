import asyncio
import socket

import pytest

from promscout.httpclient.answer import NoAnswer
from promscout.httpclient.client import HTTPClient
from promscout.httpclient.config import HTTPClientConfig
from promscout.httpclient.dialing import Place
from promscout.httpclient.round_robin import RoundRobin
from unit.httpclient.raw_server import always, answer, raw_server

pytestmark = pytest.mark.every_loop

FIRST = (socket.AF_INET, "127.0.0.1")
SECOND = (socket.AF_INET, "127.0.0.2")


class Names:
    """A resolver that knows ``addresses`` of every name."""

    def __init__(self, *addresses):
        self.addresses = addresses

    async def resolve(self, _host):
        return self.addresses


async def chosen(choice, times):
    places = [await choice.choose(Place("name", 80)) for _ in range(times)]
    assert {(place.host, place.port) for place in places} == {("name", 80)}
    return [place.address for place in places]


async def test_requests_go_to_the_addresses_in_turn_whatever_their_order_is():
    names = Names(FIRST, SECOND)
    choice = RoundRobin(names)
    assert await chosen(choice, 3) == [FIRST, SECOND, FIRST]
    names.addresses = (SECOND, FIRST)
    assert await chosen(choice, 2) == [SECOND, FIRST]


async def test_an_address_that_is_gone_gets_no_more_requests():
    names = Names(FIRST, SECOND)
    choice = RoundRobin(names)
    await chosen(choice, 1)
    names.addresses = (FIRST,)
    assert await chosen(choice, 3) == [FIRST] * 3


async def test_a_name_without_addresses_is_no_answer():
    names = Names()
    names.addresses = "cannot look up name: unknown"
    assert await RoundRobin(names).choose(Place("name", 80)) == NoAnswer("cannot look up name: unknown")


async def test_a_unix_socket_has_no_addresses():
    place = Place("name", 80, "/run/socket")
    assert await RoundRobin(Names(FIRST)).choose(place) == place


async def fetched(client, url):
    deadline = asyncio.get_running_loop().time() + 5
    return await client.fetch("GET", url, headers={}, limit=1000, deadline=deadline)


@pytest.mark.real_time
async def test_a_client_sends_each_request_to_another_address_and_keeps_a_connection_to_each(monkeypatch):
    found = [(family, socket.SOCK_STREAM, 6, "", (text, 0)) for family, text in (FIRST, SECOND)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    async with raw_server(always(answer())) as server:
        port = server.url.rpartition(":")[2]
        async with HTTPClient(HTTPClientConfig(), user_agent="test", round_robin=True) as client:
            outcomes = [await fetched(client, f"http://name:{port}/") for _ in range(4)]
    assert [getattr(outcome, "status", outcome) for outcome in outcomes[::2]] == [200, 200]
    assert all(outcome.reason.startswith(f"cannot connect to name:{port} at 127.0.0.2: ") for outcome in outcomes[1::2])
    assert server.connections == 1
