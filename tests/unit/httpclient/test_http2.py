"""Against a server made of h2's other half: what it counts and keeps back is what a test needs."""

import asyncio
from contextlib import asynccontextmanager

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pytest
from hyperframe.frame import GoAwayFrame

from promscout.httpclient.answer import NoAnswer
from promscout.httpclient.client import HTTPClient
from promscout.httpclient.config import HTTPClientConfig, Secret, TLSConfig
from unit.httpclient.certificates import Certificate
from unit.httpclient.raw_server import always, answer, raw_server
from unit.httpclient.test_fetch import fetch

pytestmark = pytest.mark.every_loop


class Server(asyncio.Protocol):
    """Answers each stream with ``body`` once it has ended, unless ``react`` (a method of it) does something else."""

    def __init__(self, site):
        self.site = site

    def connection_made(self, transport):
        self.transport = transport
        self.site.servers.append(self)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.local_settings = h2.settings.Settings(client=False, initial_values=self.site.settings)
        self.h2.initiate_connection()
        self.headers, self.received, self.unsent = {}, {}, {}
        self.when_heard = lambda: None
        self.flush()

    def flush(self):
        self.transport.write(self.h2.data_to_send())

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            stream = getattr(event, "stream_id", None)
            if isinstance(event, h2.events.RequestReceived):
                self.headers[stream], self.received[stream] = dict(event.headers), b""
            elif isinstance(event, h2.events.DataReceived):
                self.received[stream] += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, stream)
            elif isinstance(event, h2.events.StreamEnded):
                self.site.react(self, stream)
            elif isinstance(event, h2.events.StreamReset):
                self.site.resets += 1
                self.unsent.pop(stream, None)
            elif isinstance(event, h2.events.PingAckReceived):
                self.when_heard()
            elif isinstance(event, h2.events.WindowUpdated):
                for waiting in list(self.unsent):
                    self.send(waiting)
        self.flush()

    def answer(self, stream, body=b"h2", status="200"):
        self.h2.send_headers(stream, [(":status", status), ("content-type", "text/plain")])
        self.unsent[stream] = body
        self.send(stream)

    def leave(self, last, when_heard=lambda: None):
        """Take no stream after ``last``, and go on with the others once the client has heard of it."""
        self.when_heard = when_heard
        self.h2.ping(b"are you?")
        # h2's own way would end the server's half with its frame.
        self.transport.write(self.h2.data_to_send() + GoAwayFrame(0, last_stream_id=last).serialize())

    def send(self, stream):
        body = self.unsent.pop(stream)
        room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
        while body and room > 0:
            self.h2.send_data(stream, body[:room])
            body = body[room:]
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
        if body:
            self.unsent[stream] = body
        else:
            self.h2.end_stream(stream)
        self.flush()


class Site:
    def __init__(self, directory, react, settings):
        self.certificate = Certificate(directory, "server", "127.0.0.1")
        self.react = react
        self.settings = settings
        self.servers = []
        self.resets = 0
        self.url = ""

    def client(self, **options):
        config = HTTPClientConfig(tls_config=TLSConfig(ca_file=str(self.certificate.cert)), **options)
        return HTTPClient(config, user_agent="test/1")


@asynccontextmanager
async def site(directory, react=Server.answer, settings=None):
    served = Site(directory, react, settings)
    context = served.certificate.server(None, "h2")
    server = await asyncio.get_running_loop().create_server(lambda: Server(served), "127.0.0.1", 0, ssl=context)
    served.url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        for one in served.servers:
            one.transport.abort()
        server.close()
        await asyncio.sleep(0.01)


