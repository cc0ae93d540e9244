"""The agent: one running promscout, put together from its parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
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
from promscout.downstream.files import FileSDMetrics, FileSDOptions, FileSDWriter
from promscout.errors import ConfigError, Problem
from promscout.kube.informer import SharedInformers
from promscout.logs import EventLog
from promscout.model.clock import Clock, SystemClock
from promscout.reloader import Reloader
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.metrics import ScrapeMetrics
from promscout.scrape.options import ScrapeContext
from promscout.store.local import LocalStore, StoreOptions
from promscout.store.metrics import StoreMetrics
from promscout.supervisor import Supervisor
from promscout.web import ConfigStatus, WebOptions, WebServer
from promscout.write.appender import Appender, Fanout
from promscout.write.buffers import Buffers
from promscout.write.metrics import RemoteWriteMetrics
from promscout.write.remote import RemoteWriteManager

FLUSH_SECONDS: Final = 3.0
"""How long remote write may go on after the last scrape when the agent stops: the whole stop takes at most 5 s."""

_log = EventLog("promscout.agent")


class ConfigMetrics:
    """Whether the last reload worked. Source: prometheus v3.x cmd/prometheus/main.go."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self.status = ConfigStatus(loaded_ms=clock.now_ms())
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
        self.status = ConfigStatus(loaded_ms=self._clock.now_ms())
        self._successful.set(1)
        self._time.set(self.status.loaded_ms / 1000)

    def refused(self, problems: Iterable[Problem]) -> None:
        """A configuration was refused."""
        self.status = msgspec.structs.replace(
            self.status, problems=tuple(map(str, problems)), refused_ms=self._clock.now_ms()
        )
        self._successful.set(0)


