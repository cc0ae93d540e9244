"""What the simulated cluster is filled with, and the pages of its exporters."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest
from prometheus_client.parser import text_string_to_metric_families

from promscout.sim import ObjectStore
from promscout.sim.bench_population import populate_bench
from promscout.sim.churn import bench_churn
from promscout.sim.metrics import MetricsPage, sample
from promscout.sim.population import namespace, node, pod, service
from promscout.sim.resources import ENDPOINTS, ENDPOINTSLICES, NAMESPACES, NODES, PODS, RESOURCES, SERVICES, of_object
from promscout.sim.table import age
from promscout.sim.workloads import cronjob, deployment, ingress, job, replicaset


@pytest.fixture
def bench():
    store = ObjectStore()
    populate_bench(store, 1000)
    return store


def test_the_benchmark_population_has_the_documented_proportions(bench):
    counts = {resource: len(bench.list(resource)) for resource in RESOURCES}
    assert (counts[PODS], counts[SERVICES], counts[ENDPOINTS], counts[ENDPOINTSLICES]) == (1000, 40, 40, 40)
    assert (counts[NODES], counts[NAMESPACES]) == (20, 20)
    sizes = [len(one.body) for one in bench.list(PODS)]
    assert 7_400 < sum(sizes) / len(sizes) < 8_200
    pods = [one.decode() for one in bench.list(PODS)]
    scraped = [one for one in pods if one["metadata"]["annotations"]["prometheus.io/scrape"] == "true"]
    assert len(scraped) == 500
    for one in pods[:50]:
        containers = one["spec"]["containers"]
        assert (len(containers), sum(len(c["ports"]) for c in containers), len(containers[0]["env"])) == (2, 3, 15)
        assert (len(one["metadata"]["labels"]), len(one["metadata"]["annotations"])) == (5, 5)
    annotations = [one.decode()["metadata"]["annotations"] for one in bench.list(SERVICES)]
    assert sum("prometheus.io/scrape" in one for one in annotations) == 14
    for stored in bench.list(ENDPOINTSLICES):
        assert len(stored.decode()["endpoints"]) == 25
    assert all(len(one.decode()["status"]["images"]) == 20 for one in bench.list(NODES))


def test_the_benchmark_population_is_always_the_same(bench):
    again = ObjectStore()
    populate_bench(again, 1000)

    def shown(store):
        items = [one.decode() for one in store.list(PODS)]
        for one in items:
            del one["metadata"]["creationTimestamp"]
        return items

    assert shown(again) == shown(bench)


async def test_benchmark_churn_keeps_its_rate_and_its_mixture(bench):
    before = bench.revision
    done = await bench_churn(bench, rate=100, seconds=3)
    assert done == 300
    assert 2.9 <= asyncio.get_running_loop().time() <= 3.2
    changes = bench.changes(PODS, before)
    labelled = Counter(one.before.labels != one.after.labels for one in changes)
    assert labelled == {False: 270, True: 30}


@pytest.mark.parametrize(
    "obj",
    [
        pod("a", "x"),
        node("a", ip="127.1.252.1"),
        namespace("a"),
        service("a", "x", selector={"app": "a"}),
        deployment("a", "x", {"app": "a"}, 2),
        replicaset("a", "x", {"app": "a"}, 2, of="d"),
        job("a", "x", of="c"),
        cronjob("a", "x"),
        ingress("a", "x", "a.example.com", "a"),
    ],
    ids=lambda obj: obj["kind"],
)
def test_a_made_object_is_stored_under_its_kind(obj):
    store = ObjectStore()
    stored = store.add(obj)
    assert json.loads(stored.single)["kind"] == obj["kind"]
    assert store.get(of_object(obj), obj["metadata"].get("namespace", ""), "a") is stored


def test_a_kind_that_is_not_served_is_named():
    with pytest.raises(LookupError, match="does not serve v1 Secret"):
        ObjectStore().add({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}})


@pytest.mark.parametrize("series", [0, 19, 20, 57, 1000])
def test_a_page_has_the_number_of_series_asked_for_and_is_valid(series):
    page = MetricsPage("shop/web", 1000.0, series).render(1100.0, 3).decode()
    families = list(text_string_to_metric_families(page))
    samples = [one for family in families for one in family.samples]
    assert len(samples) == max(series, 19)
    assert len({(one.name, *sorted(one.labels.items())) for one in samples}) == len(samples)
    assert {family.type for family in families} == {"counter", "gauge", "histogram"}
    assert all(family.documentation for family in families)


def test_counters_only_grow_and_follow_from_the_time():
    page = MetricsPage("shop/web", 1000.0, 100)
    earlier, later = page.render(1010.0, 1), page.render(1011.0, 2)
    assert earlier == MetricsPage("shop/web", 1000.0, 100).render(1010.0, 1)
    before = {one: sample(earlier, one) for one in _series(earlier) if "_total" in one or "_bucket" in one}
    after = {one: sample(later, one) for one in before}
    assert all(after[one] >= before[one] for one in before)
    filler = [one for one in before if one.startswith("app_work_")]
    moved = sum(after[one] > before[one] for one in filler)
    assert abs(moved - len(filler) / 2) <= 1


def _series(page):
    return [line.rpartition(" ")[0] for line in page.decode().splitlines() if not line.startswith("#")]


def test_buckets_are_cumulative():
    page = MetricsPage("shop/web", 0.0).render(1000.0, 1)
    buckets = [sample(page, one) for one in _series(page) if "_bucket" in one]
    assert buckets == sorted(buckets)
    assert buckets[-1] == sample(page, "http_request_duration_seconds_count") > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-5, "0s"),
        (119, "119s"),
        (120, "2m"),
        (7199, "119m"),
        (7200, "2h"),
        (172_799, "47h"),
        (172_800, "2d"),
    ],
)
def test_an_age_is_short(seconds, text):
    assert age(seconds) == text
