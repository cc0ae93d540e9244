"""VictoriaMetrics: where remote writes go, and what is asked for them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from peers.process import PeerError, PeerProcess


class VictoriaMetrics(PeerProcess):
    """A single-node VictoriaMetrics, empty at its start."""

    program = "victoria-metrics"
    ready_path = "/health"

    def arguments(self) -> list[str]:
        return [
            f"-httpListenAddr=127.0.0.1:{self.port}",
            f"-storageDataPath={self.directory / 'data'}",
            "-retentionPeriod=100y",  # tests write samples of any time
            "-search.latencyOffset=0s",  # a sample is visible when it is flushed
            "-search.disableCache",
            "-storage.minFreeDiskSpaceBytes=1MB",  # full disks of test machines must not make it read-only
            "-memory.allowedBytes=256MB",
        ]

    @property
    def remote_write_url(self) -> str:
        return f"{self.url}/api/v1/write"

    async def force_flush(self) -> None:
        """Makes everything written so far visible to queries."""
        await self.request("GET", "/internal/force_flush")

    async def query(self, promql: str, time: float | None = None) -> list[dict[str, Any]]:
        """The instant query's result: ``[{"metric": {…}, "value": [seconds, "text"]}, …]``, flushed before.

        Args:
            promql: the expression.
            time: seconds since the Unix epoch; now if absent.
        """
        await self.force_flush()
        params = {"query": promql} | ({} if time is None else {"time": f"{time:.3f}"})
        answer: dict[str, Any] = await self.get_json("/api/v1/query", **params)
        result: list[dict[str, Any]] = answer["data"]["result"]
        return result

    async def query_until(self, promql: str, *, seconds: float = 20.0) -> list[dict[str, Any]]:
        """The first result of a repeated query that is not empty.

        Raises:
            PeerError: it stayed empty.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while loop.time() < deadline:
            if result := await self.query(promql):
                return result
            await asyncio.sleep(0.1)
        raise PeerError(f"no result for {promql} within {seconds:g} s")

    async def export(self, match: str) -> list[dict[str, Any]]:
        """The raw samples of the matching series, in no order: ``[{"metric", "values", "timestamps" (ms)}, …]``."""
        await self.force_flush()
        # Without an end it is the beginning of this second, and the newest samples are missing.
        params = {"match[]": match, "end": str(int(time.time()) + 3600), "reduce_mem_usage": "1"}
        body = await self.request("GET", "/api/v1/export", params=params)
        return [json.loads(line) for line in body.splitlines() if line]
