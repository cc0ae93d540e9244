"""An agent as the web server sees it, with pools made by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from prometheus_client import CollectorRegistry

from promscout.config import Config
from promscout.discovery.manager import DiscoveryManager
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.model.clock import Clock
from promscout.model.duration import Duration
from promscout.model.group import TargetGroup
from promscout.model.series import SampleBatch
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.history import noted
from promscout.scrape.loop_appender import LoopAppender
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.metrics import ScrapeMetrics
from promscout.scrape.options import ScrapeContext
from promscout.scrape.pool import ActiveTarget
from promscout.scrape.report import Report
from promscout.scrape.transport import Fetched
from promscout.store.local import LocalStore
from promscout.web import ConfigStatus, WebOptions, WebServer
from promscout.write.metrics import RemoteWriteMetrics
from promscout.write.remote import RemoteWriteManager

NOW_MS = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""

_DAY = Duration.parse("1d")


class FixedClock:
    def now_ms(self) -> int:
        return NOW_MS


class Discarded:
    def append(self, batch: SampleBatch) -> None:
        """Forgets the batch."""

    append_exemplars = append_histograms = append


async def accept() -> None:
    """A reload that finds nothing wrong."""


@dataclass
class View:
    scrape: ScrapeManager
    discovery: DiscoveryManager
    remote_write: RemoteWriteManager
    registry: CollectorRegistry
    ready: bool = True
    stopping: bool = False
    config: Config = field(default_factory=lambda: Config(text="global: {}\n"))
    config_status: ConfigStatus = field(default_factory=lambda: ConfigStatus(NOW_MS))
    started_ms: int = NOW_MS
    stops: int = 0
    reloads: int = 0
    store: LocalStore | None = None
    on_reload: Callable[[], Any] = field(default=accept)

    async def reload(self) -> None:
        self.reloads += 1
        await self.on_reload()

    def stop(self) -> None:
        self.stops += 1

    def add_pool(self, job: str, **options: Any) -> None:
        """A pool more; its targets are scraped once a day unless ``options`` say otherwise."""
        given = {"scrape_interval": _DAY, "scrape_timeout": Duration.parse("10s")} | options
        others = [pool.config for pool in self.scrape.pools.values()]
        self.scrape.apply_config([*others, ScrapeConfig(job_name=job, **given)])

    def sync(self, job: str, source: str, addresses: Iterable[str], **labels: str) -> list[ActiveTarget]:
        """Make ``addresses`` the targets of a group; the active ones of the pool in their order."""
        group = TargetGroup.of(source, ({"__address__": address} for address in addresses), labels)
        self.scrape.pools[job].sync({("static/0", source): group})
        return list(self.scrape.pools[job].active.values())

    async def expose(self, job: str, active: ActiveTarget, body: str, content_type: str = "text/plain") -> Report:
        """Let a scrape of ``active`` end that fetched ``body``; what it reports."""
        pool, loop = self.scrape.pools[job], active.loop
        fetched = Fetched(body.encode(), content_type)
        loop._appender = loop._appender or LoopAppender(loop.target, loop.target.digest, pool._context)
        outcome = await loop._appender.append(fetched, pool.setup.options, NOW_MS)
        counts = {name: getattr(outcome, name) for name in ("error", "scraped", "kept", "added", "format")}
        loop.last = Report(NOW_MS, 0.0123, size=fetched.size, **counts)
        loop.history = noted(loop.history, 0.0123, up=loop.last.up)
        return loop.last


@asynccontextmanager
async def agent_view(clock: Clock | None = None) -> AsyncIterator[View]:
    """An agent without any pool; its loops end with the block."""
    registry = CollectorRegistry()
    clock = clock or FixedClock()
    context = ScrapeContext(Discarded(), clock, ScrapeMetrics(registry))
    remote_write = RemoteWriteManager(RemoteWriteMetrics(registry), clock)
    async with (
        ScrapeManager(context) as scrape,
        DiscoveryManager({}, DiscoveryMetrics(registry)) as discovery,
    ):
        yield View(scrape, discovery, remote_write, registry)


@asynccontextmanager
async def serving(view: View, **options: Any) -> AsyncIterator[WebServer]:
    """The web server of ``view`` on a free port of 127.0.0.1."""
    server = WebServer(view, WebOptions(**{"port": 0} | options), clock=FixedClock())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@dataclass
class Site:
    """An agent, its server, and a client that talks to it."""

    view: View
    server: WebServer
    client: aiohttp.ClientSession

    async def json(self, path: str, **params: str) -> Any:
        async with self.client.get(path, params=params) as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            return await response.json()

    async def data(self, path: str, **params: str) -> Any:
        """The data of a successful answer."""
        answer: Mapping[str, Any] = await self.json(path, **params)
        assert answer.keys() == {"status", "data"}
        assert answer["status"] == "success"
        return answer["data"]

    async def text(self, path: str, **params: str) -> str:
        async with self.client.get(path, params=params) as response:
            assert response.status == 200
            return await response.text()
