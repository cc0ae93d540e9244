"""What a client does with the credentials of a source, and when it asks for others."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from promscout.httpclient.client import HTTPClient
from promscout.httpclient.config import Authorization, HTTPClientConfig, OAuth2
from promscout.httpclient.credentials import Credential
from promscout.httpclient.single_flight import SingleFlight

pytestmark = pytest.mark.real_time


class Source:
    """Hands out the headers given, the next one after each rejection."""

    def __init__(self, *headers: str) -> None:
        self._headers = list(headers)
        self.rejections: list[str] = []
        self.entered = self.left = 0

    async def __aenter__(self):
        self.entered += 1

    async def __aexit__(self, *_):
        self.left += 1

    async def credential(self):
        return Credential(self._headers[0])

    async def rejected(self, credential):
        self.rejections.append(credential.header)
        if self._headers == ["broken"]:
            raise aiohttp.ClientError("no other can be had")
        if len(self._headers) == 1:
            return None
        self._headers.pop(0)
        return await self.credential()


class Door:
    """A server that lets one Authorization header in, and notes all it saw."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.seen: list[str | None] = []

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        await request.read()
        self.seen.append(request.headers.get("Authorization"))
        return web.Response(text="in") if self.seen[-1] == self.key else web.Response(status=401, text="out")

    @asynccontextmanager
    async def open(self):
        runner = web.ServerRunner(web.Server(self))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


async def ask(source, door, **options):
    async with (
        door.open() as url,
        HTTPClient(HTTPClientConfig(), user_agent="t", credentials=source) as client,
        client.request(options.pop("method", "GET"), url, timeout=5, **options) as response,
    ):
        return response.status, await response.text()


async def test_a_refused_credential_is_replaced_and_the_request_sent_again():
    source, door = Source("old", "new"), Door("new")
    assert await ask(source, door) == (200, "in")
    assert (door.seen, source.rejections) == (["old", "new"], ["old"])
    assert (source.entered, source.left) == (1, 1)


async def test_a_request_is_sent_at_most_twice():
    source, door = Source("a", "b", "c"), Door("never")
    assert await ask(source, door) == (401, "out")
    assert door.seen == ["a", "b"]


async def test_a_refusal_without_another_credential_is_the_answer_and_can_be_read():
    source, door = Source("only"), Door("never")
    assert await ask(source, door) == (401, "out")
    assert door.seen == ["only"]


async def test_a_failure_to_get_another_credential_is_what_the_caller_hears():
    with pytest.raises(aiohttp.ClientError, match="no other can be had"):
        await ask(Source("broken"), Door("never"))


async def test_a_request_with_a_body_is_not_repeated():
    source, door = Source("old", "new"), Door("new")
    assert await ask(source, door, method="POST", data=b"once") == (401, "out")
    assert (door.seen, source.rejections) == (["old"], [])


async def test_a_request_with_its_own_authorization_asks_no_source():
    source, door = Source("old", "new"), Door("never")
    assert await ask(source, door, headers={"authorization": "mine"}) == (401, "out")
    assert (door.seen, source.rejections) == (["mine"], [])


async def test_a_token_file_replaced_while_the_request_was_under_way_is_read_again(tmp_path):
    token = tmp_path / "token"
    token.write_text("one")

    class Rotating(Door):
        async def __call__(self, request):
            token.write_text("another")
            return await super().__call__(request)

    door = Rotating("Bearer another")
    config = HTTPClientConfig(authorization=Authorization(credentials_file=str(token)))
    async with door.open() as url, HTTPClient(config, user_agent="t") as client:
        async with client.request("GET", url, timeout=5) as response:
            assert response.status == 200
        door.key = "never"
        async with client.request("GET", url, timeout=5) as response:
            assert response.status == 401
    assert door.seen == ["Bearer one", "Bearer another", "Bearer another"]


async def test_a_refused_oauth2_token_is_not_fetched_anew():
    class Tokens(Door):
        fetched = 0

        async def __call__(self, request):
            if request.path != "/token":
                return await super().__call__(request)
            self.fetched += 1
            return web.json_response({"access_token": f"t{self.fetched}"})

    door = Tokens("never")
    async with door.open() as url:
        config = HTTPClientConfig(oauth2=OAuth2(client_id="i", token_url=f"{url}/token"))
        async with HTTPClient(config, user_agent="t") as client, client.request("GET", url, timeout=5) as response:
            assert response.status == 401
    assert (door.fetched, door.seen) == (1, ["Bearer t1"])


def test_a_credential_prints_no_secret():
    assert "hunter2" not in repr(Credential("Bearer hunter2", "hunter2"))


@pytest.mark.virtual_time
async def test_one_flight_serves_all_and_survives_the_caller_that_gives_up():
    runs = []

    async def work():
        runs.append(1)
        await asyncio.sleep(1)
        return len(runs)

    flight = SingleFlight("work")
    first = asyncio.create_task(flight.run(work))
    others = [asyncio.create_task(flight.run(work)) for _ in range(3)]
    await asyncio.sleep(0.5)
    first.cancel()
    assert await asyncio.gather(*others) == [1, 1, 1]
    assert await flight.run(work) == 2
    await flight.close()


@pytest.mark.virtual_time
async def test_a_flight_given_up_is_over():
    ended = []

    async def work():
        try:
            await asyncio.sleep(100)
        finally:
            ended.append(True)

    flight = SingleFlight("work")
    caller = asyncio.create_task(flight.run(work))
    await asyncio.sleep(1)
    await flight.close()
    assert ended == [True]
    with pytest.raises(asyncio.CancelledError):
        await caller
