"""What promscout sends keeps every rule of the specifications, and different receivers of it hold the same."""

from __future__ import annotations

import asyncio
import json
import math
from collections import defaultdict
from signal import SIGTERM

import numpy as np
import pytest

from differential.pipeline_pages import PHASES
from differential.pipeline_scene import Exporter, configuration, listed
from e2e.delivered import delivered, labels_of, remote_write
from e2e.promscout_process import Promscout, until
from harness.strict_receiver.reading import V1, V2
from harness.strict_receiver.record import SAMPLE
from harness.strict_receiver.rules import STALE
from peers import StrictReceiver

MESSAGES = (V1, V2)
PHASE = 1.1  # seconds: two scrapes


@pytest.fixture
async def strict(tmp_path):
    """Two receivers, of which the first takes names that are any UTF-8."""
    async with StrictReceiver(tmp_path, "--utf8-names") as liberal, StrictReceiver(tmp_path) as legacy:
        yield liberal, legacy


def section(url, message, **queue):
    everything = {"send_exemplars": True, "send_native_histograms": True, "protobuf_message": message}
    return remote_write(url, **queue) | everything | {"metadata_config": {"send_interval": "1s"}}


@pytest.mark.parametrize("message", MESSAGES)
async def test_everything_that_targets_can_expose_is_sent_by_the_rules(
    strict, node_exporter, tmp_path, free_port, message
):
    liberal, legacy = strict
    file, pages = tmp_path / "targets.json", Exporter()
    async with pages.running() as address:
        config = configuration(address, node_exporter.address, f"127.0.0.1:{free_port}", file)
        config["global"] |= {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
        by_name = {"source_labels": ["job"], "regex": "node|listed|kinds|stamped.*", "action": "keep"}
        config["remote_write"] = [
            section(liberal.remote_write_url, message),
            section(legacy.remote_write_url, message, max_samples_per_send=100) | {"write_relabel_configs": [by_name]},
        ]
        async with Promscout(tmp_path, config) as agent:
            for phase in range(PHASES):
                pages.turn()
                file.write_text(json.dumps(listed(phase, address)))
                await asyncio.sleep(PHASE)
            agent.signal(SIGTERM)
            assert await agent.exit_code(10) == 0
            assert "dropped" not in agent.log()
    for receiver in strict:
        report = await receiver.report()
        assert report["problems"] == {}
        assert (report["repeats"], report["counts"].get("unsupported", 0)) == ({}, 0)
        assert report["counts"][message] == report["counts"]["requests"]
        recorded = receiver.recorded()
        assert {one["job"] for one in map(dict, recorded.labels)} >= {"node", "listed", "kinds", "stamped"}
        assert (recorded.column("bits") == np.uint64(STALE)).sum() > 100
    counts = (await liberal.report())["counts"]
    assert counts["exemplars"] > 20
    assert (await liberal.report())["histograms"] > 10
    if message != V1:
        kinds = ("COUNTER", "GAUGE", "HISTOGRAM", "SUMMARY", "INFO")
        assert all(counts[f"metadata {kind}"] for kind in kinds)
        assert counts["with start"] > 10


async def test_all_receivers_hold_the_same_samples(node_exporter, victoria_metrics, prometheus, tmp_path):
    peer = await prometheus({"global": {"scrape_interval": "1h"}})
    async with StrictReceiver(tmp_path) as strict:
        jobs = [{"job_name": "node", "static_configs": [{"targets": [node_exporter.address, "127.0.0.1:1"]}]}]
        urls = [strict.remote_write_url, victoria_metrics.remote_write_url, peer.remote_write_url]
        config = {
            "global": {"scrape_interval": "500ms", "external_labels": {"cluster": "c"}},
            "scrape_configs": jobs,
            "remote_write": [
                section(url, message) for url, message in zip(urls, (*MESSAGES[-1:], V1, V1), strict=True)
            ],
        }
        async with Promscout(tmp_path, config) as agent:
            await until(lambda: taken(strict, 10_000), 20, "some scrapes are delivered")
            # Its series turn stale.
            await agent.reload(config | {"scrape_configs": [{**jobs[0], "static_configs": []}]})
            await until(lambda: taken(strict, 0, STALE), 20, "the markers are delivered")
            agent.signal(SIGTERM)
            assert await agent.exit_code(10) == 0
        assert (await strict.report())["problems"] == {}
        sent = samples_of(strict.recorded())
    assert len(sent) > 500
    kept = {
        labels_of(row["metric"]): [(round(at * 1000), float(text)) for at, text in row["values"]]
        for row in await peer.query('{cluster="c"}[10m]')
    }
    # Ranges of Prometheus have no staleness markers.
    without_markers = {labels: [one for one in samples if one[1] is not None] for labels, samples in sent.items()}
    assert without_markers.keys() == kept.keys()
    for labels, samples in without_markers.items():
        assert same(samples, kept[labels], 0), labels
    stored = await delivered(victoria_metrics, '{cluster="c"}', stale=True)
    assert sent.keys() == stored.keys()
    for labels, samples in sent.items():
        assert same(samples, stored[labels], 1e-11), labels  # differences of a double are decimals there


async def taken(receiver, least, bits=None):
    found = receiver.recorded().column("bits")
    return len(found if bits is None else found[found == np.uint64(bits)]) > least


def samples_of(recorded):
    """Labels → (milliseconds, value) in the order of arrival; None stands for a staleness marker."""
    found = defaultdict(list)
    columns = [recorded.column(name) for name in ("series", "kinds", "stamps", "bits")]
    values = columns[3].view(np.float64).tolist()
    for series, kind, at, bits, value in zip(*(column.tolist() for column in columns), values, strict=True):
        assert kind == SAMPLE
        found[labels_of(recorded.labels[series])].append((at, None if bits == STALE else value))
    return dict(found)


def same(ours, theirs, tolerance):
    def equal(one, other):
        if one is None or other is None:
            return one is other
        return math.isclose(one, other, rel_tol=tolerance) or (math.isnan(one) and math.isnan(other))

    return [at for at, _ in ours] == [at for at, _ in theirs] and all(
        equal(one, other) for (_, one), (_, other) in zip(ours, theirs, strict=True)
    )
