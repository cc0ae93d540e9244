"""promscout's own metrics, as Prometheus's linter sees them."""

from __future__ import annotations

import json
from pathlib import Path

from e2e.promscout_process import Promscout, until
from peers.promtool import promtool_check_metrics

FAMILIES = (
    "prometheus_remote_storage_samples_pending",
    "prometheus_sd_file_read_errors_total",
    "prometheus_target_scrape_pool_targets",
    "promscout_sd_http_requests_total",
    "promscout_target_scrape_lateness_seconds",
)


async def test_the_linter_finds_nothing_wrong_with_the_metrics_of_an_agent_at_work(
    peers_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "targets.json").write_text(json.dumps([{"targets": ["127.0.0.1:1"]}]))
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {
                "job_name": "a",
                "static_configs": [{"targets": ["127.0.0.1:2"]}],
                "file_sd_configs": [{"files": [str(tmp_path / "targets.json")]}],
            }
        ],
        "remote_write": [{"url": "http://127.0.0.1:1/write"}],
    }
    async with Promscout(tmp_path, config) as agent:

        async def is_at_work() -> bool:
            scraped = await agent.metric("prometheus_remote_storage_samples_in_total") > 0
            return scraped and len(await agent.active()) == 2

        await until(is_at_work, 20, "both targets are there, and are scraped")
        await agent.request("GET", "/sd/http/a")
        metrics = await agent.request("GET", "/metrics", headers={"Accept": "text/plain"})
        assert [name for name in FAMILIES if f"# TYPE {name} " not in metrics] == []
        checked = await promtool_check_metrics(peers_dir, tmp_path, metrics)
        assert (checked.code, checked.out, checked.err) == (0, "", "")
        # It can find something.
        wrong = await promtool_check_metrics(peers_dir, tmp_path, metrics + "# TYPE x counter\nx 1\n")
        assert wrong.code == 3
