"""Runs a program that may fail, hang or print without end, and always comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

MAX_ERRORS: Final = 4096
"""Bytes of standard error that are kept, the last ones."""

DRAIN: Final = 1.0
"""Seconds that output may still arrive after the program ended: a child of it may hold the pipes open for ever."""

REAP: Final = 5.0
"""Seconds that a killed program gets to be gone."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended. ``problem`` is empty if it did so by itself, with exit status ``code``."""

    problem: str
    code: int | None
    output: bytes
    errors: bytes


class _Process(asyncio.SubprocessProtocol):
    """Collects output within bounds. ``done`` is set with the problem, or none; ``exited`` when the program is gone."""

    def __init__(self, max_output: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._max_output = max_output
        self._drain: asyncio.TimerHandle | None = None
        self.done: asyncio.Future[str] = self._loop.create_future()
        self.exited: asyncio.Future[None] = self._loop.create_future()
        self.output = bytearray()
        self.errors = bytearray()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self.errors += data
            del self.errors[:-MAX_ERRORS]
        elif len(self.output) + len(data) > self._max_output:
            self._finish(f"it printed more than {self._max_output} bytes")
        else:
            self.output += data

    def process_exited(self) -> None:
        self.exited.set_result(None)
        self._drain = self._loop.call_later(DRAIN, self._finish)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - as the base class says
        self._finish()

    def _finish(self, problem: str = "") -> None:
        if self._drain is not None:
            self._drain.cancel()
        if not self.done.done():
            self.done.set_result(problem)


async def run_bounded(
    command: Sequence[str], environment: Mapping[str, str], *, seconds: float, max_output: int
) -> Outcome:
    """Run ``command`` without standard input for at most ``seconds``; ``max_output`` bounds its output in bytes.

    A program that takes too long or prints too much is killed with all its children, as it is on cancellation.

    Raises:
        OSError: it cannot be started.
    """
    loop = asyncio.get_running_loop()
    transport, process = await loop.subprocess_exec(
        lambda: _Process(max_output),
        *command,
        stdin=subprocess.DEVNULL,
        env=dict(environment),
        start_new_session=True,  # makes a process group, which can be killed as one
    )
    try:
        async with asyncio.timeout(seconds):
            problem = await process.done
    except TimeoutError:
        problem = f"it was still running after {seconds:g} s"
    finally:
        if transport.get_returncode() is None:
            with suppress(ProcessLookupError):
                os.killpg(transport.get_pid(), signal.SIGKILL)
            await asyncio.wait([process.exited], timeout=REAP)
        transport.close()
    return Outcome(problem, transport.get_returncode(), bytes(process.output), bytes(process.errors))
