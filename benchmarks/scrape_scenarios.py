"""What is scraped, how often, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from programs import Program

JOB: Final = "bench"
CHURN_FILES: Final = 20
CHURN_SHARE: Final = 10
"""One of so many targets changes a label again and again, where a scenario has churn."""

_MARGIN: Final = 3  # intervals: the start of a program, and the rest after the window


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """Targets with some samples each, every ``interval`` seconds; ``warm_up`` and window in seconds."""

    targets: int
    samples: int
    interval: int
    warm_up: float
    seconds: float
    churn: bool = False
    flags: dict[str, list[str]] = {}
    """Program → what it needs beside its defaults."""

    @property
    def steady(self) -> int:
        """How many targets stay as they are; the first ones."""
        return self.targets - (self.targets // CHURN_SHARE if self.churn else 0)

    @property
    def versions(self) -> int:
        """How many times a target is scraped at most."""
        return int((self.warm_up + self.seconds) / self.interval) + _MARGIN + int(DRAIN / self.interval)


DRAIN: Final = 10.0
"""Seconds after the window in which its samples may arrive."""

SCENARIOS: Final[dict[str, Scenario]] = {
    "main": Scenario(targets=200, samples=1000, interval=1, warm_up=15, seconds=30),
    "one-large": Scenario(
        targets=1,
        samples=500_000,
        interval=10,
        warm_up=25,
        seconds=40,
        flags={"vmagent": ["-promscrape.maxScrapeSize=128MB"]},  # by default it takes 16 MB
    ),
    "many": Scenario(targets=5000, samples=200, interval=15, warm_up=45, seconds=60, churn=True),
}


def write_config(directory: Path, scenario: Scenario, program: Program, addresses: Sequence[str], sink: str) -> Path:
    """The configuration for ``program``, in the new ``directory``. Changing targets are in files beside it."""
    directory.mkdir(parents=True)
    job: dict[str, Any] = {"job_name": JOB, "static_configs": [{"targets": list(addresses[: scenario.steady])}]}
    if scenario.churn:
        job["file_sd_configs"] = [{"files": ["changing-*.yml"]}]
        for number in range(CHURN_FILES):
            change_targets(directory, scenario, addresses, number)
    every = f"{scenario.interval}s"
    config: dict[str, Any] = {
        "global": {"scrape_interval": every, "scrape_timeout": every},
        "scrape_configs": [job],
    }
    program.configure(config, sink)
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def change_targets(directory: Path, scenario: Scenario, addresses: Sequence[str], revision: int) -> None:
    """Give the targets of the next file another label: file after file, round and round."""
    number = revision % CHURN_FILES
    targets = list(addresses[scenario.steady :][number::CHURN_FILES])
    groups = [{"targets": targets, "labels": {"revision": str(revision)}}]
    new = directory / "changing.new"
    new.write_text(yaml.safe_dump(groups))
    new.rename(directory / f"changing-{number}.yml")
