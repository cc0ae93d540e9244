"""Child processes of the store: what they import and compute is not the agent's, and a crash of theirs neither."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Final

import msgspec

from promscout.store.order import Folded, Order, Plot, PlotOrder

FOLD_SECONDS: Final = 900.0
"""How long a child may take to fold; millions of samples take seconds."""

PLOT_SECONDS: Final = 20.0
"""How long a child may take to plot."""

_MAX_ERRORS: Final = 1000  # characters of what a child says when it fails


class ChildError(Exception):
    """A child process did not do what it was for; the message says why."""


async def run_child(module: str, order: bytes, seconds: float) -> bytes:
    """What ``python -m module`` prints when given ``order``. It never outlives the call.

    Raises:
        ChildError: it cannot be started, fails, or takes longer than ``seconds``.
    """
    try:
        # -P: a directory named promscout where the agent happens to run is not the package.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise ChildError(f"cannot be started: {error.strerror}") from error
    try:
        async with asyncio.timeout(seconds):
            output, errors = await process.communicate(order)
    except TimeoutError:
        raise ChildError(f"still running after {seconds:g} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        said = errors.decode(errors="replace").strip()[-_MAX_ERRORS:]
        raise ChildError(f"ended with {process.returncode}: {said}")
    return output


async def fold_in_child(order: Order) -> Folded:
    """``fold`` in a process of its own."""
    try:
        answer = await run_child("promscout.store", msgspec.json.encode(order), FOLD_SECONDS)
        return msgspec.json.decode(answer, type=Folded)
    except (ChildError, msgspec.MsgspecError) as error:
        return Folded(error=f"the process for it: {error}")


async def plot_in_child(order: PlotOrder) -> Plot:
    """``plot`` in a process of its own."""
    try:
        answer = await run_child("promscout.store.plot", msgspec.json.encode(order), PLOT_SECONDS)
        return msgspec.json.decode(answer, type=Plot)
    except (ChildError, msgspec.MsgspecError) as error:
        return Plot(error=f"the process for it: {error}")
