"""The log of failed scrapes has the lines that a real Prometheus writes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from promscout.config import parse_config
from promscout.model.clock import SystemClock
from promscout.model.group import TargetGroup
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.transport import Transport
from unit.scrape.fakes import Recorder, context

TARGET = "127.0.0.7:1"


def config(file: Path) -> dict[str, Any]:
    return {
        "global": {"scrape_failure_log_file": str(file)},
        "scrape_configs": [
            {
                "job_name": "down",
                "scrape_interval": "200ms",
                "scrape_timeout": "200ms",
                "params": {"x": ["1&"]},
                "static_configs": [{"targets": [TARGET]}],
            }
        ],
    }


async def first_line(file: Path) -> dict[str, str]:
    """As soon as it is there."""
    async with asyncio.timeout(30):
        while not file.exists() or b"\n" not in file.read_bytes():  # noqa: ASYNC110, ASYNC240 - others write it
            await asyncio.sleep(0.1)
    line: dict[str, str] = msgspec.json.decode(file.read_bytes().splitlines()[0])  # noqa: ASYNC240
    return line


async def test_a_failed_request_is_logged_with_the_same_fields(prometheus: Callable[..., Any], tmp_path: Path) -> None:
    await prometheus(config(tmp_path / "theirs"))
    manager = ScrapeManager(context(Recorder(), SystemClock(), Transport))
    async with manager:
        (job,) = parse_config(msgspec.json.encode(config(tmp_path / "ours"))).jobs
        manager.apply_config([job.scrape])
        manager.pools["down"].sync({("static/0", "0"): TargetGroup.of("0", [{"__address__": TARGET}])})
        ours, theirs = await first_line(tmp_path / "ours"), await first_line(tmp_path / "theirs")
    assert list(ours) == [field for field in theirs if field != "source"]
    for field in ("level", "job_name", "target"):
        assert ours[field] == theirs[field]
    for line in (ours, theirs):
        assert line["time"].startswith("20")
        assert line["time"].endswith("Z")
        assert TARGET in line["msg"]
