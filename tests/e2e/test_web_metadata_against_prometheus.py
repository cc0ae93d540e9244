"""The API for metadata answers as a real Prometheus that scrapes the same targets does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from promscout.model.clock import SystemClock
from promscout.model.duration import Duration
from promscout.model.group import TargetGroup
from promscout.scrape.config import DEFAULT_PROTOCOLS, ScrapeConfig
from unit.web.agent_view import agent_view, serving

BODIES = [
    r"""# HELP a_total What \\ is\nit "for"?
# TYPE a_total counter
a_total 1
# TYPE b untyped
b 1
c 1
# TYPE h histogram
h_bucket{le="+Inf"} 1
h_sum 1
h_count 1
# HELP nothing Without a sample.
""",
    """# HELP a_total Another.
# TYPE a_total gauge
a_total 1
# TYPE s summary
s_sum 1
s_count 1
""",
]
MOMENT = Duration.parse("100ms")


@asynccontextmanager
async def exporter(body: str) -> AsyncIterator[str]:
    """The address of a server that exposes ``body``."""

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(text=body, headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@dataclass
class Pair:
    """Both servers; every target was scraped."""

    theirs: str
    ours: str
    targets: list[str]

    async def ask(self, path: str) -> list[tuple[int, Any]]:
        """Prometheus's answer and ours."""
        answers = []
        async with aiohttp.ClientSession() as client:
            for url in (self.theirs, self.ours):
                async with client.get(f"{url}/api/v1/{path}") as response:
                    assert response.content_type == "application/json"
                    answers.append((response.status, await response.json()))
        return answers


async def wait_until_scraped(url: str) -> None:
    """Returns when all targets are up."""
    for _ in range(300):
        async with aiohttp.request("GET", f"{url}/api/v1/targets") as response:
            targets = (await response.json())["data"]["activeTargets"]
        if [target["health"] for target in targets] == ["up"] * len(BODIES):
            return
        await asyncio.sleep(0.1)
    pytest.fail(f"{url} has not scraped its targets: {targets}")


@pytest.fixture
async def pair(prometheus: Callable[..., Any]) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        addresses = [await stack.enter_async_context(exporter(body)) for body in BODIES]
        job = {"job_name": "j", "scrape_interval": "100ms", "scrape_timeout": "100ms"}
        peer = await prometheus({"scrape_configs": [job | {"static_configs": [{"targets": addresses}]}]})
        view = await stack.enter_async_context(agent_view(SystemClock()))
        server = await stack.enter_async_context(serving(view))
        view.scrape.apply_config(
            [
                ScrapeConfig(
                    job_name="j", scrape_interval=MOMENT, scrape_timeout=MOMENT, scrape_protocols=DEFAULT_PROTOCOLS
                )
            ]
        )
        group = TargetGroup.of("0", [{"__address__": address} for address in addresses])
        view.scrape.pools["j"].sync({("static/0", "0"): group})
        for url in (peer.url, server.url):
            await wait_until_scraped(url)
        yield Pair(peer.url, server.url, addresses)


def comparable(data: Any) -> Any:
    """Prometheus tells targets, metrics and what is said of them in random order; fields come in order."""
    if isinstance(data, list):
        return sorted(str(list(entry.items())) for entry in data)
    return {name: sorted(str(list(one.items())) for one in said) for name, said in data.items()}


async def test_metadata_are_told_as_prometheus_tells_them(pair: Pair) -> None:
    first = pair.targets[0]
    for path in (
        "targets/metadata",
        "targets/metadata?metric=a_total",
        "targets/metadata?metric=nope",
        "targets/metadata?limit=0",
        "targets/metadata?limit=100",
        "targets/metadata?limit=-3",
        f'targets/metadata?match_target={{instance="{first}"}}',
        f'targets/metadata?limit=1&match_target={{instance="{first}"}}',
        f'targets/metadata?metric=b&match_target={{job=~"j|k",instance!="{first}"}}',
        "targets/metadata?match_target={}",
        "targets/metadata?match_target=up",
        'targets/metadata?match_target={"job"="j",}',
        'targets/metadata?match_target={"up"}',
        'targets/metadata?match_target=up{"x",__name__="y"}',
        "metadata",
        "metadata?metric=a_total",
        "metadata?metric=nope",
        "metadata?limit=0",
        "metadata?limit=100&limit_per_metric=0",
        "metadata?limit_per_metric=-1",
    ):
        (status, theirs), (our_status, ours) = await pair.ask(path)
        assert (status, theirs["status"]) == (200, "success"), (path, theirs)
        assert (our_status, ours["status"]) == (200, "success"), (path, ours)
        assert comparable(ours["data"]) == comparable(theirs["data"]), path


async def test_limits_leave_as_much_as_prometheus_leaves(pair: Pair) -> None:
    for path, counts in (
        ("metadata?limit=2", len),
        ("metadata?metric=a_total&limit_per_metric=1", lambda data: [len(said) for said in data.values()]),
        ("targets/metadata?limit=1&metric=a_total", len),
    ):
        (_, theirs), (_, ours) = await pair.ask(path)
        assert counts(ours["data"]) == counts(theirs["data"]), path


async def test_refusals_are_those_of_prometheus(pair: Pair) -> None:
    for path in (
        "targets/metadata?limit=x",
        "metadata?limit=1.5",
        "metadata?limit_per_metric=x",
    ):
        theirs, ours = await pair.ask(path)
        assert ours == theirs, path
    for selector in ("{", "{job}", "{job=}", '{job="a" x="b"}', "{,}", '{job=~"("}', '{job="\\q"}', " "):
        (status, theirs), (our_status, ours) = await pair.ask(f"targets/metadata?match_target={selector}")
        assert (our_status, ours["errorType"]) == (status, theirs["errorType"]) == (400, "bad_data"), selector
        start = 'invalid parameter "match_target": '
        assert ours["error"].startswith(start), selector
        assert theirs["error"].startswith(start), selector
