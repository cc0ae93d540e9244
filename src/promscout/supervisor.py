"""Keyed children: the one place that starts and stops single long-running coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Iterator
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar

from promscout.logs import EventLog

K = TypeVar("K", bound=Hashable)

RESTART_DELAY: Final = 5.0
"""Seconds before a child that failed unexpectedly runs again: long enough not to spin, short beside any interval."""

_log = EventLog("promscout.supervisor")


class Supervisor(Generic[K]):
    """Runs at most one child per key, as an async context manager that ends all of them on exit.

    Guarantees: a child of a key starts only after the previous child of that key has ended; leaving the context
    cancels every child and waits until all have ended; a child that fails unexpectedly harms no other: the failure is
    logged with its traceback and the child runs again after ``RESTART_DELAY``; a child that returns is done.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._running: dict[K, asyncio.Task[None]] = {}
        self._ending: dict[K, asyncio.Task[None]] = {}
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End every child and wait until all have ended; nothing can be started any more."""
        self._closed = True
        for key in list(self._running):
            self.stop(key)
        while self._ending:
            await asyncio.wait(set(self._ending.values()))

    def __contains__(self, key: K) -> bool:
        return key in self._running

    def __len__(self) -> int:
        return len(self._running)

    def __iter__(self) -> Iterator[K]:
        return iter(self._running)

    def start(self, key: K, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start ``run()`` as the child of ``key``, once the previous child of that key has ended."""
        if self._closed or key in self._running:
            raise RuntimeError(f"{self._name}: child {key!r} cannot be started: already running, or closed")
        before = self._ending.get(key)
        # The key goes into the name as the hash: identities can be long.
        task = asyncio.create_task(self._child(key, run, before), name=f"{self._name}:{hash(key):x}")
        self._running[key] = task

    def stop(self, key: K) -> None:
        """Ask the child of ``key``, if there is one, to end."""
        task = self._running.pop(key, None)
        if task is not None:
            self._ending[key] = task
            task.cancel()
            task.add_done_callback(lambda done: self._ended(key, done))

    def _ended(self, key: K, task: asyncio.Task[None]) -> None:
        if self._ending.get(key) is task:
            del self._ending[key]

    async def _child(
        self, key: K, run: Callable[[], Coroutine[Any, Any, None]], before: asyncio.Task[None] | None
    ) -> None:
        if before is not None:
            await asyncio.wait({before})
        while True:
            try:
                await run()
            except Exception:  # noqa: BLE001 - one broken child must not take the others with it
                _log.exception("child failed; it runs again after a pause", supervisor=self._name, pause=RESTART_DELAY)
                await asyncio.sleep(RESTART_DELAY)
            else:
                if self._running.get(key) is asyncio.current_task():
                    del self._running[key]
                return