async def test_requests_at_once_share_one_connection(tmp_path):
    held = []

    def react(server, stream):
        held.append(stream)
        if len(held) == 3:
            for one in reversed(held):
                server.answer(one, server.headers[one][":path"].encode())

    async with site(tmp_path, react) as served, served.client(bearer_token=Secret("t")) as client:
        outcomes = await asyncio.gather(*(fetch(client, f"{served.url}/{n}", headers={"X-A": "1"}) for n in range(3)))
        assert [outcome.body for outcome in outcomes] == [b"/0", b"/1", b"/2"]
        assert outcomes[0].header(b"content-type") == "text/plain"
        (server,) = served.servers
        assert server.headers[1] == {
            ":method": "GET",
            ":scheme": "https",
            ":authority": served.url.removeprefix("https://"),
            ":path": "/0",
            "user-agent": "test/1",
            "x-a": "1",
            "authorization": "Bearer t",
        }


async def test_more_requests_than_the_server_allows_get_another_connection(tmp_path):
    def react(server, stream):
        asyncio.get_running_loop().call_later(0.05, server.answer, stream)

    allowed = {h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 2}
    async with site(tmp_path, react, allowed) as served, served.client() as client:
        assert (await fetch(client, served.url)).status == 200
        outcomes = await asyncio.gather(*(fetch(client, served.url) for _ in range(3)))
        assert [outcome.status for outcome in outcomes] == [200] * 3
        assert len(served.servers) == 2


async def test_bodies_larger_than_the_windows_go_through_both_ways(tmp_path):
    def react(server, stream):
        server.answer(stream, server.received[stream] * 2)

    body = bytes(range(256)) * 12_000
    async with site(tmp_path, react) as served, served.client() as client:
        for _ in range(2):
            outcome = await fetch(client, served.url, method="POST", body=body, limit=1 << 24)
            assert outcome.body == body * 2
        assert served.servers[0].headers[1]["content-length"] == str(len(body))


async def test_a_body_beyond_the_limit_ends_its_stream_alone(tmp_path):
    def react(server, stream):
        server.answer(stream, b"x" * (100_000 if server.headers[stream][":path"] == "/long" else 10))

    async with site(tmp_path, react) as served, served.client() as client:
        outcome = await fetch(client, served.url + "/long", limit=1000)
        assert not outcome.complete
        assert (await fetch(client, served.url + "/short", limit=1000)).body == b"x" * 10
        assert len(served.servers) == 1


async def test_a_request_ends_at_its_deadline_and_the_others_go_on(tmp_path):
    def react(server, stream):
        if server.headers[stream][":path"] != "/slow":
            server.answer(stream)

    async with site(tmp_path, react) as served, served.client() as client:
        assert (await fetch(client, served.url + "/slow", within=0.3)).timed_out
        assert (await fetch(client, served.url)).body == b"h2"
        assert served.resets == 1
        assert len(served.servers) == 1


async def test_a_server_that_goes_away_gets_no_further_request(tmp_path):
    def react(server, stream):
        server.answer(stream)
        server.h2.close_connection(last_stream_id=stream)
        server.flush()

    async with site(tmp_path, react) as served, served.client() as client:
        for _ in range(2):
            assert (await fetch(client, served.url)).body == b"h2"
        assert len(served.servers) == 2


async def all_closed(client):
    async with asyncio.timeout(10):
        await client._connections._none_open.wait()
    assert not client._connections._open


async def test_a_request_is_answered_in_the_same_breath_as_the_server_says_it_goes_away(tmp_path):
    def react(server, stream):
        server.h2.send_headers(stream, [(":status", "204")], end_stream=True)
        server.transport.write(GoAwayFrame(0, last_stream_id=stream).serialize() + server.h2.data_to_send())

    async with site(tmp_path, react) as served, served.client() as client:
        assert (await fetch(client, served.url, method="POST", body=b"samples")).status == 204
        await all_closed(client)


async def test_a_request_is_answered_after_the_server_has_said_that_it_goes_away(tmp_path):
    def react(server, stream):
        if len(served.servers) == 1:
            server.leave(stream, lambda: server.answer(stream, b"x" * 3_000_000))
        else:
            server.answer(stream)

    async with site(tmp_path, react) as served, served.client() as client:
        outcome = await fetch(client, served.url, method="POST", body=b"samples", limit=1 << 22)
        assert outcome.body == b"x" * 3_000_000
        await all_closed(client)
        assert (await fetch(client, served.url)).body == b"h2"
        assert len(served.servers) == 2


