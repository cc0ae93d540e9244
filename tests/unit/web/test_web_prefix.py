"""All routes below a prefix, and links that have it."""

from __future__ import annotations

import re

import pytest

from unit.web.agent_view import agent_view, serving
from unit.web.raw import exchange, get

pytestmark = pytest.mark.real_time

PAGES = ("/targets", "/remote-write", "/config", "/graph")


@pytest.mark.parametrize(
    ("options", "prefix"),
    [
        ({"route_prefix": "/prom"}, "/prom"),
        ({"route_prefix": "prom/"}, "/prom"),
        ({"external_url": "http://localhost/a/b/"}, "/a/b"),
        ({"external_url": "http://localhost/a", "route_prefix": "/b"}, "/b"),
    ],
    ids=["a prefix", "without slashes around", "the path of the external URL", "both"],
)
async def test_everything_is_below_the_prefix_and_nothing_beside_it(options: dict[str, str], prefix: str) -> None:
    async with agent_view() as view, serving(view, **options) as server:
        assert server.url.endswith(prefix)
        for path in (*PAGES, "/api/v1/targets", "/api/v1/status/config", "/-/healthy", "/metrics", "/static/style.css"):
            assert (await exchange(server, get(f"{prefix}{path}"))).status == 200, path
            assert (await exchange(server, get(path))).status == 404, path
            assert (await exchange(server, get(f"{prefix}x{path}"))).status == 404, path
        missing = await exchange(server, get(f"{prefix}/api/v1/nope"))
        assert missing.headers["content-type"] == ["application/json"]
        assert missing.status == 404
        assert (await exchange(server, get(f"{prefix}/-/reload", method="POST"))).status == 200


@pytest.mark.parametrize(
    ("options", "root"),
    [
        ({"route_prefix": "/prom"}, "/prom"),
        ({"external_url": "http://localhost/prom"}, "/prom"),
        ({"external_url": "http://localhost/outside", "route_prefix": "/prom"}, "/outside"),
    ],
    ids=["a prefix", "an external URL", "both"],
)
async def test_people_are_led_to_the_prefix(options: dict[str, str], root: str) -> None:
    async with agent_view() as view, serving(view, **options) as server:
        for path in ("/", "/prom"):
            answer = await exchange(server, get(path))
            assert (answer.status, answer.headers["location"]) == (302, [f"{root}/"])
            assert answer.headers["x-frame-options"] == ["DENY"]


@pytest.mark.parametrize("path", PAGES)
async def test_links_have_the_path_that_users_see(path: str) -> None:
    options = {"external_url": "https://scout.example/outside", "route_prefix": "/"}
    async with agent_view() as view, serving(view, **options) as server:
        page = (await exchange(server, get(path))).body.decode()
    links = re.findall(r'(?:href|src|action)="([^"#][^"]*)"', page)
    assert len(links) > 5
    assert [link for link in links if not link.startswith("/outside/")] == []
    assert f'<a href="/outside{path}" aria-current="page">' in page
