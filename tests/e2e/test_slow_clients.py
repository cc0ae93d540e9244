"""Two hundred clients that do not read neither delay scrapes nor take memory."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from e2e.promscout_process import Promscout, until
from e2e.slow_clients import SlowClients

CLIENTS = 200
TARGETS = 10_000
LIVELY = 50
SECONDS = 8
MOST_GROWTH = 64 << 20
"""Bytes: 200 answers that wait, each with its buffer and a piece. All have three gigabytes."""


@asynccontextmanager
async def exporter():
    """A target of one sample; its port."""

    async def answer(reader, writer):
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\na 1\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def configuration(port):
    lively = [{"targets": [f"127.0.0.1:{port}"], "labels": {"number": str(number)}} for number in range(LIVELY)]
    quiet = [f"127.{number // 65000}.{number // 250 % 250}.{number % 250 + 1}:9" for number in range(TARGETS)]
    return {
        "scrape_configs": [
            {"job_name": "lively", "scrape_interval": "500ms", "scrape_timeout": "400ms", "static_configs": lively},
            {
                "job_name": "quiet",
                "scrape_interval": "1d",
                "static_configs": [{"targets": quiet, "labels": {"padding": "x" * 500}}],
            },
        ]
    }


class Scrapes:
    """What the agent says of its scrapes since this was made."""

    def __init__(self, agent):
        self._agent = agent

    async def __aenter__(self):
        self._before = await self._read()
        return self

    async def __aexit__(self, *_):
        count, total, late = (after - before for before, after in zip(self._before, await self._read(), strict=True))
        self.count, self.mean, self.late = count, total / count, late / count

    async def _read(self):
        names = ("lateness_seconds_count", "lateness_seconds_sum", "late_total")
        names = [f"promscout_target_scrape_{name}".replace("scrape_late_", "scrapes_late_") for name in names]
        return [await self._agent.metric(name) for name in names]


def resident(agent):
    status = Path(f"/proc/{agent._process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+([0-9]+) kB", status)[1]) << 10


@pytest.mark.parametrize("reading", [False, True], ids=["read nothing", "read a byte a second"])
async def test_clients_that_do_not_read_cost_neither_time_nor_memory(tmp_path, reading):
    async with exporter() as port, Promscout(tmp_path, configuration(port)) as agent:

        async def all_there():
            return (await agent.metric("promscout_target_scrape_lateness_seconds_count")) > LIVELY

        await until(all_there, 20, "targets are scraped")
        await agent.request("GET", "/api/v1/targets")
        async with Scrapes(agent) as before:
            await asyncio.sleep(SECONDS / 2)
        memory = resident(agent)
        clients = SlowClients(agent.port, CLIENTS, "/api/v1/targets", reading=reading)
        async with clients, Scrapes(agent) as meanwhile:
            await until(lambda: clients.connected >= CLIENTS, 20, "clients are connected")
            most = memory
            for _ in range(SECONDS * 4):
                most = max(most, resident(agent))
                await asyncio.sleep(0.25)
        growth = most - memory
        print(  # noqa: T201 - for those who run it with -s
            f"\nscrapes {meanwhile.count:.0f}, lateness {before.mean * 1000:.2f} -> {meanwhile.mean * 1000:.2f} ms, "
            f"late {before.late:.2%} -> {meanwhile.late:.2%}, memory +{growth / 2**20:.1f} MiB, "
            f"asked {clients.connected}, cut {clients.cut}"
        )
        assert meanwhile.count > LIVELY * SECONDS
        assert clients.connected >= CLIENTS
        assert growth < MOST_GROWTH
        assert meanwhile.mean < before.mean + 0.03  # a machine that does other things as well
        assert meanwhile.late < 0.1
