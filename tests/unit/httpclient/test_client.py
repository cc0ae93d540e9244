from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from promscout.httpclient.answer import Answer, NoAnswer
from promscout.httpclient.client import HTTPClient
from promscout.httpclient.config import (
    URL,
    Authorization,
    BasicAuth,
    Header,
    HTTPClientConfig,
    OAuth2,
    Secret,
    TLSConfig,
)
from promscout.model.frozendict import FrozenDict
from unit.httpclient.certificates import Certificate

pytestmark = pytest.mark.real_time

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = web.Server(handler)
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def echo(request: web.BaseRequest) -> web.Response:
    return web.json_response({"path": request.path_qs, "headers": list(request.headers.items())})


@asynccontextmanager
async def answer(config: HTTPClientConfig, url: str, **options: object) -> AsyncIterator[aiohttp.ClientResponse]:
    async with HTTPClient(config, user_agent="test/1") as client, client.request("GET", url, **options) as response:
        yield response


async def headers_sent(config: HTTPClientConfig, **options: object) -> list[tuple[str, str]]:
    async with serving(echo) as url, answer(config, url, timeout=5, **options) as response:
        return [(name, value) for name, value in (await response.json())["headers"] if name != "Host"]


async def status(config: HTTPClientConfig, url: str) -> int:
    """The status of the answer, which is the same, or fails with the same words, for both ways to ask."""
    async with HTTPClient(config, user_agent="test/1") as client:
        deadline = asyncio.get_running_loop().time() + 5
        fetched = await client.fetch("GET", url, headers={}, limit=1 << 20, deadline=deadline)
    try:
        async with answer(config, url, timeout=5) as response:
            asked: int | aiohttp.ClientError = response.status
    except aiohttp.ClientError as error:
        asked = error
    if isinstance(asked, int):
        assert isinstance(fetched, Answer), fetched
        assert fetched.status == asked
        return asked
    assert isinstance(fetched, NoAnswer)
    if not isinstance(asked, aiohttp.ClientConnectionError):  # these name places and numbers besides
        assert fetched.reason == str(asked)
    raise asked


async def authorization_sent(client: HTTPClient, url: str) -> str | None:
    async with client.request("GET", url, timeout=5) as response:
        return dict((await response.json())["headers"]).get("Authorization")


async def test_a_plain_client_sends_its_user_agent_and_no_authorization():
    sent = dict(await headers_sent(HTTPClientConfig(), auto_decompress=False))
    assert sent == {"User-Agent": "test/1", "Accept": "*/*"}


@pytest.mark.parametrize(
    ("config", "value"),
    [
        (HTTPClientConfig(bearer_token=Secret("t")), "Bearer t"),
        (HTTPClientConfig(authorization=Authorization(type="Token", credentials=Secret("t"))), "Token t"),
        (HTTPClientConfig(basic_auth=BasicAuth(username="ü", password=Secret("p:w"))), "Basic w7w6cDp3"),
    ],
)
async def test_credentials_become_an_authorization_header(config, value):
    assert dict(await headers_sent(config))["Authorization"] == value


async def test_headers_of_the_request_win_over_configured_ones():
    config = HTTPClientConfig(
        bearer_token=Secret("t"),
        http_headers=FrozenDict({"X-A": Header(values=("1", "2")), "X-B": Header(secrets=(Secret("3"),))}),
    )
    sent = await headers_sent(config, headers={"Authorization": "mine", "x-b": "4"})
    assert [value for name, value in sent if name == "X-A"] == ["1", "2"]
    assert [value for name, value in sent if name.lower() == "x-b"] == ["4"]
    assert [value for name, value in sent if name == "Authorization"] == ["mine"]


async def test_credentials_in_files_are_read_again_when_they_change(tmp_path):
    token, header = tmp_path / "token", tmp_path / "header"
    token.write_text("one\n")
    header.write_text("h")
    config = HTTPClientConfig(
        authorization=Authorization(credentials_file=str(token)),
        http_headers=FrozenDict({"X-A": Header(files=(str(header),))}),
    )
    async with serving(echo) as url, HTTPClient(config, user_agent="t") as client:
        assert await authorization_sent(client, url) == "Bearer one"
        other = tmp_path / "other"
        other.write_text("two")
        other.rename(token)
        assert await authorization_sent(client, url) == "Bearer two"
        token.unlink()
        with pytest.raises(aiohttp.ClientError, match=r"unable to read authorization credentials: .*No such file.*tok"):
            await authorization_sent(client, url)


