"""Prometheus on the relabelling benchmark's groups: given by file_sd, watched by its own metrics."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import yaml
from processes import BenchError, ChildProcess, free_port
from programs import Prometheus
from relabel_jobs import configuration

START_LIMIT: Final = 60.0
SYNC_LIMIT: Final = 120.0
SETTLING: Final = 3.0  # seconds that its CPU is counted on after all targets are there: its garbage collector works on
_POLL: Final = 0.1


@dataclass(frozen=True)
class PeerWork:
    """One job, the files with its groups and with one of them changed, and where Prometheus shall find them."""

    job: str
    address: str
    groups: Path
    changed: Path
    shown: Path
    active: int


class PeerRun:
    """One run of Prometheus in agent mode."""

    def __init__(self, work: PeerWork, directory: Path, session: aiohttp.ClientSession) -> None:
        self._work = work
        self._directory = directory
        self._session = session
        self._program = Prometheus()
        self._length = re.compile(
            rf'^prometheus_target_sync_length_seconds_(sum|count)\{{scrape_job="{work.job}"\}} (\S+)$', re.MULTILINE
        )

    async def measure(self) -> dict[str, float]:
        """Start it without targets, give it all of them, then change one group: seconds, and ms for the change.

        Raises:
            BenchError: it ended, or its active targets are not those that promscout has.
        """
        work, port = self._work, free_port()
        self._url = f"http://127.0.0.1:{port}/metrics"
        work.shown.parent.mkdir(parents=True)
        work.shown.write_text("[]")
        async with ChildProcess(self._program.arguments(self._write_config(), port), self._directory) as process:
            self._process = process
            await self._until("start", START_LIMIT, lambda metrics: metrics != "")
            await asyncio.sleep(SETTLING)
            before, cpu = self._sync_length(await self._metrics()), process.cpu()
            self._show(work.groups)
            await self._until(
                f"have {work.active} targets",
                SYNC_LIMIT,
                lambda metrics: self._program.target_counts(metrics).get(work.job) == work.active,
            )
            await asyncio.sleep(SETTLING)
            first, cpu = self._sync_length(await self._metrics()), process.cpu() - cpu
            self._show(work.changed)
            await self._until(
                "sync a change", SYNC_LIMIT, lambda metrics: self._sync_length(metrics)["count"] > first["count"]
            )
            changed = self._sync_length(await self._metrics())
        return {
            "first_sync": first["sum"] - before["sum"],
            "cpu": cpu,
            "changed_sync": (changed["sum"] - first["sum"]) / (changed["count"] - first["count"]) * 1000,
        }

    def _write_config(self) -> Path:
        config = configuration(self._work.job, self._work.address)
        job = config["scrape_configs"][0]
        del job["kubernetes_sd_configs"]
        job["file_sd_configs"] = [{"files": [str(self._work.shown)]}]
        self._directory.mkdir(parents=True, exist_ok=True)
        path = self._directory / "prometheus.yml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        return path

    def _show(self, file: Path) -> None:
        """Put a copy of ``file`` where Prometheus looks, at once as a whole."""
        copy = self._directory / "copy.json"
        shutil.copyfile(file, copy)
        copy.replace(self._work.shown)

    async def _until(self, what: str, limit: float, holds: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            if self._process.ended is not None:
                raise BenchError(f"prometheus ended with {self._process.ended}:\n{self._process.log_tail()}")
            if holds(await self._metrics()):
                return
            await asyncio.sleep(_POLL)
        counts = self._program.target_counts(await self._metrics())
        raise BenchError(f"prometheus did not {what} within {limit:g} s, it has {counts}\n{self._process.log_tail()}")

    async def _metrics(self) -> str:
        """Its ``/metrics``; empty while it does not listen yet."""
        with suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.get(self._url, timeout=aiohttp.ClientTimeout(total=10)) as response:
                if response.ok:
                    return await response.text()
        return ""

    def _sync_length(self, metrics: str) -> dict[str, float]:
        return {"sum": 0.0, "count": 0.0} | {kind: float(value) for kind, value in self._length.findall(metrics)}
