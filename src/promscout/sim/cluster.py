"""The simulated cluster as one thing: its objects, the API server in front of them, and the pods' exporters."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from typing import Final, Self

from promscout.model.clock import Clock
from promscout.sim.apiserver import ApiServer
from promscout.sim.controllers import Controllers
from promscout.sim.exporter import Exporters
from promscout.sim.store import ObjectStore

_GUARD_PORT: Final = 65_001
_NETS: Final = range(10, 250)


class SimCluster:
    """A miniature Kubernetes cluster on loopback: ``async with SimCluster() as cluster:``.

    By itself it is an API server with exactly the objects that were put into its ``store``, before or after the
    start. A ``live`` cluster also runs them: pods get addresses, a Running status and exporters, services get
    endpoints. ``port`` 0 takes a free one; the other options are those of :class:`ObjectStore` and
    :class:`ApiServer`. Live clusters on one machine use different 127.x nets.
    """

    def __init__(
        self,
        *,
        live: bool = False,
        port: int = 0,
        token: str = "",
        history_limit: int = 10_000,
        bookmark_interval: float = 60.0,
        seed: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.store = ObjectStore(clock=clock, history_limit=history_limit, seed=seed)
        self.apiserver = ApiServer(self.store, port=port, token=token, bookmark_interval=bookmark_interval, clock=clock)
        self.exporters = Exporters(clock=clock)
        self._live = live
        self._controllers: Controllers | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await self.apiserver.start()
            stack.push_async_callback(self.apiserver.stop)
            if self._live:
                await self._go_live(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def url(self) -> str:
        """Where the API server listens: ``http://127.0.0.1:port``."""
        return self.apiserver.url

    async def settled(self) -> None:
        """Wait until a live cluster has reacted to all changes so far; returns at once when it is not live."""
        if self._controllers is not None:
            await self._controllers.settled()

    async def _go_live(self, stack: AsyncExitStack) -> None:
        net, guard = _claim_net()
        stack.callback(guard.close)
        await self.exporters.start()
        stack.push_async_callback(self.exporters.stop)
        self._controllers = Controllers(self.store, self.exporters, net)
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        task = tasks.create_task(self._controllers.run(), name="sim-controllers")
        stack.callback(task.cancel)
        await self._controllers.settled()


def _claim_net() -> tuple[int, socket.socket]:
    """The first 127.x net that no other live cluster uses, and the socket that keeps it claimed.

    Raises:
        OSError: all are taken.
    """
    for net in _NETS:
        guard = socket.socket()
        try:
            guard.bind((f"127.{net}.255.254", _GUARD_PORT))
            guard.listen(1)
        except OSError:
            guard.close()
            continue
        return net, guard
    raise OSError("every 127.x net is in use by another simulated cluster")