async def test_redirects_are_followed_only_if_configured():
    async def redirect(request: web.BaseRequest) -> web.Response:
        return (
            await echo(request)
            if request.path == "/there"
            else web.Response(status=302, headers={"Location": "/there"})
        )

    async with serving(redirect) as url:
        for follow, status in ((True, 200), (False, 302)):
            async with answer(HTTPClientConfig(follow_redirects=follow), url, timeout=5) as response:
                assert response.status == status


async def test_credentials_do_not_follow_a_redirect_to_another_origin():
    config = HTTPClientConfig(bearer_token=Secret("t"), http_headers=FrozenDict({"Cookie": Header(values=("c=1",))}))
    async with serving(echo) as elsewhere:

        async def redirect(request: web.BaseRequest) -> web.Response:
            assert request.headers["Authorization"] == "Bearer t"
            return web.Response(status=307, headers={"Location": elsewhere})

        async with serving(redirect) as url, answer(config, url, timeout=5) as response:
            sent = dict((await response.json())["headers"])
    assert "Authorization" not in sent
    assert "Cookie" not in sent


async def test_the_password_of_a_url_is_sent_unless_there_are_other_credentials():
    async with serving(echo) as url:
        target = URL.parse(url.replace("//", "//u:p@"))
        for config, value in (
            (HTTPClientConfig(), "Basic dTpw"),
            (HTTPClientConfig(bearer_token=Secret("t")), "Bearer t"),
        ):
            async with HTTPClient(config, user_agent="t") as client:
                assert await authorization_sent(client, target) == value


async def test_a_request_ends_at_its_time_limit():
    async def slow(request: web.BaseRequest) -> web.Response:
        await asyncio.sleep(0.3)
        return web.Response()

    async with serving(slow) as url, HTTPClient(HTTPClientConfig(), user_agent="t") as client:
        with pytest.raises(TimeoutError):
            async with client.request("GET", url, timeout=0.05):
                pass


async def test_an_answer_that_goes_on_for_ever_can_be_read_and_left():
    async def endless(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(500):
            await response.write(b"line\n")
            await asyncio.sleep(0.01)
        return response

    async with serving(endless) as url, answer(HTTPClientConfig(), url) as response:
        assert await response.content.readline() == b"line\n"


async def test_a_client_outside_its_context_is_refused():
    with pytest.raises(RuntimeError, match="outside its context"):
        async with HTTPClient(HTTPClientConfig(), user_agent="t").request("GET", "http://127.0.0.1:1/"):
            pass


async def test_requests_go_through_the_proxy_with_its_password():
    async def proxy(request: web.BaseRequest) -> web.Response:
        return web.json_response({"path": str(request.url), "headers": list(request.headers.items())})

    async with serving(proxy) as url:
        config = HTTPClientConfig(proxy_url=URL.parse(url.replace("//", "//u:p@")))
        async with answer(config, "http://target.invalid/metrics", timeout=5) as response:
            seen = await response.json()
    assert seen["path"] == "http://target.invalid/metrics"
    assert dict(seen["headers"])["Proxy-Authorization"] == "Basic dTpw"


class Tunnel:
    """A proxy that tunnels to wherever CONNECT says, or refuses."""

    def __init__(self, *, refuse: bool = False) -> None:
        self.requests: list[str] = []
        self._refuse = refuse

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            if self._refuse:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            else:
                host, port = self.requests[-1].split()[1].rsplit(":", 1)
                there, back = await asyncio.open_connection(host, int(port))
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
            await writer.drain()
        writer.close()

    @staticmethod
    async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self, "127.0.0.1", 0)
        async with server:
            yield f"http://u:hunter2@127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_https_goes_through_a_tunnel_with_its_own_headers(tmp_path):
    server, tunnel = Certificate(tmp_path, "server", "127.0.0.1"), Tunnel()
    async with serving(echo, server.server()) as url, tunnel.running() as proxy:
        config = HTTPClientConfig(
            proxy_url=URL.parse(proxy),
            proxy_connect_header=FrozenDict({"X-A": (Secret("1"), Secret("2"))}),
            tls_config=TLSConfig(ca_file=str(server.cert)),
            bearer_token=Secret("t"),
        )
        async with HTTPClient(config, user_agent="t") as client:
            assert await authorization_sent(client, url) == "Bearer t"
            assert await authorization_sent(client, url) == "Bearer t"
        await asyncio.sleep(0.05)
    (request,) = tunnel.requests
    assert request.startswith(f"CONNECT {url.removeprefix('https://')} HTTP/1.1")
    assert "X-A: 1\r\nX-A: 2\r\n" in request
    assert "Proxy-Authorization: Basic" in request
    assert "Bearer" not in request


