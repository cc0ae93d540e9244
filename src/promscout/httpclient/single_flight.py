"""One run of something costly serves everybody who waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SingleFlight(Generic[T]):
    """Runs at most one coroutine at a time; whoever asks meanwhile gets that one's result or failure."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[T] | None = None

    @property
    def is_running(self) -> bool:
        """Whether there is a run that has not ended."""
        return self._task is not None and not self._task.done()

    async def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of the run under way, or of a new one. A caller that gives up does not cost the others theirs."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(make(), name=self._name)
            # A failure that nobody is left to hear is no news.
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return await asyncio.shield(self._task)

    async def close(self) -> None:
        """Give up a run under way, and wait for its end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
