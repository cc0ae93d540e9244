"""What fails around a running promscout, and that nothing is lost or invented by it."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from e2e.delivered import delivered, recorded, remote_write
from e2e.promscout_process import Promscout, until
from peers import VictoriaMetrics
from promscout.sim import SimCluster
from promscout.sim.churn import Churn
from promscout.sim.population import Owner, Port, pod
from promscout.sim.resources import PODS

PORT = 9090
OUTAGE = 60  # seconds
OUTAGE_INTERVAL = 1


@pytest.fixture
async def cluster():
    async with SimCluster(live=True) as cluster:
        for number in range(4):
            cluster.store.add(web(f"web-{number}"))
        await cluster.settled()
        yield cluster


def web(name, owner=None):
    return pod(name, "shop", labels={"app": "web"}, ports=(Port("metrics", PORT),), owner=owner)


def pods_job(cluster):
    return {
        "job_name": "pods",
        "kubernetes_sd_configs": [{"role": "pod", "api_server": cluster.url}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "regex": r"127\..*", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
            {"source_labels": ["__meta_kubernetes_pod_label_version"], "target_label": "version"},
        ],
    }


def static_job(*addresses):
    return {"job_name": "static", "static_configs": [{"targets": list(addresses)}]}


def configuration(jobs, *urls, interval="500ms"):
    return {
        "global": {"scrape_interval": interval},
        "scrape_configs": jobs,
        "remote_write": [remote_write(url) for url in urls],
    }


def address(cluster, name):
    return f"{cluster.exporters['shop', name].address}:{PORT}"


async def healths(agent, job):
    return Counter(one["health"] for one in await agent.active(job))


async def test_an_api_server_that_is_down_at_the_start_delays_only_its_own_targets(cluster, tmp_path):
    await cluster.apiserver.stop()
    config = configuration([pods_job(cluster), static_job(address(cluster, "web-0"))])
    async with Promscout(tmp_path, config) as agent:
        assert "Healthy" in await agent.request("GET", "/-/healthy")
        await until(lambda: scraped(agent, "static"), 10, "the static target is scraped")
        assert await agent.active("pods") == []
        await until(lambda: failures(agent), 10, "the failure is counted")
        assert "list or watch failed" in agent.log()
        await cluster.apiserver.start()

        async def all_up():
            return await healths(agent, "pods") == {"up": 4}

        await until(all_up, 15, "the pods are found and scraped")


async def scraped(agent, job):
    return (await healths(agent, job))["up"]


async def failures(agent):
    return await agent.metric("prometheus_sd_kubernetes_failures_total")


async def test_targets_stay_and_are_scraped_while_the_api_server_is_down(cluster, victoria_metrics, tmp_path):
    pages = recorded(cluster.exporters["shop", "web-0"])
    config = configuration([pods_job(cluster)], victoria_metrics.remote_write_url)
    async with Promscout(tmp_path, config) as agent:

        async def pods():
            return sorted(one["labels"]["pod"] for one in await agent.active("pods"))

        async def are(*names):
            return await pods() == list(names)

        await until(lambda: are("web-0", "web-1", "web-2", "web-3"), 10, "the pods are found")
        await cluster.apiserver.stop()
        cluster.store.delete(PODS, "shop", "web-3")
        cluster.store.add(web("web-4"))
        await cluster.settled()
        before = len(pages)
        await until(lambda: len(pages) >= before + 6, 10, "scrapes go on")
        assert await are("web-0", "web-1", "web-2", "web-3")
        await cluster.apiserver.start()
        await until(lambda: are("web-0", "web-1", "web-2", "web-4"), 15, "it catches up")
        before = len(pages)
        await until(lambda: len(pages) >= before + 2, 10, "scrapes go on")
    samples = await delivered(victoria_metrics, 'app_scrapes_total{pod="web-0"}', stale=True)
    (series,) = samples.values()
    assert [value for _, value in series] == [*range(1, len(series) + 1)], "no scrape is missing, no marker is there"
    assert len(series) >= len(pages) - 1


class Restartable(VictoriaMetrics):
    """Goes down and comes back on the same port with the same data."""

    async def go_down(self):
        await self._stop()

    async def come_back(self):
        self._start()
        await self._wait_until_ready()


async def test_nothing_is_lost_while_the_receiver_is_down(cluster, peers_dir, tmp_path):
    names = [f"web-{number}" for number in range(4)]
    pages = {name: recorded(cluster.exporters["shop", name]) for name in names}
    async with Restartable(peers_dir, tmp_path) as receiver:
        config = configuration([pods_job(cluster)], receiver.remote_write_url, interval=f"{OUTAGE_INTERVAL}s")
        async with Promscout(tmp_path, config) as agent:
            await receiver.query_until("count(app_scrapes_total) == 4")
            await receiver.go_down()
            await asyncio.sleep(OUTAGE)
            # Mostly pending, or the outage was none.
            assert await agent.metric("prometheus_remote_storage_samples_pending") > OUTAGE / OUTAGE_INTERVAL * 4 * 20
            await receiver.come_back()

            async def caught_up():
                return await agent.metric("prometheus_remote_storage_samples_pending") < 200

            await until(caught_up, 15, "the backlog is delivered")
            assert await agent.metric("prometheus_remote_storage_samples_dropped_total") == 0
            agent.signal(15)
            assert await agent.exit_code(5) == 0
        for name in names:
            (samples,) = (await delivered(receiver, f'app_scrapes_total{{pod="{name}"}}', stale=True)).values()
            assert [value for _, value in samples] == [*range(1, len(samples) + 1)], "every scrape is there once"
            assert len(samples) >= max(OUTAGE / OUTAGE_INTERVAL, len(pages[name]) - 1)
            (up,) = (await delivered(receiver, f'up{{pod="{name}"}}', stale=True)).values()
            assert up == [(at, 1) for at, _ in samples], "and every report"


async def test_no_change_is_missed_or_doubled_while_watches_are_cut(cluster, tmp_path):
    owner = Owner("ReplicaSet", "front-abc")
    for number in range(20):
        cluster.store.add(web(f"front-abc-{number}", owner))
    await cluster.settled()
    async with Promscout(tmp_path, configuration([pods_job(cluster)], interval="10s")) as agent:
        await until(lambda: agent.active("pods"), 10, "the pods are found")
        churn = Churn(cluster.store, seed=11)
        for cut in range(5):
            for _ in range(20):
                churn.step()
                await asyncio.sleep(0.05)
            cluster.apiserver.cut_watches()
            if cut % 2:
                cluster.store.compact()
        await cluster.settled()

        def wanted():
            pods = cluster.store.list(PODS)
            return sorted((one.name, one.labels.get("version", "")) for one in pods)

        async def same():
            found = await agent.active("pods")
            return sorted((one["labels"]["pod"], one["labels"].get("version", "")) for one in found) == wanted()

        assert len({name for name, _ in wanted()} - {f"front-abc-{number}" for number in range(20)}) > 10
        await until(same, 10, "the active targets are the cluster's pods, each once")
        assert await agent.metric("prometheus_sd_discovered_targets", config="pods") == len(wanted())
