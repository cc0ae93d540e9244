"""A queue of keys that need work."""

from __future__ import annotations

import asyncio


class WorkQueue:
    """Keys to work on, each at most once however often it was added.

    Guarantees: a key added while it waits is worked on once; a key added after it was taken is handed out again, so
    the last state is always seen; keys come out in the order of their first addition. One consumer.

    Source: client-go util/workqueue (dirty set; with a synchronous consumer no processing set is needed).
    """

    def __init__(self) -> None:
        self._dirty: dict[str, None] = {}
        self._ready = asyncio.Event()

    def __len__(self) -> int:
        return len(self._dirty)

    def add(self, key: str) -> None:
        """Mark ``key`` as needing work."""
        self._dirty[key] = None
        self._ready.set()

    def clear(self) -> None:
        """Forget all waiting keys."""
        self._dirty = {}
        self._ready.clear()

    async def take(self) -> tuple[str, ...]:
        """Wait until a key waits, then take all that do."""
        await self._ready.wait()
        keys = tuple(self._dirty)
        self.clear()
        return keys
