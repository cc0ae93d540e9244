"""promscout whole: discovered in the simulated cluster, scraped from live exporters, delivered to VictoriaMetrics."""

from __future__ import annotations

import time
from collections import Counter

import pytest

from e2e.delivered import delivered, labels_of, recorded, remote_write
from e2e.promscout_process import Promscout, until
from promscout.sim import SimCluster
from promscout.sim.demo_population import populate_demo
from promscout.sim.exporter import FAILURES
from promscout.sim.metrics import sample
from promscout.sim.population import Port, pod
from promscout.sim.resources import PODS

INTERVAL = 0.5
PORT = 9090


@pytest.fixture
async def cluster():
    async with SimCluster(live=True) as cluster:
        for number in range(4):
            cluster.store.add(web(number))
        await cluster.settled()
        yield cluster


def web(number, **annotations):
    annotations = {f"sim.promscout/{name.replace('_', '-')}": value for name, value in annotations.items()}
    labels = {"app": "web", "team": f"t{number % 2}"}
    return pod(f"web-{number}", "shop", labels=labels, annotations=annotations, ports=(Port("metrics", PORT),))


def pods_job(cluster, name="pods", *relabel):
    return {
        "job_name": name,
        "kubernetes_sd_configs": [{"role": "pod", "api_server": cluster.url}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "regex": r"127\..*", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
            {"source_labels": ["__meta_kubernetes_pod_label_team"], "target_label": "team"},
            *relabel,
        ],
    }


def configuration(jobs, *urls, **global_options):
    return {
        "global": {"scrape_interval": f"{INTERVAL * 1000:.0f}ms", **global_options},
        "scrape_configs": jobs,
        "remote_write": [remote_write(url) for url in urls],
    }


async def test_every_active_target_has_an_up_series(victoria_metrics, tmp_path):
    async with SimCluster(live=True) as cluster:
        populate_demo(cluster.store)
        await cluster.settled()
        annotated = {
            "source_labels": ["__meta_kubernetes_pod_annotation_prometheus_io_scrape"],
            "regex": "true",
            "action": "keep",
        }
        jobs = [pods_job(cluster), pods_job(cluster, "annotated", annotated)]
        jobs.append({"job_name": "static", "static_configs": [{"targets": ["127.0.0.1:1", "127.0.0.2:1"]}]})
        async with Promscout(tmp_path, configuration(jobs, victoria_metrics.remote_write_url)) as agent:

            async def all_pools():
                pools = Counter(one["scrapePool"] for one in await agent.active())
                return pools if len(pools) == len(jobs) else None

            pools = await until(all_pools, 10, "targets of every job")
            assert pools["pods"] > pools["annotated"] > 30
            assert pools["static"] == 2

            async def counted():
                rows = await victoria_metrics.query("count(up) by (job)")
                return {row["metric"]["job"]: int(row["value"][1]) for row in rows} == dict(pools)

            await until(counted, 20, "as many up series as targets in every job")
            rows = await delivered(victoria_metrics, 'up{job="pods"}')
            wanted = {labels_of(one["labels"]) for one in await agent.active("pods")}
            assert {labels_of(labels, without="__name__") for labels in rows} == wanted


async def test_what_exporters_served_is_what_is_stored(cluster, victoria_metrics, tmp_path):
    pages = {name: recorded(cluster.exporters["shop", name]) for name in ("web-0", "web-1", "web-2", "web-3")}
    config = configuration([pods_job(cluster)], victoria_metrics.remote_write_url, external_labels={"cluster": "sim"})
    async with Promscout(tmp_path, config) as agent:
        await until(lambda: min(map(len, pages.values())) >= 8, 20, "every exporter is scraped eight times")
        agent.signal(15)
        assert await agent.exit_code(5) == 0
    exported = await delivered(victoria_metrics, '{cluster="sim",job="pods"}')
    compared = 0
    for name, served in pages.items():
        ours = {labels: samples for labels, samples in exported.items() if dict(labels)["pod"] == name}
        target = {
            "cluster": "sim",
            "job": "pods",
            "instance": f"{cluster.exporters['shop', name].address}:{PORT}",
            "pod": name,
            "team": f"t{int(name[-1]) % 2}",
        }
        # The page says how often it was served: that tells which page a time stamp belongs to.
        scrapes = ours[labels_of({"__name__": "app_scrapes_total", **target})]
        by_number = {sample(page.body, "app_scrapes_total"): page for page in served}
        assert [value for _, value in scrapes] == sorted(by_number)[: len(scrapes)]
        assert len(scrapes) >= len(served) - 1, "only a scrape that was cut short by the end may be missing"
        exposed = {series for page in served for series in page.series}
        assert ours.keys() - {labels_of({"__name__": report, **target}) for report in REPORTS} == {
            labels_of(labels | target) for labels, _ in exposed_labels(exposed)
        }
        for labels, series in exposed_labels(exposed):
            samples = ours[labels_of(labels | target)]
            assert [at for at, _ in samples] == [at for at, _ in scrapes]
            for (at, value), (_, number) in zip(samples, scrapes, strict=True):
                page = by_number[number]
                assert value == pytest.approx(sample(page.body, series), rel=1e-14, abs=0)  # VictoriaMetrics is decimal
                assert -20 <= page.at_ms - at < 500
                compared += 1
    assert compared > 4 * 7 * 15


REPORTS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)


def exposed_labels(series):
    """The labels of series as they stand on a page, and the page's own way to write each."""
    for one in sorted(series):
        name, _, rest = one.partition("{")
        pairs = (pair.split("=", 1) for pair in rest.rstrip("}").split('",') if pair)
        labels = {"__name__": name} | {label: value.strip('"') for label, value in pairs}
        if labels.get("le") == "1":
            labels["le"] = "1.0"  # bounds are stored as floats, as by Prometheus 3
        yield labels, one


