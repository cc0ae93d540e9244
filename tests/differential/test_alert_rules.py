"""The alert rules of the documentation: Prometheus accepts them, and there are such metrics."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

from peers.program import run_program
from promscout.write.metrics import RemoteWriteMetrics

OPERATIONS = Path(__file__).parents[2] / "docs/operations.md"


@pytest.fixture
def rules() -> str:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", OPERATIONS.read_text(), re.DOTALL | re.MULTILINE)
    return str(text)


async def test_promtool_accepts_the_alert_rules(rules: str, peers_dir: Path, tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(rules)
    done = await run_program([str(peers_dir / "promtool"), "check", "rules", str(path)], tmp_path)
    assert done.code == 0, done.out + done.err
    assert "7 rules found" in done.out


def test_the_alert_rules_use_metrics_that_exist(rules: str) -> None:
    families = RemoteWriteMetrics(CollectorRegistry()).describe()
    exposed = {one.name + "_total" * (one.type == "counter") for one in families}
    expressions = [rule["expr"] for group in yaml.safe_load(rules)["groups"] for rule in group["rules"]]
    used = {name for one in expressions for name in re.findall(r"\b(?:prometheus|promscout)_\w+", one)}
    assert len(used) == 10
    assert used <= exposed


def test_every_metric_that_the_runbook_names_in_full_exists() -> None:
    families = RemoteWriteMetrics(CollectorRegistry()).describe()
    exposed = {one.name + "_total" * (one.type == "counter") for one in families}
    named = set(re.findall(r"`((?:prometheus|promscout)_\w+)`", OPERATIONS.read_text()))
    assert named
    assert named <= exposed


def test_the_log_lines_that_the_runbook_quotes_are_written() -> None:
    quoted = re.findall(r"log\s+says\s+`([^`]+)`", OPERATIONS.read_text())
    assert len(quoted) == 5
    sources = "".join(path.read_text() for path in (OPERATIONS.parents[1] / "src/promscout/write").glob("*.py"))
    assert [line for line in quoted if f'"{line}"' not in sources] == []
