"""The agent's own metrics as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric, SummaryMetricFamily, UnknownMetricFamily
from prometheus_client.registry import Collector

from promscout.web.api.self_metrics import families
from unit.web.agent_view import Site

pytestmark = pytest.mark.real_time


class Others(Collector):
    """A summary with quantiles, and a metric of no kind."""

    def collect(self) -> Iterable[Metric]:
        summary = SummaryMetricFamily("s", "A summary.", labels=("le",))
        summary.add_metric(("x",), count_value=3, sum_value=1.5)
        summary.add_sample("s", {"le": "x", "quantile": "0.5"}, 0.25)
        summary.add_sample("s", {"le": "x", "quantile": "0.9"}, math.nan)
        yield summary
        yield UnknownMetricFamily("u", "Unknown.", value=-math.inf)


def told(registry: CollectorRegistry) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(list(families(registry.collect()))))
    return found


def test_every_kind_has_the_shape_of_its_protobuf_message() -> None:
    registry = CollectorRegistry()
    registry.register(Others())
    counter = Counter("c", "A counter.", ("b", "a"), registry=registry)
    counter.labels("2", "1").inc(5)
    counter.labels("0", "1").inc()
    Gauge("g", "A gauge.", registry=registry).set(math.inf)
    Gauge("without", "No series.", ("x",), registry=registry)
    histogram = Histogram("h", "A histogram.", buckets=(0.1, 1), registry=registry)
    histogram.observe(0.5)
    histogram.observe(7)
    assert told(registry) == [
        {
            "name": "c_total",
            "help": "A counter.",
            "type": "COUNTER",
            "metric": [
                {"label": [{"name": "a", "value": "1"}, {"name": "b", "value": "0"}], "counter": {"value": 1.0}},
                {"label": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}], "counter": {"value": 5.0}},
            ],
        },
        {"name": "g", "help": "A gauge.", "type": "GAUGE", "metric": [{"gauge": {"value": "Infinity"}}]},
        {
            "name": "h",
            "help": "A histogram.",
            "type": "HISTOGRAM",
            "metric": [
                {
                    "histogram": {
                        "sampleCount": "2",
                        "sampleSum": 7.5,
                        "bucket": [
                            {"cumulativeCount": "0", "upperBound": 0.1},
                            {"cumulativeCount": "1", "upperBound": 1.0},
                        ],
                    }
                }
            ],
        },
        {
            "name": "s",
            "help": "A summary.",
            "type": "SUMMARY",
            "metric": [
                {
                    "label": [{"name": "le", "value": "x"}],
                    "summary": {
                        "sampleCount": "3",
                        "sampleSum": 1.5,
                        "quantile": [{"quantile": 0.5, "value": 0.25}, {"quantile": 0.9, "value": "NaN"}],
                    },
                }
            ],
        },
        {"name": "u", "help": "Unknown.", "type": "UNTYPED", "metric": [{"untyped": {"value": "-Infinity"}}]},
    ]


async def test_all_families_are_told_or_those_whose_name_matches_as_a_whole(site: Site) -> None:
    found = await site.data("/api/v1/status/self_metrics")
    names = [family["name"] for family in found]
    assert names == sorted(names)
    assert "prometheus_target_scrape_pools_total" in names
    for pattern, expected in (("prometheus_target_scrape_pools_total", 1), ("scrape_pools", 0), (".*", len(names))):
        chosen = await site.data("/api/v1/status/self_metrics", metric_name_pattern=pattern)
        assert len(chosen) == expected


async def test_a_pattern_that_is_none_is_bad_data(site: Site) -> None:
    async with site.client.get("/api/v1/status/self_metrics?metric_name_pattern=(") as response:
        assert response.status == 400
        assert (await response.json())["error"].startswith("invalid metric_name_pattern: error parsing regexp")
