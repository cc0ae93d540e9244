"""The programs that are compared: how each is started and asked what it has found. All run with their defaults."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any, Final

CHECKOUT: Final = Path(__file__).parents[1]
PEERS: Final = CHECKOUT / ".cache/peers/bin"


class Program(ABC):
    """A program that discovers and scrapes by a Prometheus configuration."""

    name: str
    _targets: re.Pattern[str] = re.compile(
        r'^prometheus_target_scrape_pool_targets\{scrape_job="([^"]*)"\} (\S+)$', re.MULTILINE
    )

    @property
    def executable(self) -> Path:
        """Its file."""
        return PEERS / self.name

    @abstractmethod
    def arguments(self, config: Path, port: int) -> list[str]:
        """How it is started, listening on 127.0.0.1:``port``, its data beside ``config``."""

    def version(self) -> str:
        """What it says of itself."""
        command = [str(self.executable), "--version"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.partition("\n")[0].partition(" (")[0]

    def delivery(self, sink: str) -> list[str]:
        """The flags that make it deliver to ``sink``, if that is not in the configuration."""
        del sink
        return []

    def configure(self, config: dict[str, Any], sink: str) -> None:
        """Add the delivery to ``sink`` to a configuration, unless flags do that."""
        if not self.delivery(sink):
            config["remote_write"] = [{"url": sink}]

    def target_counts(self, metrics: str) -> dict[str, int]:
        """Job → active targets, from its ``/metrics``."""
        counts: Counter[str] = Counter()
        for job, value in self._targets.findall(metrics):
            counts[job] += int(float(value))
        return dict(counts)


class Promscout(Program):
    """This checkout's."""

    name = "promscout"

    @property
    def executable(self) -> Path:
        return Path(sys.executable).parent / "promscout"

    def arguments(self, config: Path, port: int) -> list[str]:
        data = f"--data-dir={config.parent / 'data'}"
        return [str(self.executable), "run", str(config), f"--listen=127.0.0.1:{port}", data]


class Prometheus(Program):
    """In agent mode, which has no query engine and no database."""

    name = "prometheus"

    def arguments(self, config: Path, port: int) -> list[str]:
        return [
            str(self.executable),
            # Before 3.0 the agent was a feature flag.
            *(["--agent"] if self._major() >= 3 else ["--enable-feature=agent"]),
            f"--config.file={config}",
            f"--storage.agent.path={config.parent / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]

    def _major(self) -> int:
        found = re.search(r"version (\d+)", self.version())
        return int(found[1]) if found else 3


class VMAgent(Program):
    """VictoriaMetrics's agent."""

    name = "vmagent"
    _targets = re.compile(r'^vm_promscrape_scrape_pool_targets\{scrape_job="([^"]*)",.*\} (\S+)$', re.MULTILINE)

    def arguments(self, config: Path, port: int) -> list[str]:
        return [
            str(self.executable),
            f"-promscrape.config={config}",
            f"-remoteWrite.tmpDataPath={config.parent / 'data'}",
            f"-httpListenAddr=127.0.0.1:{port}",
            # It would log 6 KB for each of 10,000 ports that are not targets of their own; that is not discovery.
            "-promscrape.suppressDuplicateScrapeTargetErrors",
        ]

    def version(self) -> str:
        # Debian builds it without a version; the package's changelog has it.
        changelog = PEERS.parent / "packages/victoria-metrics/usr/share/doc/victoria-metrics/changelog.Debian.gz"
        if not changelog.exists():
            return super().version() or "vmagent"
        with gzip.open(changelog, "rt", encoding="utf-8") as lines:
            return "vmagent, version " + lines.readline().partition("(")[2].partition(")")[0]

    def delivery(self, sink: str) -> list[str]:
        # The others speak remote write 1.0 as well; by itself it would choose a protocol of its own.
        return [f"-remoteWrite.url={sink}", "-remoteWrite.forcePromProto"]


PROGRAMS: Final[dict[str, Program]] = {one.name: one for one in (Promscout(), Prometheus(), VMAgent())}
