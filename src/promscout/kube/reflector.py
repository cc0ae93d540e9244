"""List and watch one collection into a store, for ever."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

from promscout.errors import ApiStatusError, ApiUnreachableError, ExpiredError, KubeError
from promscout.kube.backoff import Backoff
from promscout.kube.client import ApiClient, RequestMetrics, WatchBatch
from promscout.kube.events import WatchEvent
from promscout.kube.objects import KubeObject, object_key, take_resource_version
from promscout.kube.resource import Resource, Scope
from promscout.kube.sharing import StringPool
from promscout.kube.store import Store
from promscout.logs import EventLog

T = TypeVar("T", bound=KubeObject)

PAGE_SIZE: Final = 500
"""Objects per page, client-go's default: no list is in memory as a whole."""

MIN_WATCH_TIMEOUT: Final = 300
"""Seconds; each watch asks for one to two times this, so that watches do not end in step (client-go)."""

IDLE_TIMEOUT: Final = 150.0
"""Seconds of silence after which a watch counts as dead: servers send a bookmark about every minute."""

NO_STREAM: Final = (400, 422, 500, 501)
"""Codes of a server that does not offer streaming lists: it refuses the parameters, or its storage cannot do it."""

HEALTHY_AFTER: Final = 1.0
"""Seconds a watch must have lasted for the next one to be opened at once."""

_CHANGES: Final = ("ADDED", "MODIFIED")

_log = EventLog("promscout.kube")


class ReflectorMetrics(RequestMetrics, Protocol):
    """What a reflector counts."""

    def failed(self, resource: str) -> None:
        """A list or watch failed."""
        ...


@dataclass(slots=True)
class ReflectorStatus:
    """What a reflector is doing, for people.

    ``last_error`` is empty while things work; ``lists`` and ``watches`` count what was opened since the start, and
    ``bytes`` what was received; ``last_seen`` is the event loop's time of the last sign of life, None before the first.
    """

    synced: bool = False
    resource_version: str = ""
    lists: int = 0
    watches: int = 0
    events: int = 0
    bookmarks: int = 0
    bytes: int = 0
    last_seen: float | None = None
    last_error: str = ""
    forbidden: bool = False