async def test_stored_counters_are_equal_to_the_last_bit(cluster, prometheus, tmp_path):
    """Prometheus as the receiver keeps floats as they are."""
    receiver = await prometheus({"global": {"scrape_interval": "1h"}})
    served = recorded(cluster.exporters["shop", "web-0"])
    async with Promscout(tmp_path, configuration([pods_job(cluster)], receiver.remote_write_url)) as agent:
        await until(lambda: len(served) >= 6, 20, "six scrapes")
        agent.signal(15)
        assert await agent.exit_code(5) == 0
    rows = await receiver.query('{pod="web-0"}[1m]')
    stored = {row["metric"]["__name__"] for row in rows}
    assert {"http_requests_total", "http_request_duration_seconds_sum", "up"} <= stored
    (scrapes,) = [row["values"] for row in rows if row["metric"]["__name__"] == "app_scrapes_total"]
    (sums,) = [row["values"] for row in rows if row["metric"]["__name__"] == "http_request_duration_seconds_sum"]
    by_number = {sample(page.body, "app_scrapes_total"): page.body for page in served}
    expected = [sample(by_number[float(number)], "http_request_duration_seconds_sum") for _, number in scrapes]
    assert len(expected) >= 5
    assert [float(value) for _, value in sums] == expected


async def test_the_series_of_a_removed_pod_turn_stale_at_once(cluster, victoria_metrics, tmp_path):
    async with Promscout(tmp_path, configuration([pods_job(cluster)], victoria_metrics.remote_write_url)):
        await until(lambda: has_up(victoria_metrics, "web-1"), 20, "the pod is scraped")
        await victoria_metrics.query_until('http_requests_total{pod="web-1"}')
        cluster.store.delete(PODS, "shop", "web-1")
        removed_at = time.time()

        async def stale():
            return not await victoria_metrics.query('{pod="web-1"}')

        # A lookback of VictoriaMetrics would show the series for far longer.
        await until(stale, 3, "no series of the pod is left")
        series = await delivered(victoria_metrics, '{pod="web-1"}', stale=True)
        assert len(series) > 20
        for labels, samples in series.items():
            assert samples[-1][1] is None, f"{labels} has no staleness marker"
            assert all(value is not None for _, value in samples[:-1])
            assert removed_at - 0.1 <= samples[-1][0] / 1000 <= removed_at + 2
        assert await has_up(victoria_metrics, "web-0"), "the others go on"


async def has_up(victoria_metrics, name):
    return await victoria_metrics.query(f'up{{pod="{name}"}} == 1')


async def test_failing_targets_are_down_and_their_series_turn_stale(cluster, victoria_metrics, tmp_path):
    for number in (4, 5):
        cluster.store.add(web(number))
    await cluster.settled()
    failing = dict(zip(["web-1", "web-2", "web-3", "web-4", "web-5"], filter(None, FAILURES), strict=True))
    config = configuration([pods_job(cluster)], victoria_metrics.remote_write_url)
    async with Promscout(tmp_path, config) as agent:

        async def are(up):
            rows = await victoria_metrics.query(f'up{{pod!="web-0"}} == {up}')
            return {row["metric"]["pod"] for row in rows} == failing.keys()

        await until(lambda: are(1), 20, "all are scraped")
        await victoria_metrics.query_until('count(app_scrapes_total{pod!="web-0"}) == 5')
        for name, failure in failing.items():
            cluster.exporters["shop", name].behaviour.failure = failure
        await until(lambda: are(0), 10, "up is 0")

        async def gone():
            return not await victoria_metrics.query('{pod!="web-0",__name__!~"up|scrape_.*"}')

        await until(gone, 3, "what they exposed is stale")
        states = {one["labels"]["pod"]: one["health"] for one in await agent.active() if one["lastError"]}
        assert states == dict.fromkeys(failing, "down")
        exported = await delivered(victoria_metrics, 'app_scrapes_total{pod!="web-0"}', stale=True)
        assert len(exported) == len(failing)
        for samples in exported.values():
            assert [value is None for _, value in samples] == [False] * (len(samples) - 1) + [True], "one marker"
        assert await has_up(victoria_metrics, "web-0"), "the others go on"
        for name in failing:
            cluster.exporters["shop", name].behaviour.failure = ""
        await until(lambda: are(1), 10, "they are up again")


async def test_a_receiver_that_is_down_does_not_hurt_another(cluster, victoria_metrics, free_port, tmp_path):
    nobody = f"http://127.0.0.1:{free_port}/api/v1/write"
    config = configuration([pods_job(cluster)], nobody, victoria_metrics.remote_write_url)
    pages = recorded(cluster.exporters["shop", "web-0"])
    async with Promscout(tmp_path, config) as agent:
        await until(lambda: len(pages) >= 5, 20, "five scrapes")

        async def all_there():
            stored = await delivered(victoria_metrics, 'app_scrapes_total{pod="web-0"}')
            return stored and [value for _, value in next(iter(stored.values()))][:5] == [*range(1, 6)]

        await until(all_there, 3, "every scrape is delivered to the receiver that is up")
        url = victoria_metrics.remote_write_url
        assert await agent.metric("prometheus_remote_storage_samples_pending", url=nobody) > 100
        assert await agent.metric("prometheus_remote_storage_samples_retried_total", url=nobody) > 0
        assert await agent.metric("prometheus_remote_storage_samples_retried_total", url=url) == 0
