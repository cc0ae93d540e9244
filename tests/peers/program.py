"""Runs a peer that ends by itself."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUN_LIMIT = 60.0  # seconds
_PASSED_ON = ("PATH", "PYTHONPATH")


@dataclass(frozen=True)
class Outcome:
    """What a program left: its exit code and what it wrote."""

    code: int
    out: str
    err: str


async def run_program(
    arguments: Sequence[str], directory: Path, *, stdin: str = "", env: Mapping[str, str] | None = None
) -> Outcome:
    """Runs a program to its end, in a thread, in ``directory`` as its home; it is killed after ``RUN_LIMIT``."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment = {**passed_on, "HOME": str(directory), "TZ": "UTC", **(env or {})}

    def run() -> Outcome:
        done = subprocess.run(
            ["setpriv", "--pdeathsig", "KILL", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=directory,
            env=environment,
            timeout=RUN_LIMIT,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return await asyncio.to_thread(run)
