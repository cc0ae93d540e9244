"""Shared informers: one list and watch for everybody who needs the same collection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from promscout.kube.access import ClusterAccess
from promscout.kube.client import ApiClient
from promscout.kube.objects import KubeObject
from promscout.kube.reflector import Reflector, ReflectorMetrics, ReflectorStatus
from promscout.kube.resource import AnyResource, Resource, Scope
from promscout.kube.store import Store
from promscout.logs import EventLog
from promscout.supervisor import Supervisor

T = TypeVar("T", bound=KubeObject)

LINGER: Final = 10.0
"""Seconds that an informer goes on without users: longer than the supervisor's pause before a failed discoverer runs
again, and than any reload takes. Those who come meanwhile find a filled store, and nothing is listed again."""

_log = EventLog("promscout.kube")


@dataclass(frozen=True, slots=True)
class InformerKey:
    """What makes two needs the same: API server and credentials, resource, namespace, selectors."""

    access: ClusterAccess
    resource: AnyResource
    scope: Scope


class Informer(Generic[T]):
    """A store that a reflector keeps equal to one collection.

    ``status`` says how the reflector is doing; ``users`` counts who holds the informer.
    """

    def __init__(self, key: InformerKey) -> None:
        self.key = key
        self.store: Store[T] = Store()
        self.status = ReflectorStatus()
        self.users = 0
        self._synced = asyncio.Event()
        self._settled = asyncio.Event()
        self._on_synced: list[Callable[[], None]] = []

    @property
    def synced(self) -> bool:
        """Whether the store has held a complete list."""
        return self._synced.is_set()

    async def wait_synced(self) -> None:
        """Wait until the store holds the first complete list."""
        await self._synced.wait()

    async def wait_settled(self) -> None:
        """Wait until the store holds the first complete list, or a first attempt to get it has failed."""
        await self._settled.wait()

    def on_synced(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call ``callback`` once the store holds the first complete list, if that is yet to come.

        Calling the result takes that back.
        """
        self._on_synced.append(callback)
        return lambda: self._on_synced.remove(callback)

    async def run(self, metrics: ReflectorMetrics) -> None:
        """Keep the store up to date until cancelled."""
        async with self.key.access.client() as http:
            client = ApiClient(http, self.key.access.url, metrics)
            reflector: Reflector[T] = Reflector(
                client,
                self.key.resource,
                self.key.scope,
                self.store,
                metrics=metrics,
                on_synced=self._has_synced,
                on_failed=self._settled.set,
            )
            self.status = reflector.status
            await reflector.run()

    def _has_synced(self) -> None:
        if not self._synced.is_set():
            self._synced.set()
            self._settled.set()
            _log.info(
                "watching",
                server=self.key.access.url,
                resource=self.key.resource.plural,
                **self.key.scope.described(),
                objects=len(self.store),
                shared_by=self.users,
            )
            for callback in tuple(self._on_synced):
                callback()


class SharedInformers:
    """Hands out informers, one per :class:`InformerKey`, as an async context manager.

    Guarantees: an informer runs from its first ``acquire`` until ``LINGER`` seconds after its last ``release``;
    acquiring it again meanwhile costs nothing and finds a filled store. Leaving the context ends all at once.
    """

    def __init__(self, metrics: ReflectorMetrics) -> None:
        self._metrics = metrics
        self._informers: dict[InformerKey, Informer[Any]] = {}
        self._unused: dict[Informer[Any], asyncio.TimerHandle] = {}
        self._supervisor: Supervisor[Informer[Any]] = Supervisor("informer")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for timer in self._unused.values():
            timer.cancel()
        self._unused.clear()
        await self._supervisor.close()

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """Every informer in use."""
        return tuple(informer for informer in self._informers.values() if informer.users)

    def acquire(self, access: ClusterAccess, resource: Resource[T], scope: Scope) -> Informer[T]:
        """The informer for this need; it starts if nobody had it."""
        key = InformerKey(access, resource, scope)
        informer: Informer[T] | None = self._informers.get(key)
        if informer is None:
            informer = self._informers[key] = Informer(key)
            found = informer
            self._supervisor.start(informer, lambda: found.run(self._metrics))
        unused = self._unused.pop(informer, None)
        if unused is not None:
            unused.cancel()
        informer.users += 1
        return informer

    def release(self, informer: Informer[Any]) -> None:
        """Give an acquired informer back; it ends when nobody has wanted it for a while."""
        informer.users -= 1
        if informer.users == 0:
            self._unused[informer] = asyncio.get_running_loop().call_later(LINGER, self._end, informer)

    def _end(self, informer: Informer[Any]) -> None:
        del self._unused[informer], self._informers[informer.key]
        self._supervisor.stop(informer)
