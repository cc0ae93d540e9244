"""vmagent: VictoriaMetrics's scraping agent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from peers.process import PeerProcess, config_text


class VMAgent(PeerProcess):
    """Scrapes by the given configuration (YAML text or a dict) and writes to the given URLs."""

    program = "vmagent"
    ready_path = "/health"

    def __init__(
        self,
        programs: Path,
        directory: Path,
        config: str | Mapping[str, Any],
        *flags: str,
        remote_write: Sequence[str] = (),
    ) -> None:
        super().__init__(programs, directory, *flags)
        self._config = config_text(config)
        self._remote_write = remote_write

    def arguments(self) -> list[str]:
        self.config_file.write_text(self._config)
        return [
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-promscrape.config={self.config_file}",
            f"-remoteWrite.tmpDataPath={self.directory / 'data'}",
            "-memory.allowedBytes=256MB",
            # It refuses to start without one; nobody listens on port 1.
            *(f"-remoteWrite.url={url}" for url in self._remote_write or ["http://127.0.0.1:1/api/v1/write"]),
        ]

    @property
    def config_file(self) -> Path:
        return self.directory / "prometheus.yml"

    async def targets(self) -> dict[str, Any]:
        """``{"activeTargets": […], "droppedTargets": […]}`` as Prometheus's API has them."""
        answer: dict[str, Any] = await self.get_json("/api/v1/targets")
        data: dict[str, Any] = answer["data"]
        return data

    async def reload(self, config: str | Mapping[str, Any] | None = None) -> None:
        """Asks it to read its configuration again, after replacing it if a new one is given."""
        if config is not None:
            self._config = config_text(config)
            self.config_file.write_text(self._config)
        await self.request("POST", "/-/reload")
