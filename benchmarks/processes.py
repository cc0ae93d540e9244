"""A child process, and what the operating system says it costs.

Guarantees: leaving the context ends the process, however it came about: SIGTERM, after ten seconds SIGKILL, by its
id. Should the benchmark itself be killed outright, the kernel kills its children.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

STOP_LIMIT: Final = 10.0  # seconds between SIGTERM and SIGKILL
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_USER: Final = 11  # fields of /proc/PID/stat, counted after the command's closing parenthesis
_SYSTEM: Final = 12
_LINE_LIMIT: Final = 16 * 1024 * 1024


class BenchError(Exception):
    """A program or a helper did not do what is to be measured."""


class ChildProcess:
    """Runs ``arguments`` in ``directory``. What it writes goes to the file ``log`` there.

    With ``talks`` its standard input and output are pipes instead; see :meth:`send` and :meth:`receive`.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        directory: Path,
        *,
        talks: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = arguments
        self._directory = directory
        self._talks = talks
        self._environment = environment or {}
        self.started = 0.0

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._directory.mkdir(parents=True, exist_ok=True)
        with (self._directory / "log").open("wb") as log:
            self.started = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                "setpriv", "--pdeathsig", "KILL", *self._arguments,
                stdin=pipe if self._talks else asyncio.subprocess.DEVNULL,
                stdout=pipe if self._talks else log,
                stderr=log,
                cwd=self._directory,
                env={**_inherited(), "HOME": str(self._directory), "TZ": "UTC", **self._environment},
                limit=_LINE_LIMIT,
                start_new_session=True,  # Ctrl-C is the benchmark's to handle
            )  # fmt: skip
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_LIMIT):
                    await process.wait()
        finally:  # also when the wait is cancelled
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> int | None:
        """Its exit code once it has ended."""
        return self._process.returncode

    def log_tail(self, lines: int = 20) -> str:
        """The end of what it wrote, long lines cut."""
        text = (self._directory / "log").read_text(errors="replace")
        return "\n".join(line[:300] for line in text.splitlines()[-lines:])

    def cpu(self) -> float:
        """CPU seconds, user and system, of all its threads so far; exact to a clock tick (10 ms)."""
        text = Path(f"/proc/{self.pid}/stat").read_text()
        fields = text.rpartition(")")[2].split()
        return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS

    def memory(self) -> tuple[int, int]:
        """Resident bytes now, and at their highest."""
        found = {}
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in ("VmRSS", "VmHWM"):
                found[name] = int(value.split()[0]) * 1024
        return found["VmRSS"], found["VmHWM"]

    async def send(self, line: bytes) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()

    async def receive(self) -> bytes:
        """The next line of its standard output; empty at its end."""
        assert self._process.stdout is not None
        return await self._process.stdout.readline()


def _inherited() -> dict[str, str]:
    """What a child takes over: where programs are, and modules that are not where the others are installed."""
    found = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    if modules := found.get("PYTHONPATH"):
        found["PYTHONPATH"] = os.pathsep.join(str(Path(one).resolve()) for one in modules.split(os.pathsep))
    return found


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nobody listens at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
