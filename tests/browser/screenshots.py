"""Makes the pictures of the documentation, of an agent that watches the demo's cluster: ``make screenshots``.

They are not the same in each run: times and values are real.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

from playwright.async_api import Browser

from browser.chromium import launched
from browser.looks import SIZES, Look, looking
from e2e.promscout_process import Promscout, until
from peers import find_chromium
from peers.process import PeerProcess

_MOST_BYTES = 250_000
_RULES = """\
- source_labels: [__meta_kubernetes_pod_annotation_prometheus_io_scrape]
  action: keep
  regex: "true"
- source_labels: [__meta_kubernetes_namespace, __meta_kubernetes_pod_label_app]
  separator: /
  target_label: app
- source_labels: [__meta_kubernetes_pod_container_port_name]
  action: keep
  regex: metrics|http-metrics
"""


class Cluster(PeerProcess):
    """The demo's cluster, in which pods come and go."""

    program = Path(sys.executable).name
    ready_path = "/readyz"

    def __init__(self, directory: Path) -> None:
        super().__init__(Path(sys.executable).parent, directory)

    def arguments(self) -> list[str]:
        kubeconfig = self.directory / "kubeconfig"
        return ["-m", "promscout.sim", f"--port={self.port}", "--churn=0.5", f"--kubeconfig={kubeconfig}"]


class DemoAgent(Promscout):
    """promscout under the demo's configuration, which also names its own address."""

    def __init__(self, directory: Path, api_server: str) -> None:
        super().__init__(directory, "", "--web.page-title=promscout")
        self._api_server = api_server

    def arguments(self) -> list[str]:
        text = files("promscout.demo").joinpath("prometheus.yml").read_text()
        text = text.replace("API_SERVER\n", f"{self._api_server}\n").replace('"WEB"', f'"127.0.0.1:{self.port}"')
        self._config = text
        # The overview shows the directory as it was given.
        return ["--data-dir=data" if one.startswith("--data-dir=") else one for one in super().arguments()]


async def make(directory: Path, seconds: float) -> None:
    """Run everything for a while, then write the pictures into ``directory``."""
    with tempfile.TemporaryDirectory(prefix="promscout-screenshots-") as temporary:
        scratch = Path(temporary)
        async with (
            Cluster(scratch) as cluster,
            DemoAgent(scratch, cluster.url) as agent,
            launched(find_chromium(), scratch) as browser,
        ):
            await until(lambda: _all_scraped(agent), 60, "every target is scraped")
            print(f"the pages fill for {seconds:g} s …", flush=True)  # noqa: T201 - a command-line program
            await asyncio.sleep(seconds)
            for name, path, theme in await _pictures(agent):
                await _take(browser, agent.url, path, theme, directory / f"{name}.png")


async def _all_scraped(agent: Promscout) -> bool:
    return {one["health"] for one in await agent.active()} <= {"up", "down"} and bool(await agent.active("pods"))


async def _pictures(agent: Promscout) -> list[tuple[str, str, Literal["light", "dark"]]]:
    target = next(one for one in await agent.active("pods") if one["labels"].get("app") == "recommendations")
    chosen = {"pool": "pods", "url": target["scrapeUrl"]}
    tried = {"job": "pods", "url": target["scrapeUrl"], "rules": _RULES}
    plotted = {"match": 'process_resident_memory_bytes{namespace="payments"}', "range": "15m"}
    return [
        ("overview-light", "/", "light"),
        ("overview-dark", "/", "dark"),
        ("targets", "/targets", "dark"),
        ("target", f"/target?{urlencode(chosen)}", "light"),
        ("discovery", "/discovery?job=pods&state=dropped", "light"),
        ("relabel", f"/relabel?{urlencode(tried)}", "dark"),
        ("graph", f"/graph?{urlencode(plotted)}", "light"),
    ]


async def _take(browser: Browser, origin: str, path: str, theme: Literal["light", "dark"], file: Path) -> None:
    async with looking(browser, origin, Look(theme)) as view:
        await view.open(path)
        await view.page.screenshot(path=file, clip={"x": 0, "y": 0, **SIZES["desktop"]})


def _look_at(pictures: Iterable[Path]) -> None:
    for picture in sorted(pictures):
        size = picture.stat().st_size
        print(f"{os.path.relpath(picture)}: {size // 1000} KB")  # noqa: T201 - a command-line program
        if size > _MOST_BYTES:
            sys.exit(f"{picture} is larger than {_MOST_BYTES // 1000} KB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make screenshots", description="The pictures of the documentation.")
    parser.add_argument("--directory", type=Path, default=Path(__file__).parents[2] / "docs/images")
    parser.add_argument("--seconds", type=float, default=900.0, help="how long the agent runs before (default: 900)")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    asyncio.run(make(arguments.directory, arguments.seconds))
    _look_at(arguments.directory.glob("*.png"))
