"""One watch: what a client that follows a resource is sent, and when.

Guarantees: after its start no change is missed, repeated or reordered; a bookmark is sent only when everything up to
its revision was sent; a watcher that does not keep up is cut off rather than buffered without bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, Self

from promscout.sim import status
from promscout.sim.encoding import Encoding
from promscout.sim.listing import ListPage, list_page
from promscout.sim.objects import ADDED, DELETED, MODIFIED, Change
from promscout.sim.query import ListOptions, WatchOptions
from promscout.sim.resources import Resource
from promscout.sim.selectors import Selector
from promscout.sim.status import Refusal
from promscout.sim.store import ObjectStore

_MAX_WAITING: Final = 20_000  # frames; a frame is shared between watchers, so this is pointers, not copies
_CHUNK: Final = 512  # frames written at once


class Watch:
    """A subscription to the store for one client. Use :meth:`frames` once, within ``with watch:``."""

    def __init__(
        self,
        store: ObjectStore,
        resource: Resource,
        namespace: str,
        options: WatchOptions,
        encoding: Encoding,
        *,
        bookmark_interval: float,
        bookmarks: Callable[[], bool],
        default_timeout: float,
    ) -> None:
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._options = options
        self._encoding = encoding
        self._bookmark_interval = bookmark_interval
        self._bookmarks_allowed = bookmarks
        self._timeout = options.timeout or default_timeout
        self._waiting: list[bytes] = []
        self._woken = asyncio.Event()
        self._ended = False
        self._seen = 0
        self._unsubscribe: Callable[[], None] = lambda: None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._unsubscribe()

    def end(self) -> None:
        """Close the stream as if the connection were cut; frames that wait are lost."""
        self._ended = True
        self._woken.set()

    async def frames(self) -> AsyncIterator[bytes]:
        """Chunks of whole event lines, until the time-out, :meth:`end`, or an ERROR event."""
        try:
            start = self._begin()
        except Refusal as refusal:
            yield b'{"type":"ERROR","object":%s}\n' % refusal.body()
            return
        for chunk in start:
            yield chunk
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        next_bookmark = loop.time() + self._bookmark_interval
        while not self._ended:
            if self._waiting:
                waiting, self._waiting = self._waiting, []
                yield b"".join(waiting)
                continue
            now = loop.time()
            if now >= min(deadline, next_bookmark):
                next_bookmark = now + self._bookmark_interval
                if self._may_bookmark():
                    yield self._encoding.bookmark(self._resource, self._store.revision, ends_initial_events=False)
                if now >= deadline:
                    return
                continue
            await self._wait(min(deadline, next_bookmark) - now)

    def _may_bookmark(self) -> bool:
        return self._options.bookmarks and self._bookmarks_allowed() and self._store.revision >= self._seen

    async def _wait(self, seconds: float) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    def _begin(self) -> Iterator[bytes]:
        """Subscribe, and what to send before the first live event. Everything is decided before anything is sent."""
        options, store = self._options, self._store
        revision = options.revision or 0
        initial = options.initial_events or revision == 0
        if options.initial_events and revision > store.revision:
            raise status.too_large_version(revision, store.revision)
        missed = [] if initial else store.changes(self._resource, revision)
        self._seen = store.revision if initial else revision
        self._unsubscribe = store.subscribe(self._on_change)
        if initial:
            current = ListOptions(options.selector)
            return self._initial_events(list_page(store, self._resource, self._namespace, current))
        for change in missed:
            self._on_change(change)
        return iter(())

    def _initial_events(self, page: ListPage) -> Iterator[bytes]:
        for at in range(0, len(page.items), _CHUNK):
            yield b"".join(map(self._encoding.initial_event, page.items[at : at + _CHUNK]))
        # The end of a streaming list is no periodic bookmark: a fault that drops those leaves it alone.
        if self._options.initial_events and self._options.bookmarks:
            yield self._encoding.bookmark(self._resource, page.revision, ends_initial_events=True)

    def _on_change(self, change: Change) -> None:
        if change.resource is not self._resource or change.revision <= self._seen:
            return
        if self._namespace and change.key[0] != self._namespace:
            return
        event_type = event_for(change, self._options.selector)
        if event_type is None:
            return
        self._waiting.append(self._encoding.event(event_type, change))
        if len(self._waiting) > _MAX_WAITING:
            self.end()
        self._woken.set()


def event_for(change: Change, selector: Selector) -> str | None:
    """What a change is to a watcher of ``selector``: an object that leaves the selector is DELETED for it."""
    was = change.before is not None and selector.matches(change.before.labels, change.before.fields)
    is_now = change.after is not None and selector.matches(change.after.labels, change.after.fields)
    if was and is_now:
        return MODIFIED
    if is_now:
        return ADDED
    return DELETED if was else None
