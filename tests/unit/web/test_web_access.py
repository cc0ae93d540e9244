"""Who may come in: what gets past neither passwords, nor names, nor paths. Everything is sent as bytes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import bcrypt
import pytest

from promscout.web import WebServer, management
from promscout.web import server as server_module
from promscout.web.access import config_file as web_config_file
from unit.web.agent_view import View, agent_view, serving
from unit.web.raw import Answer, connect, exchange, get

pytestmark = pytest.mark.real_time

TOKEN = "a-token-that-nobody-guesses"


def basic(user: str | bytes, password: str | bytes) -> str:
    parts = [part.encode() if isinstance(part, str) else part for part in (user, password)]
    return f"Authorization: Basic {base64.b64encode(b':'.join(parts)).decode()}"


def bearer(token: str) -> str:
    return f"Authorization: Bearer {token}"


ALICE = basic("alice", "hunter2")

PATHS = (
    "/",
    "/targets",
    "/metrics",
    "/config",
    "/static/style.css",
    "/static/",
    "/nope",
    "/api/v1/targets",
    "/api/v1/nope",
    "/-/healthy",
    "/-/ready",
    "//metrics",
    "/./metrics",
    "/../metrics",
    "/static/../metrics",
    "/static/..%2fmetrics",
    "/%2e/metrics",
    "/%2e%2e/metrics",
    "/metrics;a=b",
    "/;/metrics",
    "/metrics/",
    "/metrics%00",
    "/metrics%20",
    "/%6detrics",
    "/-/healthy/../../metrics",
    "/metrics?a=/-/healthy",
    "/metrics#/-/healthy",
    "http://localhost/metrics",
    "http://alice:hunter2@localhost/metrics",
)


@pytest.fixture
async def view() -> AsyncIterator[View]:
    async with agent_view() as made:
        yield made


@pytest.fixture
async def closed(view: View, tmp_path: Path) -> AsyncIterator[WebServer]:
    """A server that wants alice's password, or a token."""
    hashed = bcrypt.hashpw(b"hunter2", bcrypt.gensalt(4)).decode()
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    file = tmp_path / "web.yml"
    file.write_text(f"basic_auth_users: {{alice: {hashed}}}\nbearer_tokens: {{ci: 'sha256:{digest}'}}\n")
    async with serving(view, config_file=file, enable_lifecycle=True) as server:
        yield server


def is_refused(answer: Answer) -> bool:
    return (
        answer.status == 401
        and answer.headers["www-authenticate"] == ["Basic", "Bearer"]
        and answer.body == b"Unauthorized\n"
    )


@pytest.mark.parametrize(
    "headers", [ALICE, ALICE.replace("Basic", "basic"), bearer(TOKEN)], ids=["password", "case", "token"]
)
async def test_a_password_or_a_token_lets_in(closed: WebServer, headers: str) -> None:
    assert (await exchange(closed, get("/-/healthy", headers))).body == b"promscout is Healthy.\n"


@pytest.mark.parametrize("path", PATHS)
async def test_no_path_is_excepted(closed: WebServer, path: str) -> None:
    assert is_refused(await exchange(closed, get(path)))


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
async def test_no_method_is_excepted(closed: WebServer, view: View, method: str) -> None:
    for path in ("/metrics", "/-/reload", "/-/quit", "*"):
        answer = await exchange(closed, get(path, "X-HTTP-Method-Override: GET", "Content-Length: 0", method=method))
        assert answer.status in (400, 401)
    assert (view.reloads, view.stops) == (0, 0)


