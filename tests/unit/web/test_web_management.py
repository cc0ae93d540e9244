"""Health, readiness, reload, own metrics, and the headers of every answer."""

from __future__ import annotations

import pytest
from prometheus_client import Counter

from promscout.errors import ConfigError, Problem
from promscout.web.access.origin import Origins
from promscout.web.management import Sender
from unit.web.agent_view import Site

pytestmark = pytest.mark.real_time


async def test_a_running_agent_is_healthy(site: Site) -> None:
    site.view.ready = False
    assert await site.text("/-/healthy") == "promscout is Healthy.\n"


async def test_the_agent_is_ready_when_it_says_so(site: Site) -> None:
    site.view.ready = False
    async with site.client.get("/-/ready") as response:
        assert (response.status, await response.text()) == (503, "Service Unavailable\n")
    site.view.ready = True
    assert await site.text("/-/ready") == "promscout is Ready.\n"


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_reload_reloads(site: Site, method: str) -> None:
    async with site.client.request(method, "/-/reload") as response:
        assert (response.status, await response.text()) == (200, "")
    assert site.view.reloads == 1


async def test_a_refused_reload_tells_every_problem(site: Site) -> None:
    async def refuse() -> None:
        raise ConfigError(
            (Problem("a.yml", 3, 5, "global.x", "unknown key"), Problem("a.yml", 9, 1, "y", "<b> is not a number"))
        )

    site.view.on_reload = refuse
    async with site.client.post("/-/reload") as response:
        assert response.status == 500
        assert response.content_type == "text/plain"
        assert await response.text() == (
            "failed to reload config: a.yml:3:5: global.x: unknown key\na.yml:9:1: y: <b> is not a number\n"
        )


async def test_reading_reload_changes_nothing(site: Site) -> None:
    async with site.client.get("/-/reload") as response:
        assert (response.status, await response.text()) == (405, "Only POST or PUT requests allowed")
        assert response.headers["Allow"] == "POST, PUT"
    assert site.view.reloads == 0


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}],
    ids=["another origin", "an opaque origin", "a foreign host name"],
)
async def test_another_site_cannot_make_a_browser_reload(site: Site, headers: dict[str, str]) -> None:
    async with site.client.post("/-/reload", headers=headers) as response:
        assert response.status == 403
        assert (await response.text()).startswith(("reload refused: ", "refused: "))
    assert site.view.reloads == 0


async def test_a_page_of_this_server_may_reload(site: Site) -> None:
    async with site.client.post("/-/reload", headers={"Origin": site.server.url}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("host", "origin", "peer", "allowed"),
    [
        ("127.0.0.1:9090", None, "127.0.0.1", True),
        ("localhost:9090", None, "::1", True),
        ("[::1]:9090", None, "::1", True),
        ("scout.example", None, "127.0.0.1", True),
        ("SCOUT.example:80", None, "127.0.0.1", True),
        ("evil.example:9090", None, "127.0.0.1", False),
        ("", None, "127.0.0.1", False),
        ("[broken", None, "127.0.0.1", False),
        ("scout.example", "https://scout.example", "192.0.2.7", True),
        ("scout.example", "https://scout.example:8443", "192.0.2.7", False),
        ("evil.example", "http://evil.example", "127.0.0.1", False),
        ("10.0.0.5:9090", "http://10.0.0.5:9090", "192.0.2.7", True),
        ("10.0.0.5:9090", None, "192.0.2.7", False),
        ("10.0.0.5:9090", None, "", False),
        ("127.0.0.1:9090", "", "127.0.0.1", False),
    ],
)
def test_reload_is_for_this_machine_and_own_pages(host: str, origin: str | None, peer: str, allowed: bool) -> None:
    refusal = Sender(host, origin, None, peer).refusal(Origins("scout.example", own_names_only=False), for_all=False)
    assert (refusal == "") is allowed


async def test_own_metrics_come_in_the_format_asked_for(site: Site) -> None:
    Counter("promscout_test", "Counts.", registry=site.view.registry).inc(3)
    async with site.client.get("/metrics") as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "promscout_test_total 3.0\n" in await response.text()
    headers = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with site.client.get("/metrics", headers=headers) as response:
        assert response.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await response.text()).endswith("# EOF\n")


@pytest.mark.parametrize(
    "path",
    [
        "/targets",
        "/config",
        "/",
        "/nope",
        "/api/v1/targets",
        "/api/v1/nope",
        "/metrics",
        "/static/style.css",
        "/-/reload",
    ],
)
async def test_every_answer_forbids_foreign_scripts_framing_and_guessing(site: Site, path: str) -> None:
    async with site.client.get(path, allow_redirects=False) as response:
        headers = response.headers
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'self'",
        "object-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Server" not in headers
