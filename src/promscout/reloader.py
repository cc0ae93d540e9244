"""One reload after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from promscout.errors import ConfigError


class Reloader:
    """Runs reloads one at a time, for as many as may ask.

    Guarantees: a request is met by a reload that began after it; requests that come while one is under way share the
    next, and each learns what became of it; whoever stops waiting leaves the reload alone.
    """

    def __init__(self, reload: Callable[[], Awaitable[None]]) -> None:
        self._reload = reload
        self._now: asyncio.Task[ConfigError | None] | None = None
        self._next: asyncio.Task[ConfigError | None] | None = None

    async def request(self) -> None:
        """Reload, and wait until that is done.

        Raises:
            ConfigError: it is refused.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._run(self._now), name="reload")
        error = await asyncio.shield(self._next)
        if error is not None:
            raise error

    async def wait(self) -> None:
        """Wait until every reload that was asked for is done."""
        while tasks := {task for task in (self._now, self._next) if task is not None}:
            await asyncio.wait(tasks)

    async def _run(self, before: asyncio.Task[ConfigError | None] | None) -> ConfigError | None:
        if before is not None:
            await asyncio.wait({before})
        self._now, self._next = self._next, None
        try:
            await self._reload()
        except ConfigError as error:
            return error
        finally:
            self._now = None
        return None
