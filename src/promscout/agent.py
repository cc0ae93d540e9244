"""The agent: one running promscout, put together from its parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, Gauge, PlatformCollector, ProcessCollector

from promscout.config import Config
from promscout.config.target_groups import parse_target_groups
from promscout.discovery.channel import DEFAULT_INTERVAL
from promscout.discovery.config import SDConfig, StaticSDConfig
from promscout.discovery.discoverer import Factory
from promscout.discovery.kubernetes.config import KubernetesSDConfig
from promscout.discovery.kubernetes.discoverer import KubernetesFactory
from promscout.discovery.kubernetes.status import WatchCollector, watch_statuses
from promscout.discovery.manager import DiscoveryManager
from promscout.discovery.mechanism import DiscoveryContext
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.discovery.refresh import RefreshMetrics
from promscout.discovery.registry import MechanismFactories
from promscout.discovery.static import StaticDiscoverer
from promscout.errors import ConfigError
from promscout.kube.informer import SharedInformers
from promscout.logs import EventLog
from promscout.model.clock import Clock, SystemClock
from promscout.scrape.loop import ScrapeContext
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.metrics import ScrapeMetrics
from promscout.web import WebServer
from promscout.write.metrics import RemoteWriteMetrics
from promscout.write.remote import RemoteWriteManager

FLUSH_SECONDS: Final = 3.0
"""How long remote write may go on after the last scrape when the agent stops: the whole stop takes at most 5 s."""

_log = EventLog("promscout.agent")


class Listen(msgspec.Struct, frozen=True):
    """Where the web server listens. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 9090


class ConfigMetrics:
    """Whether the last reload worked. Source: prometheus v3.x cmd/prometheus/main.go."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._successful = Gauge(
            "prometheus_config_last_reload_successful",
            "Whether the last configuration reload attempt was successful.",
            registry=registry,
        )
        self._time = Gauge(
            "prometheus_config_last_reload_success_timestamp_seconds",
            "Timestamp of the last successful configuration reload.",
            registry=registry,
        )

    def loaded(self) -> None:
        """A configuration came into force."""
        self._successful.set(1)
        self._time.set(time.time())

    def refused(self) -> None:
        """A configuration was refused."""
        self._successful.set(0)


class Agent:
    """Discovers, scrapes and delivers as its configuration says, until stopped.

    Guarantees: ``run`` ends by ``stop`` or cancellation, within 5 s, with no task, socket or child left; loops stop
    first, then what was scraped is delivered as far as time allows. A reload with a bad configuration changes nothing.

    ``load`` reads the configuration, at the start and at each reload; it raises ``ConfigError``. ``strict_discovery``
    waits for every resource that a Kubernetes role may show, as Prometheus does, instead of going without its labels.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        *,
        listen: Listen | None = None,
        discovery_interval: float = DEFAULT_INTERVAL,
        strict_discovery: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._load = load
        self._config = load()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._config_metrics = ConfigMetrics(self.registry)
        discovery_metrics = DiscoveryMetrics(self.registry)
        clock = clock or SystemClock()
        self.remote_write = RemoteWriteManager(RemoteWriteMetrics(self.registry), clock)
        self._informers = SharedInformers(discovery_metrics)
        given: dict[type[SDConfig], Factory] = {
            KubernetesSDConfig: KubernetesFactory(self._informers, discovery_metrics, strict=strict_discovery),
            StaticSDConfig: StaticDiscoverer,
        }
        context = DiscoveryContext(
            registry=self.registry, refresh=RefreshMetrics(self.registry), parse_groups=parse_target_groups
        )
        self.discovery = DiscoveryManager(
            MechanismFactories(given, context),
            discovery_metrics,
            interval=discovery_interval,
        )
        self.registry.register(WatchCollector(lambda: watch_statuses(self.discovery.providers)))
        self.scrape = ScrapeManager(ScrapeContext(self.remote_write, clock, ScrapeMetrics(self.registry)))
        listen = listen or Listen()
        self.web = WebServer(self, host=listen.host, port=listen.port)
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def config_text(self) -> str:
        """The configuration in force, secrets hidden."""
        return self._config.text

    @property
    def ready(self) -> bool:
        """Whether the agent has started up and is not shutting down."""
        return self._ready.is_set()

    async def wait_ready(self) -> None:
        """Wait until the agent has started up."""
        await self._ready.wait()

    def stop(self) -> None:
        """Ask ``run`` to end."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until stopped.

        Raises:
            ListenError: the web server cannot listen.
        """
        await self.web.start()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.remote_write.run(), name="remote write")
                try:
                    await self._discover_and_scrape(group)
                finally:
                    await self.remote_write.stop(FLUSH_SECONDS)
        finally:
            await self.web.stop()
        _log.info("promscout has stopped")

    async def _discover_and_scrape(self, group: asyncio.TaskGroup) -> None:
        """Run everything between the API server and the appender until stopped; leaving ends every loop."""
        async with self._informers, self.discovery, self.scrape:
            self._apply(self._config)
            scraping = group.create_task(self.scrape.run(self.discovery.receive), name="scrape manager")
            self._ready.set()
            _log.info("promscout is running", url=self.web.url, jobs=len(self._config.jobs))
            try:
                await self._stopping.wait()
            finally:
                self._ready.clear()
                scraping.cancel()

    async def reload(self) -> None:
        """Read the configuration again and go on with it. An agent that is stopping ignores this.

        Raises:
            ConfigError: it is refused; everything goes on as before.
        """
        if self._stopping.is_set():
            return
        try:
            config = self._load()
        except ConfigError as error:
            self._config_metrics.refused()
            for problem in error.problems:
                _log.error("configuration refused, the one before stays in force", problem=str(problem))
            raise
        self._config = config
        self._apply(config)
        _log.info("configuration reloaded", jobs=len(config.jobs))

    def _apply(self, config: Config) -> None:
        """Make ``config`` what is in force. Pools first: changes must find the pool of their job."""
        self.remote_write.apply_config(config.remote_write, config.global_config.external_labels)
        self.scrape.apply_config([job.scrape for job in config.jobs])
        self.discovery.apply_config({job.name: job.discovery for job in config.jobs})
        self._config_metrics.loaded()
        for warning in config.warnings:
            _log.warning("configuration", note=warning)
        if not config.remote_write:
            _log.warning("no remote_write is configured: samples are counted, shown on the web pages, and not kept")
