"""What the web server needs from the agent."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry

from promscout.config import Config
from promscout.discovery.manager import DiscoveryManager
from promscout.model.clock import Clock
from promscout.scrape.manager import ScrapeManager
from promscout.store.local import LocalStore
from promscout.web.external import ExternalURL
from promscout.web.options import WebOptions
from promscout.write.remote import RemoteWriteManager


class ConfigStatus(msgspec.Struct, frozen=True):
    """Since when the configuration is in force, and what is wrong with one that came after it, and since when."""

    loaded_ms: int
    problems: tuple[str, ...] = ()
    refused_ms: int = 0

    @property
    def successful(self) -> bool:
        """Whether the last reload succeeded."""
        return not self.problems


class AgentView(Protocol):
    """A running agent as the web server sees it. Everything but ``reload`` and ``stop`` is only read."""

    @property
    def scrape(self) -> ScrapeManager:
        """The pools and their targets."""
        ...

    @property
    def discovery(self) -> DiscoveryManager:
        """The providers and what they have found."""
        ...

    @property
    def remote_write(self) -> RemoteWriteManager:
        """The receivers' queues."""
        ...

    @property
    def registry(self) -> CollectorRegistry:
        """The agent's own metrics."""
        ...

    @property
    def ready(self) -> bool:
        """Whether the agent has started up and is not shutting down."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether the agent is shutting down."""
        ...

    @property
    def store(self) -> LocalStore | None:
        """The local store; None without a data directory."""
        ...

    @property
    def started_ms(self) -> int:
        """When the agent was made."""
        ...

    @property
    def config(self) -> Config:
        """The configuration in force. Its ``text`` has no secrets; everything else may."""
        ...

    @property
    def config_status(self) -> ConfigStatus:
        """Since when it is in force, and why a later one is not."""
        ...

    async def reload(self) -> None:
        """Put the configuration into force as the files are now.

        Raises:
            ConfigError: it is refused; the one before stays in force.
        """
        ...

    def stop(self) -> None:
        """End the agent as a signal would."""
        ...


VIEW: Final = web.AppKey("VIEW", AgentView)
"""Where handlers find the agent."""

EXTERNAL: Final = web.AppKey("EXTERNAL", ExternalURL)
"""Where handlers find the address that users know the server by."""

OPTIONS: Final = web.AppKey("OPTIONS", WebOptions)
"""Where handlers find how the server was started."""

ROOT: Final = web.AppKey("ROOT", str)
"""Where handlers find what the path of every URL begins with: empty, or ``/prefix`` without a slash at its end."""

PREFIX: Final = web.AppKey("PREFIX", str)
"""Where handlers find what the path of every request begins with: as ROOT, unless a proxy takes ROOT away."""

CLOCK: Final = web.AppKey("CLOCK", Clock)
"""Where handlers find out what time it is."""
