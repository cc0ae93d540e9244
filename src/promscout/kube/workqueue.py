"""A queue of keys that need work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class QueueStats:
    """What the work queues of one name have done since the start; times are in seconds.

    ``added`` keys are those that were not waiting already; ``taken`` ones waited ``waited`` together, ``done`` ones
    took ``worked``; ``dropped`` ones nobody worked on. ``running`` has, for each batch that is worked on, when it was
    taken and how many keys it has.
    """

    added: int = 0
    taken: int = 0
    waited: float = 0.0
    done: int = 0
    worked: float = 0.0
    dropped: int = 0
    running: dict[int, tuple[float, int]] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """Keys that wait."""
        return self.added - self.taken - self.dropped

    def unfinished(self, now: float) -> float:
        """How long the keys that are worked on have been so, together."""
        return sum((now - since) * keys for since, keys in self.running.values())

    def longest(self, now: float) -> float:
        """How long the oldest of them has been."""
        return max((now - since for since, keys in self.running.values() if keys), default=0.0)


class WorkQueue:
    """Keys to work on, each at most once however often it was added.

    Guarantees: a key added while it waits is worked on once; a key added after it was taken is handed out again, so
    the last state is always seen; keys come out in the order of their first addition, each with
    the event loop's time of it. One consumer, which says when it is ``done`` with what it took.

    Source: client-go util/workqueue (dirty set; with a synchronous consumer no processing set is needed).
    """

    def __init__(self, stats: QueueStats | None = None) -> None:
        self._dirty: dict[str, float] = {}
        self._ready = asyncio.Event()
        self._stats = stats or QueueStats()

    def __len__(self) -> int:
        return len(self._dirty)

    def add(self, key: str) -> None:
        """Mark ``key`` as needing work."""
        if key not in self._dirty:
            self._dirty[key] = asyncio.get_running_loop().time()
            self._stats.added += 1
            self._ready.set()

    def close(self) -> None:
        """Forget all keys, those that are worked on, too."""
        self._stats.dropped += len(self._dirty)
        self._stats.running.pop(id(self), None)
        self._dirty = {}
        self._ready.clear()

    async def take(self) -> dict[str, float]:
        """Wait until a key waits, then take all that do: key → when it was added."""
        await self._ready.wait()
        return self.take_all()

    def take_all(self) -> dict[str, float]:
        """Take all keys that wait, even if there is none."""
        keys, now = self._dirty, asyncio.get_running_loop().time()
        self._dirty = {}
        self._ready.clear()
        self._stats.taken += len(keys)
        self._stats.waited += _since(keys.values(), now)
        self._stats.running[id(self)] = (now, len(keys))
        return keys

    def done(self) -> None:
        """What was taken has been worked on."""
        since, keys = self._stats.running.pop(id(self))
        self._stats.done += keys
        self._stats.worked += asyncio.get_running_loop().time() - since


def _since(times: Iterable[float], now: float) -> float:
    return sum(now - when for when in times)