async def test_of_the_requests_at_a_server_that_goes_away_it_answers_those_that_it_took(tmp_path):
    def react(server, stream):
        if server is not served.servers[0]:
            server.answer(stream, b"elsewhere")
        elif stream == 1:
            server.answer(stream)
        elif stream == 5:
            server.leave(3, lambda: server.answer(3, b"taken"))

    async with site(tmp_path, react) as served, served.client() as client:
        assert (await fetch(client, served.url)).body == b"h2"
        outcomes = await asyncio.gather(*(fetch(client, served.url) for _ in range(2)))
        assert sorted(outcome.body for outcome in outcomes) == [b"elsewhere", b"taken"]


async def test_a_stream_that_is_reset_may_be_the_last_of_a_server_that_goes_away(tmp_path):
    def react(server, stream):
        def reset():
            server.h2.reset_stream(stream)
            server.flush()

        server.leave(stream, reset)

    async with site(tmp_path, react) as served, served.client() as client:
        outcome = await fetch(client, served.url)
        assert outcome == NoAnswer("the server reset the stream")
        await all_closed(client)


async def test_a_refused_stream_is_asked_for_again(tmp_path):
    def react(server, stream):
        if stream == 3:
            server.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            server.answer(stream)

    async with site(tmp_path, react) as served, served.client() as client:
        for _ in range(2):
            assert (await fetch(client, served.url)).body == b"h2"
        assert 5 in served.servers[0].headers


@pytest.mark.parametrize(
    ("garbage", "reason"),
    [(b"\0" * 100, "malformed HTTP/2"), (b"HTTP/1.1 " + b"x" * 400_000, "without a frame's end"), (b"", "closed the")],
)
async def test_a_broken_connection_is_told(tmp_path, garbage, reason):
    def react(server, stream):
        server.transport.write(garbage)
        if not garbage:
            server.transport.close()

    async with site(tmp_path, react) as served, served.client() as client:
        outcome = await fetch(client, served.url)
        assert isinstance(outcome, NoAnswer)
        assert reason in outcome.reason


async def test_a_connection_that_fell_silent_is_used_no_more(tmp_path):
    def react(server, stream):
        if len(served.servers) == 1 and stream > 1:
            server.transport.write(b"HTTP/1.1 ")  # the beginning of a frame of 4 MB
        else:
            server.answer(stream)

    async with site(tmp_path, react) as served, served.client() as client:
        assert (await fetch(client, served.url)).body == b"h2"
        assert (await fetch(client, served.url, within=0.2)).timed_out
        assert (await fetch(client, served.url)).body == b"h2"
        assert len(served.servers) == 2


async def test_a_server_that_pings_without_end_loses_its_connection(tmp_path):
    async with site(tmp_path) as served, served.client() as client:
        assert (await fetch(client, served.url)).body == b"h2"
        (server,) = served.servers
        async with asyncio.timeout(10):
            while client._connections._open:
                for _ in range(500):
                    server.h2.ping(b"12345678")
                server.flush()
                await asyncio.sleep(0.001)


async def test_http_1_is_spoken_where_the_configuration_or_the_server_does_not_want_more(tmp_path):
    certificate = Certificate(tmp_path, "server", "127.0.0.1")
    for protocols, http2 in ((("h2", "http/1.1"), False), ((), True), (("http/1.1",), True)):
        context = certificate.server(None, *protocols)
        config = HTTPClientConfig(tls_config=TLSConfig(ca_file=str(certificate.cert)), enable_http2=http2)
        async with (
            raw_server(always(answer(b"one")), ssl=context) as server,
            HTTPClient(config, user_agent="t") as client,
        ):
            for _ in range(2):
                assert (await fetch(client, server.url)).body == b"one"
        assert server.connections == 1
