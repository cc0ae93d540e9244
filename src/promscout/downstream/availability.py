"""Whether a job's list may be handed out.

Whoever reads a list takes what is missing in it for gone. So there is none before all is known.
"""

from __future__ import annotations

from typing import Protocol

from promscout.discovery.manager import DiscoveryManager
from promscout.errors import PromscoutError
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ScrapePool


class Discovered(Protocol):
    """The part of an agent that lists are made of."""

    @property
    def ready(self) -> bool:
        """Whether the agent has started up and is not shutting down."""
        ...

    @property
    def discovery(self) -> DiscoveryManager:
        """The providers and what they have found."""
        ...

    @property
    def scrape(self) -> ScrapeManager:
        """The pools and their targets."""
        ...


class NoSuchJobError(PromscoutError):
    """No job has this name."""


class UnavailableError(PromscoutError):
    """There is no list of a job now, though there may be one later, and why."""


def pool_of(agent: Discovered, job: str) -> ScrapePool:
    """The pool of a job of which all is known that there is to know.

    Raises:
        NoSuchJobError: there is no such job.
        UnavailableError: a provider has found nothing out yet, or the agent is starting or stopping.
    """
    if not agent.ready:
        raise UnavailableError("promscout is starting or stopping")
    pool = agent.scrape.pools.get(job)
    if pool is None:
        raise NoSuchJobError(f"there is no job {job!r}")
    awaited = agent.discovery.awaited(job)
    if awaited:
        raise UnavailableError(f"nothing has been found out yet by {', '.join(awaited)}")
    return pool


def settled_pool_of(agent: Discovered, job: str) -> ScrapePool | None:
    """The same, but None while changes are being carried out: what the pool has may be a mixture of old and new.

    Raises:
        NoSuchJobError: as ``pool_of``.
        UnavailableError: likewise.
    """
    pool = pool_of(agent, job)
    return pool if pool.is_settled else None
