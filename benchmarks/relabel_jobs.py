"""The jobs of the relabelling benchmark: from discovery.yml, whose rules it measures, and relabel.yml."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from promscout.config import parse_config
from promscout.scrape.config import ScrapeConfig

PODS: Final = "pods"
SERVICE_MONITOR: Final = "servicemonitor"
JOBS: Final = {PODS: "discovery.yml", SERVICE_MONITOR: "relabel.yml"}

_EXPORTER: Final = "127.0.0.1:9100"


def configuration(job: str, address: str, *rules: dict[str, Any]) -> dict[str, Any]:
    """A Prometheus configuration of one job, ``rules`` after its own, every target rewritten to ``address``."""
    text = Path(__file__).with_name(JOBS[job]).read_text(encoding="utf-8")
    config: dict[str, Any] = yaml.safe_load(text.replace(_EXPORTER, address))
    config["scrape_configs"] = [one for one in config["scrape_configs"] if one["job_name"] == job]
    config["scrape_configs"][0]["relabel_configs"].extend(rules)
    return config


def scrape_config(job: str, address: str, *rules: dict[str, Any]) -> ScrapeConfig:
    """The same as promscout reads it, anew: nothing that an expression remembers is shared with an earlier one."""
    return parse_config(yaml.safe_dump(configuration(job, address, *rules))).jobs[0].scrape
