"""What is the same for all endpoints below /api/v1: readiness, refusals, other origins, compression, entity tags."""

from __future__ import annotations

import gzip

import aiohttp
import pytest
from aiohttp import web

from promscout.config import Config
from promscout.errors import InvalidValueError
from promscout.web.api import routes as api
from promscout.web.api.cors import allow_origins
from promscout.web.api.endpoints import Endpoint
from unit.web.agent_view import Site, agent_view, serving

pytestmark = pytest.mark.real_time

AGENT_HAS_NOT = [one for one in api.ENDPOINTS if one.group == "unavailable"]
ALWAYS = ["walreplay", "watches", "remote_write", "notifications", "version"]
TAGGED = [
    "/api/v1/status/config",
    "/api/v1/status/flags",
    "/api/v1/status/buildinfo",
    "/api/v1/features",
    "/api/v1/scrape_pools",
    "/api/v1/openapi.yaml",
    "/api/v1/openapi.json",
]


def path_of(endpoint: Endpoint) -> str:
    return endpoint.path.replace("{name}", "job")


@pytest.mark.parametrize(
    ("path", "method"), [(path_of(one), method) for one in AGENT_HAS_NOT for method in one.methods]
)
@pytest.mark.parametrize("admin", [False, True])
async def test_what_an_agent_has_not_is_refused_in_words_that_clients_know(path: str, method: str, admin: bool) -> None:
    async with (
        agent_view() as view,
        serving(view, enable_admin_api=admin) as server,
        aiohttp.request(method, server.url + path, params={"query": "up"}) as response,
    ):
        assert response.status == 422
        assert await response.json() == {
            "status": "error",
            "errorType": "execution",
            "error": "unavailable with Prometheus Agent",
        }


@pytest.mark.parametrize("stopping", [False, True])
@pytest.mark.parametrize("endpoint", api.ENDPOINTS, ids=lambda one: one.path)
async def test_an_agent_that_is_not_ready_says_so_except_about_itself(
    site: Site, endpoint: Endpoint, stopping: bool
) -> None:
    site.view.ready, site.view.stopping = False, stopping
    async with site.client.request(endpoint.methods[0], path_of(endpoint)) as response:
        if endpoint.path.rpartition("/")[2] in ALWAYS:
            assert response.status == 200
            return
        assert response.status == 503
        assert response.content_type == "text/plain"
        assert await response.text() == "Service Unavailable"
        assert response.headers["X-Prometheus-Stopping"] == str(stopping).lower()


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/v1/query", "GET, OPTIONS, POST"),
        ("POST", "/api/v1/label/job/values", "GET, OPTIONS"),
        ("GET", "/api/v1/admin/tsdb/snapshot", "OPTIONS, POST, PUT"),
        ("DELETE", "/api/v1/status/config", "GET, OPTIONS"),
    ],
)
async def test_a_method_that_is_not_there_is_refused_with_those_that_are(
    site: Site, method: str, path: str, allowed: str
) -> None:
    async with site.client.request(method, path) as response:
        assert response.status == 405
        assert response.headers["Allow"] == allowed
        assert await response.text() == "Method Not Allowed\n"


@pytest.mark.parametrize(
    ("path", "status"), [("/api/v1/targets", 204), ("/api/v1/nope", 204), ("/api/v1/", 204), ("/api/x", 404)]
)
async def test_options_are_answered_below_the_api(site: Site, path: str, status: int) -> None:
    async with site.client.options(path, headers={"Origin": "http://other.example"}) as response:
        assert response.status == status
        assert not [name for name in response.headers if name.startswith("Access-Control-")]
    site.view.ready = False
    async with site.client.options(path) as response:
        assert response.status == (503 if status == 204 else status)


