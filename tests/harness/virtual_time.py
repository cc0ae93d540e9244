"""An event loop whose time is virtual, and a wall clock that follows it.

Guarantees:

* ``loop.time()`` starts at 0.0 and moves only when nothing is ready: then it jumps exactly to the next timer. Hours of
  ``asyncio.sleep`` take no real time, and two runs of a test see the same times.
* Work outside the loop is waited for in real time while virtual time stands still: jobs of ``run_in_executor`` until
  they end (at most ``OUTSIDE_LIMIT``), open sockets for ``SOCKET_GRACE`` before each jump, which is enough when the
  other end is in the same process.
* A loop that waits for something that can never come (nothing ready, no timer, nobody outside) raises
  ``DeadlockError``, which lists the tasks and where each of them waits. A loop that only ever jumps from timer to timer
  raises it after ``JUMP_LIMIT`` jumps.

Why not the package looptime (0.9, tried with pytest-asyncio 1.5): sleeping works, but a deadlocked test hangs until
pytest-timeout, or with ``idle_timeout`` spends it in real time and then does not say who waits; and a timeout of 10 ms
around a thread's 50 ms goes off, so that the speed of the machine decides. pytest-asyncio takes a loop factory per
test, so that a loop class is all that is needed.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from types import FrameType
from typing import Any

OUTSIDE_LIMIT = 10.0  # real seconds for jobs in threads; a test that needs more is not a unit test
SOCKET_GRACE = 0.001  # real seconds before a jump over open sockets
THREAD_GRACE = 0.5  # real seconds for a thread the loop does not know of to call call_soon_threadsafe
JUMP_LIMIT = 1_000_000  # per loop; about ten real seconds

EPOCH_MS = 1_700_000_000_050  # what a VirtualClock shows when its loop starts; on no slot of a target

_Ready = list[tuple[selectors.SelectorKey, int]]


class DeadlockError(Exception):
    """The loop waits for something that can never come."""


class _Selector(selectors.DefaultSelector):
    """Reports what is ready; asks the loop what to do when nothing is."""

    on_idle: Callable[[float | None], _Ready]

    def select(self, timeout: float | None = None) -> _Ready:
        ready = self.poll(0)
        return ready if ready or timeout == 0 else self.on_idle(timeout)

    def poll(self, seconds: float) -> _Ready:
        return super().select(seconds)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Behaves like asyncio's own loop, in virtual time (see the module's docstring)."""

    def __init__(self) -> None:
        self._now = 0.0
        self._jumps = 0
        self._outside: set[asyncio.Future[Any]] = set()
        self._polled = _Selector()
        super().__init__(self._polled)
        self._polled.on_idle = self._idle

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self._outside.add(future)
        future.add_done_callback(self._outside.discard)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        joining = self.create_future()  # the thread that joins the executor's threads is outside work, too
        self._outside.add(joining)
        try:
            await super().shutdown_default_executor(*args)
        finally:
            self._outside.discard(joining)

    def _idle(self, timeout: float | None) -> _Ready:
        """Nothing is ready: wait for those outside, else jump, else fail."""
        if self._outside:
            if ready := self._polled.poll(OUTSIDE_LIMIT):
                return ready
            raise DeadlockError(self._explain(f"a job in an executor has not ended within {OUTSIDE_LIMIT:g} s"))
        if self._others_may_act(waits_forever=timeout is None):
            grace = THREAD_GRACE if timeout is None else SOCKET_GRACE
            if ready := self._polled.poll(grace):
                return ready
        if timeout is None:
            raise DeadlockError(self._explain("nothing is ready and no timer is set"))
        self._jumps += 1
        if self._jumps > JUMP_LIMIT:
            raise DeadlockError(self._explain(f"{JUMP_LIMIT} timers went by, and the test still waits"))
        # Not `+= timeout`: that is capped at a day and rounds.
        self._now = self._scheduled[0].when()
        return []

    def _others_may_act(self, *, waits_forever: bool) -> bool:
        sockets = len(self._polled.get_map()) > 1  # one is the loop's own wake-up pipe
        return sockets or (waits_forever and threading.active_count() > 1)

    def _explain(self, reason: str) -> str:
        waiting = (f"  {task.get_name()}: {_where(task)}" for task in sorted(asyncio.all_tasks(self), key=_name))
        return "\n".join([f"deadlock at loop time {self._now:g}: {reason}; waiting tasks:", *waiting])


def _name(task: asyncio.Task[Any]) -> str:
    return task.get_name()


def _where(task: asyncio.Task[Any]) -> str:
    """The chain of awaits, outermost first."""
    return " > ".join(f"{f.f_code.co_qualname} ({f.f_code.co_filename}:{f.f_lineno})" for f in _frames(task))


def _frames(task: asyncio.Task[Any]) -> Iterator[FrameType]:
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is not None:
            yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)


class VirtualClock:
    """A ``promscout.model.clock.Clock``: ``EPOCH_MS`` plus the running virtual loop's time.

    Outside a loop it stands still; ``advance`` moves it, in either case, like an adjustment of the machine's clock:
    without moving the loop's time.
    """

    def __init__(self, epoch_ms: int = EPOCH_MS) -> None:
        self._base_ms = epoch_ms

    def now_ms(self) -> int:
        """Milliseconds since the Unix epoch."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return self._base_ms
        if not isinstance(loop, VirtualTimeLoop):
            raise TypeError("the clock fixture needs virtual time: tests/unit, tests/property or a virtual_time mark")
        return self._base_ms + round(loop.time() * 1000)

    def advance(self, ms: int) -> None:
        self._base_ms += ms