class Reflector(Generic[T]):
    """Keeps ``store`` equal to one collection of the API server.

    Guarantees: the store never holds a partial list (all pages are read before anything changes); while the API server
    fails, the store keeps its last contents; every change the server still knows reaches the store, in order, however
    often connections break; what expired is listed anew and only the difference is reported. ``on_synced`` is called
    once, after the first complete list; ``on_failed`` at every failure.

    Three levels: for ever, with back-off > list, then watch until expired > one connection.

    Source: client-go tools/cache/reflector.go ListAndWatch, and the Kubernetes API concepts on watches.
    """

    def __init__(
        self,
        client: ApiClient,
        resource: Resource[T],
        scope: Scope,
        store: Store[T],
        *,
        metrics: ReflectorMetrics,
        on_synced: Callable[[], None],
        on_failed: Callable[[], None],
        rng: random.Random | None = None,
    ) -> None:
        self._client = client
        self._resource = resource
        self._scope = scope
        self._store = store
        self._metrics = metrics
        self._on_synced = on_synced
        self._on_failed = on_failed
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not cryptography
        self._backoff = Backoff(rng=self._rng)
        self._can_stream = True
        self._strings = StringPool()
        self.status = ReflectorStatus()
        self._log = _log.bind(resource=resource.plural, **scope.described())

    async def run(self) -> None:
        """List and watch until cancelled."""
        while True:
            try:
                if self._can_stream:
                    await self._list_by_stream()
                else:
                    await self._list()
                await self._watch_until_expired()
            except ExpiredError as error:
                # Normal after a long silence or a compaction, but a server may also expire everything at once.
                self._log.info("resource version expired, listing again", reason=error.message)
                await asyncio.sleep(self._backoff.next())
            except KubeError as error:
                await self._pause(error, "list or watch failed, listing again")

    async def _pause(self, error: KubeError, what: str) -> None:
        self._metrics.failed(self._resource.plural)
        after = error.retry_after if isinstance(error, ApiStatusError) else None
        delay = self._backoff.next(at_least=after or 0.0)
        self.status.last_error = str(error)
        self.status.forbidden = isinstance(error, ApiStatusError) and error.code in (401, 403)
        self._log.warning(what, error=str(error), pause=round(delay, 2))
        self._on_failed()
        await asyncio.sleep(delay)

    async def _list_by_stream(self) -> None:
        """List by a watch that begins with every object; from a server that has no such thing, in pages."""
        lists = self.status.lists
        try:
            await self._stream()
        except ExpiredError:
            raise
        except ApiStatusError as error:
            if self.status.lists > lists or error.code not in NO_STREAM:
                raise
            self._log.info("the API server cannot stream lists, reading pages instead", reason=error.message)
        except ApiUnreachableError:
            if self.status.lists == lists:
                raise
        if self.status.lists == lists:
            self._can_stream = False
            await self._list()

    async def _stream(self) -> None:
        """Open a watch that begins with a list, and follow it until it ends."""
        objects: dict[str, T] = {}
        listed = False
        events = self._client.watch(
            self._resource,
            self._scope,
            resource_version=None,
            close_after=self._watch_seconds(),
            idle_timeout=IDLE_TIMEOUT,
        )
        async with aclosing(events):
            async for batch in events:
                self._seen(batch)
                rest = iter(batch.events)
                if not listed:
                    version = self._collect(rest, objects)
                    if version is None:
                        continue
                    listed = True
                    self.status.watches += 1
                    await self._listed(objects, version)
                before = self.status.events
                for event in rest:
                    self._apply(event)
                if self.status.events > before:
                    self._backoff.reset()

    def _collect(self, events: Iterator[WatchEvent[T]], objects: dict[str, T]) -> str | None:
        """Add events of a streaming list to ``objects``, up to the one that ends it: then the list's version."""
        share = self._strings.share
        for event in events:
            obj = event.object
            version = take_resource_version(obj)
            if event.type in _CHANGES:
                share(obj)
                objects[object_key(obj)] = obj
            elif event.type == "DELETED":
                objects.pop(object_key(obj), None)
            elif event.type != "BOOKMARK":
                raise self._unknown(event)
            elif event.ends_list:
                return version
        return None

    async def _list(self) -> None:
        objects: dict[str, T] = {}
        resume = ""
        while True:
            page = await self._client.list_page(self._resource, self._scope, limit=PAGE_SIZE, resume=resume)
            self.status.bytes += page.bytes
            for obj in page.items:
                take_resource_version(obj)
                self._strings.share(obj)
                objects[object_key(obj)] = obj
            resume = page.next
            if not resume:
                break
        await self._listed(objects, page.resource_version)

    async def _listed(self, objects: dict[str, T], version: str) -> None:
        """A complete list is there."""
        self.status.lists += 1
        self.status.resource_version = version
        self.status.last_seen = asyncio.get_running_loop().time()
        self._recovered()
        self._strings.clear()
        for _ in self._store.replacing(objects):
            await asyncio.sleep(0)
        if not self.status.synced:
            self.status.synced = True
            self._on_synced()

    async def _watch_until_expired(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                await self._watch_once()
            except ExpiredError:
                raise
            except ApiUnreachableError as error:
                # The way to the server broke, not the watch: what was missed is still there to be watched.
                if self._was_short(started):
                    await self._pause(error, "watch failed, watching again")
            except ApiStatusError as error:
                if error.code != 429 and error.code < 500:
                    raise
                await self._pause(error, "watch refused, watching again")
            else:
                if self._was_short(started):
                    await asyncio.sleep(self._backoff.next())

    @staticmethod
    def _was_short(started: float) -> bool:
        """Whether a watch ended so soon, events or not, that opening the next one at once could be a hot loop."""
        return asyncio.get_running_loop().time() - started < HEALTHY_AFTER

    async def _watch_once(self) -> None:
        self.status.watches += 1
        events = self._client.watch(
            self._resource,
            self._scope,
            resource_version=self.status.resource_version,
            close_after=self._watch_seconds(),
            idle_timeout=IDLE_TIMEOUT,
        )
        async with aclosing(events):
            async for batch in events:
                self._seen(batch)
                for event in batch.events:
                    self._apply(event)
                if batch.events:
                    # Not after a list: a server that lists and then refuses to watch must meet ever longer pauses.
                    self._backoff.reset()
                    self._recovered()

    def _watch_seconds(self) -> int:
        return int(MIN_WATCH_TIMEOUT * self._rng.uniform(1.0, 2.0))

    def _seen(self, batch: WatchBatch[T]) -> None:
        self.status.bytes += batch.bytes
        self.status.last_seen = asyncio.get_running_loop().time()

    def _recovered(self) -> None:
        if self.status.last_error:
            self._log.info("list and watch work again")
            self.status.last_error = ""
            self.status.forbidden = False

    def _apply(self, event: WatchEvent[T]) -> None:
        obj = event.object
        version = take_resource_version(obj)
        if event.type in _CHANGES:
            key = object_key(obj)
            if self._store.get(key) != obj:
                self._strings.share(obj)
                self._store.put(key, obj)
        elif event.type == "DELETED":
            self._store.delete(object_key(obj))
        elif event.type == "BOOKMARK":
            self.status.bookmarks += 1
        else:
            raise self._unknown(event)
        self.status.resource_version = version
        self.status.events += 1

    def _unknown(self, event: WatchEvent[T]) -> KubeError:
        """What ends a watch whose event cannot be understood: not a broken connection, so that a list follows."""
        return KubeError(f"unknown watch event type {event.type!r} for {self._resource.plural}")