class Agent:
    """Discovers, scrapes and delivers as its configuration says, until stopped.

    Guarantees: ``run`` ends by ``stop`` or cancellation, within 5 s, with no task, socket or child left; loops stop
    first, then what was scraped is delivered as far as time allows. A configuration that is refused, or cannot be put
    into force, changes nothing.

    ``load`` reads the configuration, at the start and at each reload; it raises ``ConfigError``. ``strict_discovery``
    waits for every resource that a Kubernetes role may show, as Prometheus does, instead of going without its labels.
    Without ``buffers``, samples wait for a receiver in memory only.
    While no remote write is configured, samples go to the local store, if ``store`` says where that is.
    ``file_sd`` says where files with all targets are kept for other servers, if they are.
    """

    def __init__(
        self,
        load: Callable[[], Config],
        *,
        web: WebOptions | None = None,
        discovery_interval: float = DEFAULT_INTERVAL,
        strict_discovery: bool = False,
        buffers: Buffers | None = None,
        store: StoreOptions | None = None,
        file_sd: FileSDOptions | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._load = load
        self._config = load()
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        clock = clock or SystemClock()
        self._config_metrics = ConfigMetrics(self.registry, clock)
        discovery_metrics = DiscoveryMetrics(self.registry)
        self.remote_write = RemoteWriteManager(
            RemoteWriteMetrics(self.registry),
            clock,
            buffers=buffers,
            families=lambda: self.scrape.families(),  # noqa: PLW0108 - it is made further down
        )
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
        self.store = LocalStore(store, clock) if store is not None else None
        appender: Appender = self.remote_write
        if self.store is not None:
            StoreMetrics(self.registry, self.store.status)
            appender = Fanout(self.remote_write, self.store)
        self.scrape = ScrapeManager(ScrapeContext(appender, clock, ScrapeMetrics(self.registry)))
        self._target_files = FileSDWriter(self, file_sd, FileSDMetrics(self.registry)) if file_sd is not None else None
        self.started_ms = clock.now_ms()
        self.web = WebServer(self, web or WebOptions(), clock=clock)
        self._ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._reloader = Reloader(self._reload)

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._config

    @property
    def config_status(self) -> ConfigStatus:
        """Since when it is in force, and why a later one is not."""
        return self._config_metrics.status

    @property
    def ready(self) -> bool:
        """Whether the agent has started up and is not shutting down."""
        return self._ready.is_set()

    @property
    def stopping(self) -> bool:
        """Whether the agent is shutting down."""
        return self._stopping.is_set()

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
                outlets = (self.remote_write,) if self.store is None else (self.remote_write, self.store)
                for outlet in outlets:
                    group.create_task(outlet.run(), name=f"outlet {type(outlet).__name__}")
                try:
                    await self._discover_and_scrape(group)
                finally:
                    await asyncio.gather(*(outlet.stop(FLUSH_SECONDS) for outlet in outlets))
        finally:
            self._stopping.set()
            await self._reloader.wait()
            await self.web.stop()
        _log.info("promscout has stopped")

    async def _discover_and_scrape(self, group: asyncio.TaskGroup) -> None:
        """Run everything between the API server and the appender until stopped; leaving ends every loop."""
        async with self._informers, self.discovery, self.scrape, Supervisor[str]("target files") as beside:
            self._apply(self._config)
            scraping = group.create_task(self.scrape.run(self.discovery.receive), name="scrape manager")
            self._ready.set()
            if self._target_files is not None:
                beside.start("writer", self._target_files.run)
            _log.info("promscout is running", url=self.web.url, jobs=len(self._config.jobs))
            try:
                await self._stopping.wait()
            finally:
                self._ready.clear()
                scraping.cancel()

    async def reload(self) -> None:
        """Read the configuration again and go on with it, once the agent has started.

        Reloads come one after the other. An agent that is stopping ignores this.

        Raises:
            ConfigError: it is refused; everything goes on as before.
        """
        await self._reloader.request()

    async def _reload(self) -> None:
        await self._started_or_stopping()
        if self._stopping.is_set():
            return
        try:
            # In a thread: a large one takes seconds, and scrapes are due meanwhile.
            config = await asyncio.to_thread(self._load)
            if self._stopping.is_set():
                return
            self._apply(config)
        except ConfigError as error:
            self._config_metrics.refused(error.problems)
            for problem in error.problems:
                _log.error("configuration refused, the one before stays in force", problem=str(problem))
            raise
        except Exception as error:
            _log.exception("configuration cannot be put into force, the one before stays")
            # Only what kind of error: its text may hold anything.
            message = f"it cannot be put into force: {type(error).__name__}, the log has more"
            problem = Problem("the configuration", 0, 0, "", message)
            self._config_metrics.refused((problem,))
            raise ConfigError((problem,)) from error
        _log.info("configuration reloaded", jobs=len(config.jobs))

    async def _started_or_stopping(self) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._ready, self._stopping)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    def _apply(self, config: Config) -> None:
        """Make ``config`` what is in force. What can fail comes first, so that it changes nothing when it does."""
        steps = self._prepare(config)
        try:
            for step in steps:
                step()
        except Exception:
            for step in self._prepare(self._config):
                step()
            raise
        self._config = config
        self._config_metrics.loaded()
        for warning in config.warnings:
            _log.warning("configuration", note=warning)
        if config.remote_write:
            return
        if self.store is not None:
            _log.info("no remote_write is configured: samples go to the local store", path=self.store.path)
        else:
            _log.warning("no remote_write is configured: samples are counted, shown on the web pages, and not kept")

    def _prepare(self, config: Config) -> tuple[Callable[[], None], ...]:
        """The steps that put ``config`` into force. Pools before discovery: changes must find the pool of their job."""
        return (
            lambda: self._use_store(not config.remote_write),
            self.remote_write.prepare(config.remote_write, config.global_config.external_labels),
            self.scrape.prepare([job.scrape for job in config.jobs]),
            self.discovery.prepare({job.name: job.discovery for job in config.jobs}),
        )

    def _use_store(self, wanted: bool) -> None:
        if self.store is not None:
            self.store.active = wanted
