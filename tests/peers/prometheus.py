"""Prometheus, as a server or as an agent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peers.process import PeerError, PeerProcess, config_text


class Prometheus(PeerProcess):
    """Runs the given configuration (YAML text or a dict) and accepts remote write.

    Scrape targets beyond loopback are the configuration's author's to drop: Prometheus scrapes what it is told to.
    """

    program = "prometheus"

    def __init__(
        self, programs: Path, directory: Path, config: str | Mapping[str, Any], *flags: str, agent: bool = False
    ) -> None:
        super().__init__(programs, directory, *flags)
        self._config = config_text(config)
        self._agent = agent

    def arguments(self) -> list[str]:
        self._write_config()
        data = self.directory / "data"
        mode = (
            ["--agent", f"--storage.agent.path={data}"]
            if self._agent
            else [f"--storage.tsdb.path={data}", "--web.enable-remote-write-receiver"]
        )
        return [
            f"--config.file={self.config_file}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--web.enable-lifecycle",
            "--storage.remote.flush-deadline=1s",
            "--scrape.discovery-reload-interval=100ms",  # instead of 5 s
            *mode,
        ]

    @property
    def config_file(self) -> Path:
        return self.directory / "prometheus.yml"

    @property
    def remote_write_url(self) -> str:
        return f"{self.url}/api/v1/write"

    async def targets(self) -> dict[str, Any]:
        """``{"activeTargets": […], "droppedTargets": […], "droppedTargetCounts": {…}}``."""
        answer: dict[str, Any] = await self.get_json("/api/v1/targets")
        data: dict[str, Any] = answer["data"]
        return data

    async def wait_for_targets(self, active: int, *, seconds: float = 30.0) -> dict[str, Any]:
        """``targets()`` as soon as there are that many active ones.

        Raises:
            PeerError: there are not, in the end.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            found = await self.targets()
            if len(found["activeTargets"]) == active:
                return found
            await asyncio.sleep(0.1)
        raise PeerError(f"{self} has {len(found['activeTargets'])} active targets after {seconds:g} s, not {active}")

    async def query(self, promql: str, time: float | None = None) -> list[dict[str, Any]]:
        """The instant query's result, a list unless the expression is a scalar; not in agent mode."""
        params = {"query": promql} | ({} if time is None else {"time": f"{time:.3f}"})
        answer: dict[str, Any] = await self.get_json("/api/v1/query", **params)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    async def reload(self, config: str | Mapping[str, Any] | None = None) -> None:
        """Applies a new configuration, or the file as it is now.

        Raises:
            PeerError: Prometheus refuses it.
        """
        if config is not None:
            self._config = config_text(config)
            self._write_config()
        await self.request("POST", "/-/reload")

    def _write_config(self) -> None:
        self.config_file.write_text(self._config)
