"""promscout as a user runs it: the installed command, in a process of its own."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from signal import Signals
from typing import Any, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from peers.process import PeerProcess, config_text

T = TypeVar("T")

_POLL = 0.05


class Promscout(PeerProcess):
    """Runs ``promscout run`` with the given configuration (YAML text or a dict)."""

    program = "promscout"

    def __init__(self, directory: Path, config: str | Mapping[str, Any], *flags: str) -> None:
        super().__init__(Path(sys.executable).parent, directory, *flags)
        self._config = config_text(config)

    def arguments(self) -> list[str]:
        self.write_config(self._config)
        data = self.directory / "data"
        return ["run", str(self.config_file), f"--listen=127.0.0.1:{self.port}", f"--data-dir={data}"]

    @property
    def config_file(self) -> Path:
        return self.directory / "prometheus.yml"

    def write_config(self, config: str | Mapping[str, Any]) -> None:
        """Replaces the file; the running process does not know until it is told to reload."""
        self.config_file.write_text(config_text(config))

    async def reload(self, config: str | Mapping[str, Any]) -> None:
        """Replaces the configuration and asks for a reload over HTTP.

        Raises:
            PeerError: it is refused.
        """
        self.write_config(config)
        await self.request("POST", "/-/reload")

    async def targets(self) -> dict[str, Any]:
        """``{"activeTargets": […], "droppedTargets": […], "droppedTargetCounts": {…}}``."""
        answer: dict[str, Any] = await self.get_json("/api/v1/targets")
        data: dict[str, Any] = answer["data"]
        return data

    async def active(self, job: str = "") -> list[dict[str, Any]]:
        """The active targets of one job, or of all."""
        return [one for one in (await self.targets())["activeTargets"] if job in ("", one["scrapePool"])]

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of one of its own metrics over all series that have the labels; 0 where there is none yet."""
        text = await self.request("GET", "/metrics", headers={"Accept": "text/plain"})
        families = [one for one in text_string_to_metric_families(text) if name.startswith(one.name)]
        assert families, f"no metric {name}"
        samples = (one for family in families for one in family.samples if one.name == name)
        return sum(one.value for one in samples if labels.items() <= one.labels.items())

    def signal(self, number: Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def exit_code(self, seconds: float) -> int:
        """Waits for the process to end by itself; fails if it has not after so many seconds."""
        process = self._process
        assert process is not None
        await until(lambda: process.poll() is not None, seconds, f"{self} ends")
        return int(process.returncode)


async def until(condition: Callable[[], T | Awaitable[T]], seconds: float, what: str) -> T:
    """The first true result of a repeated condition.

    Raises:
        AssertionError: there is none in time; it shows the last result.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        outcome = condition()
        result: T = await outcome if inspect.isawaitable(outcome) else outcome
        if result:
            return result
        assert loop.time() < deadline, f"not within {seconds:g} s: {what} (last result: {result!r})"
        await asyncio.sleep(_POLL)
