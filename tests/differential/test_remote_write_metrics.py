"""The same receiver, which is away: what dashboards know of Prometheus's remote write is here under the same names."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from e2e.promscout_process import Promscout, until

PREFIX = "prometheus_remote_storage_"
NOT_HERE = {
    "enqueue_retries",  # appending never waits
    "shard_capacity",  # there are no queues per shard
    "string_interner_zero_reference_releases",
}
NEWER = {"queue_highest_timestamp_seconds"}  # than the Prometheus compared with
IDLE = {"histograms_dropped", "exemplars_dropped"}  # Prometheus names a family without series not at all
RECEIVED = f"{PREFIX}samples_in_total"
RETRIED = f"{PREFIX}samples_retried_total"
DROPPED = f"{PREFIX}samples_dropped_total"


def configuration(free_port: int, scraped: str) -> dict[str, object]:
    return {
        "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms"},
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": [scraped]}]}],
        "remote_write": [
            {
                "name": "away",
                "url": f"http://127.0.0.1:{free_port}/write",
                "send_exemplars": True,
                "send_native_histograms": True,
                "queue_config": {"batch_send_deadline": "100ms", "max_samples_per_send": 100},
                "write_relabel_configs": [{"source_labels": ["__name__"], "regex": "node_cpu_.+", "action": "drop"}],
            }
        ],
    }


async def families(program):
    """The families of remote write by name: type, and the label sets of their series, buckets as one."""
    text = await program.request("GET", "/metrics", headers={"Accept": "text/plain"})
    return {
        one.name.removeprefix(PREFIX): (
            one.type,
            {
                tuple(sorted((name, value) for name, value in sample.labels.items() if name != "le"))
                for sample in one.samples
            },
        )
        for one in text_string_to_metric_families(text)
        if one.name.startswith(PREFIX)
    }


async def value(program, name):
    text = await program.request("GET", "/metrics", headers={"Accept": "text/plain"})
    return sum(
        sample.value for one in text_string_to_metric_families(text) for sample in one.samples if sample.name == name
    )


async def test_families_types_and_label_sets_are_those_of_prometheus(prometheus, node_exporter, free_port, tmp_path):
    config = configuration(free_port, node_exporter.address)
    theirs = await prometheus(config, agent=True)
    async with Promscout(tmp_path, config) as ours:
        for program in (theirs, ours):
            for name in (RECEIVED, RETRIED, DROPPED):
                await until(lambda one=program, name=name: _some(one, name), 30, f"{program} has {name}")
        expected, found = await families(theirs), await families(ours)
    assert expected.keys() - found.keys() == NOT_HERE
    assert found.keys() - expected.keys() == NEWER | IDLE
    shared = expected.keys() & found.keys()
    assert {name: found[name] for name in shared} == {name: expected[name] for name in shared}
    labels = (("remote_name", "away"), ("url", f"http://127.0.0.1:{free_port}/write"))
    assert found["queue_highest_timestamp_seconds"] == ("gauge", {labels})


async def _some(program, name):
    return await value(program, name) > 0
