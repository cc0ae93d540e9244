"""The benchmark's own processes and how it talks with them: a line of JSON for each command and for each answer.

A helper writes one line when it is ready, then reads commands from its standard input, and ends with it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

import msgspec
from processes import BenchError, ChildProcess

ANSWER_LIMIT: Final = 600.0
"""Seconds that a helper may take to start, and to answer."""

R = TypeVar("R", bound=msgspec.Struct)
A = TypeVar("A", bound=msgspec.Struct)
C = TypeVar("C")


class Helper(Generic[R]):
    """The process of the benchmark's program ``script``, as an async context manager; ``ready`` is its first line."""

    def __init__(self, script: str, arguments: Sequence[str], directory: Path, ready: type[R]) -> None:
        command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
        self.process = ChildProcess(command, directory, talks=True)
        self._script = script
        self._ready = ready

    async def __aenter__(self) -> Self:
        await self.process.__aenter__()
        try:
            self.ready = await self._receive(self._ready)
        except BaseException:
            await self.process.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.process.__aexit__(kind, error, trace)

    async def ask(self, command: msgspec.Struct, answer: type[A]) -> A:
        """Its answer to ``command``; one at a time.

        Raises:
            BenchError: it ended, or did not answer in time.
        """
        await self.process.send(msgspec.json.encode(command))
        return await self._receive(answer)

    async def _receive(self, kind: type[A]) -> A:
        try:
            async with asyncio.timeout(ANSWER_LIMIT):
                line = await self.process.receive()
        except TimeoutError as error:
            raise BenchError(f"{self._script} did not answer for {ANSWER_LIMIT:g} s") from error
        if not line:
            raise BenchError(f"{self._script} ended:\n{self.process.log_tail()}")
        return msgspec.json.decode(line, type=kind)


async def standard_input() -> asyncio.StreamReader:
    """The helper's commands, to be read line by line."""
    reader = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def say(answer: msgspec.Struct) -> None:
    """Write one line to the benchmark."""
    print(msgspec.json.encode(answer).decode(), flush=True)


async def answer_commands(
    ready: msgspec.Struct, decoder: msgspec.json.Decoder[C], answer: Callable[[C], msgspec.Struct]
) -> None:
    """Be a helper that answers one command after the other, until its standard input ends."""
    commands = await standard_input()
    say(ready)
    while line := await commands.readline():
        say(answer(decoder.decode(line)))