@pytest.mark.parametrize(
    "headers",
    [
        basic("alice", "hunter3"),
        basic("alice", ""),
        basic("", ""),
        basic("Alice", "hunter2"),
        basic("alice ", "hunter2"),
        basic("bob", "hunter2"),
        basic("alice\0", "hunter2"),
        basic("alice", "hunter2\0"),
        basic(b"\xff\xfe", "hunter2"),
        basic("alice", "x" * 3000),
        basic("alice", "x" * 5000),
        "Authorization: Basic",
        "Authorization: Basic ",
        "Authorization: Basic !!!!",
        "Authorization: Basic YWxpY2U",
        f"{ALICE}=",
        f"{ALICE} x",
        ALICE.replace("Basic ", "Basic"),
        ALICE.replace("Basic", "Negotiate"),
        ALICE.replace("Basic", "Bearer"),
        ALICE.replace("Authorization", "Proxy-Authorization"),
        ALICE.replace("Authorization", "X-Authorization"),
        "Authorization: alice:hunter2",
        f"{ALICE}\r\n{ALICE}",
        f"{basic('bob', 'x')}\r\n{ALICE}",
        f"{ALICE}\r\nAuthorization:",
        bearer(""),
        bearer(TOKEN[:-1]),
        bearer(TOKEN.upper()),
        bearer(hashlib.sha256(TOKEN.encode()).hexdigest()),
        bearer("tök\xffen"),
        basic("", TOKEN),
        basic(TOKEN, ""),
        f"Cookie: Authorization={TOKEN}",
        "X-Forwarded-For: 127.0.0.1",
        "X-Original-URL: /-/healthy",
        "X-Forwarded-User: alice",
    ],
)
async def test_no_other_credentials_let_in(closed: WebServer, headers: str) -> None:
    assert is_refused(await exchange(closed, get("/metrics", headers)))


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /metrics HTTP/1.0\r\n\r\n", 401),
        (b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
        (b"GET /metrics HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 401),
        (b"GET /met\0rics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\nConnection: close\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n folded: x\r\nConnection: close\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nHost : localhost\r\nConnection: close\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: a\r\n" * 500 + b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03<script>", 400),
        (b"<script>alert(1)</script>\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc", 400),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 401),
    ],
)
async def test_odd_requests_are_refused_in_words_of_our_own(
    closed: WebServer, request_bytes: bytes, status: int
) -> None:
    answer = await exchange(closed, request_bytes)
    assert answer.status == status
    assert answer.headers["x-content-type-options"] == ["nosniff"]
    assert answer.headers["content-security-policy"][0].startswith("default-src 'self'")
    assert answer.headers["content-type"] == ["text/plain; charset=utf-8"]
    assert "server" not in answer.headers
    for part in (b"script", b"evil", b"aaa", b"Traceback", b"aiohttp", b"Python"):
        assert part not in answer.body


async def test_requests_behind_one_that_is_let_in_need_credentials_too(closed: WebServer) -> None:
    first = get("/-/healthy", ALICE).replace(b"Connection: close\r\n", b"")
    async with asyncio.timeout(10):
        reader, writer = await connect(closed)
        writer.write(first + get("/metrics"))
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
    assert received.count(b"HTTP/1.1 200") == 1
    assert received.count(b"HTTP/1.1 401") == 1


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("127.0.0.1:1", 200),
        ("[::1]", 200),
        ("evil.example", 403),
        ("evil.example:9090", 403),
        ("", 403),
    ],
)
async def test_on_loopback_foreign_names_are_refused(view: View, host: str, status: int) -> None:
    async with serving(view) as server:
        assert (await exchange(server, get("/metrics", host=host))).status == status
        assert (await exchange(server, get(f"http://{host or 'x.example'}/metrics"))).status == status
        assert (await exchange(server, get("/metrics", host=host, method="POST"))).status in (403, 405)


async def test_the_name_of_the_external_url_is_none_of_them(view: View) -> None:
    async with serving(view, external_url="https://scout.example:8443/") as server:
        assert (await exchange(server, get("/metrics", host="scout.example"))).status == 200


async def test_with_credentials_any_name_will_do(closed: WebServer) -> None:
    assert (await exchange(closed, get("/-/healthy", ALICE, host="promscout.monitoring:9090"))).status == 200


async def test_where_others_can_connect_any_name_will_do(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_is_loopback", lambda sock: False)  # tests may not listen for others
    async with serving(view) as server:
        assert (await exchange(server, get("/metrics", host="promscout.monitoring:9090"))).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../pages.py",
        "/static/..%2fpages.py",
        "/static/%2e%2e/pages.py",
        "/static/%252e%252e/pages.py",
        "/static/..\\pages.py",
        "/static/..%5cpages.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/....//pages.py",
        "/static/style.css/../../pages.py",
        "/static/style.css%00.js",
        "/static/%c0%ae%c0%ae/pages.py",
        "/static/.",
        "/static/",
        "/static",
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "file:///etc/passwd",
    ],
)
async def test_no_path_leads_to_other_files(view: View, path: str) -> None:
    async with serving(view) as server:
        answer = await exchange(server, get(path))
    assert answer.status in (400, 403, 404)
    assert b"import" not in answer.body
    assert b"root:" not in answer.body