async def test_a_proxy_that_refuses_is_an_error_without_its_password():
    async with Tunnel(refuse=True).running() as proxy:
        with pytest.raises(aiohttp.ClientError, match="407") as caught:
            await status(HTTPClientConfig(proxy_url=URL.parse(proxy)), "https://127.0.0.1:1/")
    assert "hunter2" not in str(caught.value) + repr(caught.value)


async def test_a_header_that_cannot_be_sent_is_an_error_without_the_header(tmp_path):
    token = tmp_path / "token"
    token.write_text("hunter2\nhunter2\n")
    config = HTTPClientConfig(bearer_token_file=str(token))
    async with serving(echo) as url:
        with pytest.raises(aiohttp.ClientError, match="the request cannot be sent") as caught:
            await status(config, url)
    assert "hunter2" not in repr(caught.value)


async def test_redirects_without_an_end_are_an_error_without_credentials():
    async def redirect(request: web.BaseRequest) -> web.Response:
        return web.Response(status=302, headers={"Location": request.path + "x"})

    async with serving(redirect) as url:
        with pytest.raises(aiohttp.ClientError, match="stopped after 10 redirects") as caught:
            await status(HTTPClientConfig(bearer_token=Secret("hunter2")), url)
    assert "hunter2" not in repr(caught.value)


