"""The scene and the two agents that look at it, each a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from browser.scene import config
from e2e.promscout_process import Promscout, until
from peers.process import PeerProcess

_TESTS = Path(__file__).parents[1]


class SceneProcess(PeerProcess):
    """``browser.scene`` as a process of its own."""

    program = Path(sys.executable).name

    def __init__(self, directory: Path) -> None:
        super().__init__(Path(sys.executable).parent, directory)
        self.environment = {"PYTHONPATH": f"{_TESTS}:{os.environ.get('PYTHONPATH', '')}", "PYTHONUNBUFFERED": "1"}

    def arguments(self) -> list[str]:
        return ["-m", "browser.scene", f"--port={self.port}"]

    async def switch(self, to: str) -> None:
        """Have the target ``switched`` answer (``up``), or not (``down``)."""
        await self.request("POST", f"/switch/{to}")


@dataclass(frozen=True)
class Site:
    """``sending`` delivers to receivers, good and bad ones; ``storing`` keeps its samples in the local store."""

    scene: SceneProcess
    sending: Promscout
    storing: Promscout

    def agent(self, name: str) -> Promscout:
        return self.sending if name == "sending" else self.storing


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Site]:
    """Both agents, when they have scraped and failed to scrape what the pages are to show."""
    async with SceneProcess(directory) as scene:
        api_server = (await scene.get_json("/places"))["api_server"]
        sending, storing = (
            Promscout(directory, config(scene.url, api_server, receivers=receivers)) for receivers in (True, False)
        )
        async with sending, storing:
            await asyncio.gather(_settled(sending), _settled(storing))
            yield Site(scene, sending, storing)


async def _settled(agent: Promscout) -> None:
    async def has_scraped() -> bool:
        health = {
            one["labels"].get("instance"): one["health"] for one in await agent.active() if one["scrapePool"] != "many"
        }
        wanted = {"evil-status": "down", "evil-body": "down", "evil-0": "up", "switched": "up"}
        return "unknown" not in health.values() and wanted.items() <= health.items()

    await until(has_scraped, 30, f"{agent} has scraped every target but the many")
