"""A benchmark as a command: what every one says and returns when it fails, is interrupted, or lacks a program."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from processes import BenchError
from rich.console import Console

INTERRUPTED: Final = 130


def names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """The type of an argument: some of ``known``, with commas between."""

    def parse(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        if unknown := [name for name in found if name not in known]:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}; there are {', '.join(known)}")
        return found

    return parse


def execute(measure: Callable[[Console], Awaitable[None]], missing: Sequence[str]) -> int:
    """Run ``measure`` unless programs are ``missing``; the exit code."""
    # A pipe has no width of its own; the tables need this one.
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=120)
    if missing:
        console.print(f"missing: {', '.join(missing)}; run `make install peers`")
        return 2
    try:
        asyncio.run(_until_told(measure, console))
    except BenchError as error:
        console.print(f"[red]failed:[/] {error}")
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    return 0


async def _until_told(measure: Callable[[Console], Awaitable[None]], console: Console) -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, _cancel, asyncio.current_task())
    await measure(console)


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