async def test_a_proxy_out_of_reach_is_an_error_without_its_password():
    for url in ("http://127.0.0.1:1/", "https://127.0.0.1:1/"):
        with pytest.raises(aiohttp.ClientError) as caught:
            await status(HTTPClientConfig(proxy_url=URL.parse("http://u:hunter2@127.0.0.1:1")), url)
        assert "hunter2" not in str(caught.value) + repr(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/", "nothing", "http://[::1", "ftp://127.0.0.1/"])
async def test_what_is_no_url_is_a_client_error(url):
    with pytest.raises(aiohttp.ClientError):
        async with answer(HTTPClientConfig(), url, timeout=5):
            pass


class Tokens:
    """A token endpoint that wants the secret where ``in_header`` says."""

    def __init__(self, *, in_header: bool = True, lifetime: object = 3600) -> None:
        self.asked: list[dict[str, str]] = []
        self._in_header = in_header
        self._lifetime = lifetime

    async def __call__(self, request: web.BaseRequest) -> web.Response:
        if request.path != "/token":
            return await echo(request)
        form = dict(await request.post())
        await asyncio.sleep(0.01)
        if ("Authorization" in request.headers) != self._in_header:
            return web.Response(status=401, text="hunter2")
        self.asked.append(form)
        return web.json_response(
            {"access_token": f"t{len(self.asked)}", "token_type": "bearer", "expires_in": self._lifetime}
        )


def oauth2(url: str, **options: object) -> HTTPClientConfig:
    return HTTPClientConfig(oauth2=OAuth2(client_id="i", token_url=f"{url}/token", **options))


@pytest.mark.parametrize("in_header", [True, False])
async def test_an_oauth2_token_is_fetched_once_for_many_requests(in_header):
    tokens = Tokens(in_header=in_header)
    async with serving(tokens) as url:
        config = oauth2(url, client_secret=Secret("s"), scopes=("a", "b"), endpoint_params=FrozenDict({"x": "y"}))
        async with HTTPClient(config, user_agent="t") as client:
            sent = await asyncio.gather(*(authorization_sent(client, url) for _ in range(5)))
            sent.append(await authorization_sent(client, url))
    assert set(sent) == {"Bearer t1"}
    (asked,) = tokens.asked
    own = {} if in_header else {"client_id": "i", "client_secret": "s"}
    assert asked == {"grant_type": "client_credentials", "scope": "a b", "x": "y"} | own


async def test_an_oauth2_token_about_to_expire_is_replaced():
    async with serving(Tokens(lifetime="5")) as url, HTTPClient(oauth2(url), user_agent="t") as client:
        assert [await authorization_sent(client, url) for _ in range(2)] == ["Bearer t1", "Bearer t2"]


async def test_a_new_oauth2_secret_fetches_a_new_token(tmp_path):
    file = tmp_path / "secret"
    file.write_text("one")
    async with (
        serving(Tokens()) as url,
        HTTPClient(oauth2(url, client_secret_file=str(file)), user_agent="t") as client,
    ):
        assert await authorization_sent(client, url) == "Bearer t1"
        file.write_text("another")
        assert await authorization_sent(client, url) == "Bearer t2"


async def test_a_refused_oauth2_token_is_an_error_without_a_secret():
    async def refuse(request: web.BaseRequest) -> web.Response:
        return web.Response(status=403, text="hunter2")

    async with serving(refuse) as url:
        config = oauth2(url, client_secret=Secret("hunter2"))
        with pytest.raises(aiohttp.ClientError, match=r"^cannot fetch an OAuth2 token: 403 Forbidden$"):
            await status(config, url)


async def status_over_tls(config: TLSConfig, url: str) -> int:
    return await status(HTTPClientConfig(tls_config=config), url)


async def test_a_server_is_trusted_by_its_own_certificate(tmp_path):
    server = Certificate(tmp_path, "server", "127.0.0.1")
    async with serving(echo, server.server()) as url:
        assert await status_over_tls(TLSConfig(ca_file=str(server.cert)), url) == 200
        assert await status_over_tls(TLSConfig(ca=server.cert.read_text(), min_version="TLS13"), url) == 200
        assert await status_over_tls(TLSConfig(insecure_skip_verify=True), url) == 200


async def test_an_untrusted_certificate_is_named_in_plain_words(tmp_path):
    server = Certificate(tmp_path, "server", "127.0.0.1")
    async with serving(echo, server.server()) as url:
        with pytest.raises(aiohttp.ClientError, match=r"^the certificate of 127\.0\.0\.1:\d+ is not accepted: self"):
            await status_over_tls(TLSConfig(), url)


async def test_the_server_name_decides_what_the_certificate_must_say(tmp_path):
    server = Certificate(tmp_path, "server", "api.example")
    names = []
    context = server.server()
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with serving(echo, context) as url:
        assert await status_over_tls(TLSConfig(ca_file=str(server.cert), server_name="api.example"), url) == 200
        with pytest.raises(aiohttp.ClientError, match="IP address mismatch"):
            await status_over_tls(TLSConfig(ca_file=str(server.cert)), url)
    assert names[0] == "api.example"


async def test_a_client_certificate_is_presented(tmp_path):
    server, client = Certificate(tmp_path, "server", "127.0.0.1"), Certificate(tmp_path, "client", "client")
    ca = {"ca_file": str(server.cert)}
    async with serving(echo, server.server(client)) as url:
        assert await status_over_tls(TLSConfig(**ca, cert_file=str(client.cert), key_file=str(client.key)), url) == 200
        text = {"cert": client.cert.read_text(), "key": Secret(client.key.read_text())}
        assert await status_over_tls(TLSConfig(**ca, **text), url) == 200
        with pytest.raises((aiohttp.ClientError, OSError)):
            await status_over_tls(TLSConfig(**ca), url)


async def test_a_new_certificate_file_is_used_for_new_connections(tmp_path):
    old, new = Certificate(tmp_path, "old", "127.0.0.1"), Certificate(tmp_path, "new", "127.0.0.1")
    trusted = tmp_path / "ca.crt"
    trusted.write_bytes(old.cert.read_bytes())
    config = HTTPClientConfig(tls_config=TLSConfig(ca_file=str(trusted)))
    async with HTTPClient(config, user_agent="t") as client, serving(echo, new.server()) as url:
        with pytest.raises(aiohttp.ClientError, match="is not accepted"):
            await authorization_sent(client, url)
        trusted.write_bytes(old.cert.read_bytes() + new.cert.read_bytes())
        assert await authorization_sent(client, url) is None


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TLSConfig(ca_file="/nowhere/ca"), "unable to set up TLS: .*No such file.*/nowhere/ca"),
        (TLSConfig(ca="hunter2"), "unable to set up TLS: unable to use specified CA cert: it holds no PEM certificate"),
        (TLSConfig(cert="x", key=Secret("hunter2")), "unable to set up TLS: unable to use specified client cert & key"),
    ],
)
async def test_certificates_that_cannot_be_used_are_errors_without_secrets(config, message):
    with pytest.raises(aiohttp.ClientError, match=message) as caught:
        await status_over_tls(config, "https://127.0.0.1:1/")
    assert "hunter2" not in str(caught.value)
