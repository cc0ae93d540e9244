"""The configuration and the target files of the web benchmark."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml
from programs import Program

PAGES: Final = "pods"
SERVED: Final = "served"
_GROUP: Final = 100  # targets of a group
_PAGES_JOBS: Final = 4


def write_pages(directory: Path, addresses: Sequence[str], targets: int) -> Path:
    """Some jobs with ``targets`` targets in all, which answer at ``addresses``, and as many dropped ones."""
    each = targets // _PAGES_JOBS
    jobs = []
    for number in range(_PAGES_JOBS):
        file = directory / f"{PAGES}-{number}.json"
        _write_groups(file, addresses, each, f"{number}")
        jobs.append(_job(f"{PAGES}-{number}", file))
    return _write(directory, "30s", jobs)


def write_served(directory: Path, targets: int) -> Path:
    """One job with ``targets`` targets, none of which is due during the benchmark but by chance."""
    _write_groups(directory / f"{SERVED}.json", ["127.0.0.1:1"], targets, "0")
    return _write(directory, "6h", [_job(SERVED, directory / f"{SERVED}.json")])


def change_served(directory: Path, targets: int, change: int) -> None:
    """Give one target of the job another label."""
    _write_groups(directory / f"{SERVED}.json", ["127.0.0.1:1"], targets, "0", change)


def write_scraped(directory: Path, addresses: Sequence[str], others: int) -> Path:
    """One job that scrapes every address each second, and ``others`` that are not due but make answers long."""
    jobs = []
    for name, found, targets in (("scraped", addresses, len(addresses)), ("others", ["127.0.0.1:1"], others)):
        file = directory / f"{name}.json"
        _write_groups(file, found, targets, "0")
        jobs.append(_job(name, file))
    jobs[1]["scrape_interval"] = "6h"
    return _write(directory, "1s", jobs)


def _job(name: str, file: Path) -> dict[str, Any]:
    return {
        "job_name": name,
        "file_sd_configs": [{"files": [str(file)]}],
        "relabel_configs": [
            {"source_labels": ["__meta_pod_annotation_scrape"], "action": "keep", "regex": "true"},
            {"source_labels": ["__meta_pod_path"], "target_label": "__metrics_path__"},
            {"action": "labelmap", "regex": "__meta_pod_label_(.+)"},
            {"source_labels": ["__meta_namespace"], "target_label": "namespace"},
            {"source_labels": ["__meta_pod_name"], "target_label": "pod"},
        ],
    }


def deliver(program: Program, config: Path, url: str) -> list[str]:
    """Make a program deliver to ``url``; the flags that it needs for that."""
    settings = yaml.safe_load(config.read_text())
    program.configure(settings, url)
    config.write_text(yaml.safe_dump(settings, sort_keys=False))
    return program.delivery(url)


def _write(directory: Path, interval: str, jobs: Sequence[dict[str, Any]]) -> Path:
    config = {"global": {"scrape_interval": interval, "scrape_timeout": "1s"}, "scrape_configs": list(jobs)}
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def _write_groups(file: Path, addresses: Sequence[str], targets: int, job: str, change: int = 0) -> None:
    """Half as many dropped targets again; another ``change`` is a target with another label."""
    found = _groups(addresses, targets, job)
    groups = list(itertools.chain(found, _dropped(addresses, targets // 2)))
    groups[0]["labels"]["__meta_pod_label_change"] = str(change)
    written = file.with_suffix(".new")
    written.write_bytes(msgspec.json.encode(groups))
    written.replace(file)


def _groups(addresses: Sequence[str], targets: int, job: str) -> Iterator[dict[str, Any]]:
    for number in range(targets):
        namespace = f"team-{number // _GROUP % 50}"
        yield {
            "targets": [addresses[number % len(addresses)]],
            "labels": {
                "__meta_namespace": namespace,
                "__meta_pod_name": f"checkout-{job}-{number:06}",
                "__meta_pod_path": f"/metrics/{job}/{number}",
                "__meta_pod_annotation_scrape": "true",
                "__meta_pod_label_app": f"checkout-{number % 37}",
                "__meta_pod_label_version": f"1.{number % 11}.{number % 7}",
                "__meta_pod_label_team": namespace,
                "__meta_pod_node_name": f"node-{number % 200}",
                "__meta_pod_uid": f"7f3c0f5e-2a51-4d0c-9f0e-{number:012x}",
            },
        }


def _dropped(addresses: Sequence[str], targets: int) -> Iterator[dict[str, Any]]:
    for number in range(targets):
        labels = {"__meta_namespace": "batch", "__meta_pod_name": f"job-{number:06}", "__meta_pod_label_app": "job"}
        yield {"targets": [addresses[number % len(addresses)]], "labels": labels}
