"""A queue of keys that need work."""

from __future__ import annotations

import asyncio


class WorkQueue:
    """Keys to work on, each at most once however often it was added.

    Guarantees: a key added while it waits is worked on once; a key added after it was taken is handed out again, so
    the last state is always seen; keys come out in the order of their first addition, each with
    the event loop's time of it. One consumer.

    Source: client-go util/workqueue (dirty set; with a synchronous consumer no processing set is needed).
    """

    def __init__(self) -> None:
        self._dirty: dict[str, float] = {}
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._dirty)

    def add(self, key: str) -> None:
        """Mark ``key`` as needing work."""
        if key not in self._dirty:
            self._dirty[key] = asyncio.get_running_loop().time()
            self._ready.set()

    def clear(self) -> None:
        """Forget all waiting keys."""
        self._dirty = {}
        self._ready.clear()

    async def take(self) -> dict[str, float]:
        """Wait until a key waits, then take all that do: key → when it was added."""
        await self._ready.wait()
        keys = self._dirty
        self.clear()
        return keys