@pytest.mark.parametrize(
    ("pattern", "origin", "allowed"),
    [
        ("", "http://a.example", None),
        (".*", "http://a.example", "*"),
        ("http://(a|b)[.]example", "http://a.example", "http://a.example"),
        ("http://(a|b)[.]example", "http://b.example", "http://b.example"),
        ("http://(a|b)[.]example", "http://a.example.evil.example", None),
        ("http://(a|b)[.]example", "null", None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
async def test_pages_of_origins_that_were_chosen_may_read_the_api(
    pattern: str, origin: str, allowed: str | None, method: str
) -> None:
    async with agent_view() as view, serving(view, cors_origin=pattern) as server:
        url, headers = f"{server.url}/api/v1/scrape_pools", {"Origin": origin}
        async with aiohttp.request(method, url, headers=headers) as response:
            assert response.headers.get("Access-Control-Allow-Origin") == allowed
            assert ("Access-Control-Allow-Methods" in response.headers) is (allowed is not None)
            assert ("Origin" in response.headers.get("Vary", "")) is bool(pattern)
        async with aiohttp.request("GET", f"{server.url}/-/healthy", headers=headers) as response:
            assert "Access-Control-Allow-Origin" not in response.headers


async def test_without_an_origin_nothing_is_said_about_origins() -> None:
    async with (
        agent_view() as view,
        serving(view, cors_origin=".*") as server,
        aiohttp.request("GET", f"{server.url}/api/v1/targets") as response,
    ):
        assert response.headers["Vary"] == "Accept-Encoding, Origin"
        assert not [name for name in response.headers if name.startswith("Access-Control-")]


def test_a_pattern_for_origins_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(InvalidValueError, match="error parsing regexp"):
        allow_origins(web.Application(), "(")


@pytest.mark.parametrize("path", TAGGED)
async def test_what_the_client_has_already_is_not_sent_again(site: Site, path: str) -> None:
    async with site.client.get(path) as response:
        tag, body = response.headers["ETag"], await response.read()
        assert response.headers["Cache-Control"] == "no-cache"
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        async with site.client.get(path, headers={"If-None-Match": known}) as response:
            assert response.status == 304
            assert response.headers["ETag"] == tag
            assert await response.read() == b""
    for unknown in ('"other"', "nonsense", ""):
        async with site.client.get(path, headers={"If-None-Match": unknown}) as response:
            assert response.status == 200
            assert await response.read() == body


async def test_another_content_has_another_tag(site: Site) -> None:
    async with site.client.get("/api/v1/status/config") as response:
        tag = response.headers["ETag"]
    site.view.config = Config(text="other: {}\n")
    async with site.client.get("/api/v1/status/config", headers={"If-None-Match": tag}) as response:
        assert response.status == 200
        assert (await response.json())["data"] == {"yaml": "other: {}\n"}


@pytest.mark.parametrize("size", [2_000, 900_000])
async def test_long_answers_are_compressed_where_the_client_reads_gzip(site: Site, size: int) -> None:
    site.view.config = Config(text="# comment\n" * (size // 10))
    bodies = {}
    for coding in ("identity", "gzip"):
        async with site.client.get(
            "/api/v1/status/config", headers={"Accept-Encoding": coding}, auto_decompress=False
        ) as response:
            assert response.headers.get("Content-Encoding", "identity") == coding
            assert response.headers["Vary"] == "Accept-Encoding"
            bodies[coding] = await response.read()
    assert gzip.decompress(bodies["gzip"]) == bodies["identity"]
    assert len(bodies["gzip"]) < len(bodies["identity"]) / 5


async def test_short_answers_are_sent_as_they_are(site: Site) -> None:
    async with site.client.get("/api/v1/scrape_pools", headers={"Accept-Encoding": "gzip"}) as response:
        assert "Content-Encoding" not in response.headers


async def test_refusals_have_no_tag(site: Site) -> None:
    async with site.client.get("/api/v1/metadata?limit=x", headers={"If-None-Match": "*"}) as response:
        assert response.status == 400
        assert "ETag" not in response.headers


async def test_refusals_and_origins_are_the_same_below_a_prefix() -> None:
    async with (
        agent_view() as view,
        serving(view, route_prefix="/scout", cors_origin=".*") as server,
        aiohttp.ClientSession(headers={"Origin": "http://a.example"}) as client,
    ):
        assert server.url.endswith("/scout")
        for method, path, status in (
            ("GET", "/api/v1/nope", 404),
            ("OPTIONS", "/api/v1/nope", 204),
            ("DELETE", "/api/v1/targets", 405),
            ("GET", "/api/v1/targets", 200),
        ):
            async with client.request(method, server.url + path) as response:
                assert response.status == status
                assert response.headers["Access-Control-Allow-Origin"] == "*"
                if status == 404:
                    assert (await response.json())["errorType"] == "not_found"
