"""The simulated cluster as one thing: its objects, the API server in front of them, and the pods' exporters."""

from __future__ import annotations

from typing import Self

from promscout.model.clock import Clock
from promscout.sim.apiserver import ApiServer
from promscout.sim.store import ObjectStore


class SimCluster:
    """A miniature Kubernetes cluster on loopback: ``async with SimCluster() as cluster:``.

    ``port`` 0 takes a free one. The other options are those of :class:`ObjectStore` and :class:`ApiServer`. Objects
    may be put into ``store`` before and after the start.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        token: str = "",
        history_limit: int = 10_000,
        bookmark_interval: float = 60.0,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.store = ObjectStore(clock=clock, history_limit=history_limit, seed=seed)
        self.apiserver = ApiServer(self.store, port=port, token=token, bookmark_interval=bookmark_interval, clock=clock)

    async def __aenter__(self) -> Self:
        await self.apiserver.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.apiserver.stop()

    @property
    def url(self) -> str:
        """Where the API server listens: ``http://127.0.0.1:port``."""
        return self.apiserver.url