@pytest.mark.parametrize(
    "value", ["%0d%0aX-Evil:%201", "%0aX-Evil: 1".replace(" ", "%20"), "%E5%98%8D%E5%98%8AX-Evil:1", "\\r\\nX-Evil:1"]
)
async def test_no_value_makes_a_header(view: View, value: str) -> None:
    async with serving(view, route_prefix="/scout", external_url="http://localhost/scout") as server:
        for path in (f"/scout/?a={value}", f"/?{value}", f"/scout?{value}", f"/scout/graph?match={value}", f"/{value}"):
            answer = await exchange(server, get(path))
            assert "x-evil" not in answer.headers
            assert answer.headers.get("location", ["/scout/"])[0].startswith("/scout/")


async def test_more_parameters_than_anybody_needs_are_refused(view: View) -> None:
    async with serving(view) as server:
        assert (await exchange(server, get("/targets?" + "&" * 999))).status == 200
        assert (await exchange(server, get("/targets?" + "&" * 1000))).status == 400


async def test_requests_beyond_the_rate_are_refused(view: View, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text("rate_limit: {interval: 1h, burst: 2}\n")
    async with serving(view, config_file=file) as server:
        answers = [await exchange(server, get("/-/healthy")) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 429, 429]
    assert answers[3].body == b"Too Many Requests\n"
    assert answers[3].headers["x-frame-options"] == ["DENY"]


async def test_headers_that_are_configured_take_the_place_of_ours(view: View, tmp_path: Path) -> None:
    file = tmp_path / "web.yml"
    file.write_text(
        "http_server_config: {headers: {Strict-Transport-Security: max-age=7, X-Frame-Options: sameorigin, "
        "Content-Security-Policy: ''}}\n"
    )
    async with serving(view, config_file=file) as server:
        for request in (get("/targets"), get("/nope"), b"GARBAGE\r\n\r\n"):
            headers = (await exchange(server, request)).headers
            assert headers["strict-transport-security"] == ["max-age=7"]
            assert headers["x-frame-options"] == ["sameorigin"]
            assert headers["content-security-policy"][0].startswith("default-src 'self'")


async def test_what_has_data_is_kept_by_no_cache(view: View) -> None:
    async with serving(view) as server:
        for path in ("/targets", "/api/v1/targets", "/metrics", "/nope", "/-/healthy"):
            assert (await exchange(server, get(path))).headers["cache-control"] == ["no-store"]
        assert (await exchange(server, get("/static/style.css"))).headers["cache-control"] == ["no-cache"]


async def test_a_fault_of_ours_shows_nothing_of_itself_and_is_logged(
    view: View, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(management, "choose_encoder", None)  # to be called
    async with serving(view) as server:
        answer = await exchange(server, get("/metrics", "Accept: text/html"))
    assert answer.status == 500
    assert answer.headers["x-content-type-options"] == ["nosniff"]
    assert "server" not in answer.headers
    for part in (b"Traceback", b"NoneType", b"aiohttp", b".py"):
        assert part not in answer.body
    assert [record.exc_info is not None for record in caplog.records if record.levelname == "ERROR"] == [True]


async def test_a_changed_password_counts_for_connections_that_are_open(
    view: View, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_config_file, "LOOK_SECONDS", 0.0)
    file = tmp_path / "web.yml"
    hashes = [bcrypt.hashpw(password, bcrypt.gensalt(4)).decode() for password in (b"hunter2", b"swordfish")]
    file.write_text(f"basic_auth_users: {{alice: {hashes[0]}}}\n")
    async with serving(view, config_file=file) as server:
        reader, writer = await connect(server)

        async def status() -> bytes:
            writer.write(f"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n{ALICE}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            return head.split()[1]

        assert await status() == b"200"
        file.write_text(f"basic_auth_users: {{alice: {hashes[1]}}}\n# another length\n")
        assert await status() == b"401"
        writer.close()
        await writer.wait_closed()
