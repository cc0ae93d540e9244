"""The strict receiver of ``harness.strict_receiver`` as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from harness.strict_receiver.record import Recorded
from peers.process import PeerProcess


class StrictReceiver(PeerProcess):
    """Checks every request against the specifications of remote write; can be killed and goes on where it was."""

    program = Path(sys.executable).name
    environment = {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONUNBUFFERED": "1"}  # noqa: RUF012 - as its base

    def __init__(self, directory: Path, *flags: str) -> None:
        super().__init__(Path(sys.executable).parent, directory, *flags)

    def arguments(self) -> list[str]:
        return ["-m", "harness.strict_receiver", f"--port={self.port}", f"--record={self.record}"]

    @property
    def record(self) -> Path:
        """The file in which it keeps what it took."""
        return self.directory / "record"

    @property
    def remote_write_url(self) -> str:
        return f"{self.url}/api/v1/write"

    async def answer(self, **plan: Any) -> None:
        """From now on answer by this ``harness.strict_receiver.faults.Plan``; rightly, if nothing is given."""
        await self.request("POST", "/faults", json=plan)

    async def report(self) -> dict[str, Any]:
        """``counts``, ``samples``, ``histograms``, ``repeats``, ``faults``, ``problems``."""
        found: dict[str, Any] = await self.get_json("/report")
        return found

    def recorded(self) -> Recorded:
        """Everything taken so far, whether or not it runs."""
        return Recorded.read(self.record)
