"""What the web server needs from the agent."""

from __future__ import annotations

from typing import Final, Protocol

from aiohttp import web
from prometheus_client import CollectorRegistry

from promscout.discovery.manager import DiscoveryManager
from promscout.scrape.manager import ScrapeManager
from promscout.web.external import ExternalURL
from promscout.write.remote import RemoteWriteManager


class AgentView(Protocol):
    """A running agent as the web server sees it. Everything but ``reload`` is only read."""

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
    def config_text(self) -> str:
        """The configuration in force as YAML, its secrets already replaced."""
        ...

    async def reload(self) -> None:
        """Put the configuration into force as the files are now.

        Raises:
            ConfigError: it is refused; the one before stays in force.
        """
        ...


VIEW: Final = web.AppKey("VIEW", AgentView)
"""Where handlers find the agent."""

EXTERNAL: Final = web.AppKey("EXTERNAL", ExternalURL)
"""Where handlers find the address that users know the server by."""
