"""The reflector against a real list/watch server with faults."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing, asynccontextmanager

import pytest

from harness.kube_metrics import Uncounted
from harness.waiting import until
from promscout.httpclient.config import HTTPClientConfig
from promscout.kube.access import ClusterAccess
from promscout.kube.client import ApiClient
from promscout.kube.informer import SharedInformers
from promscout.kube.resource import PODS, Scope
from promscout.sim import SimCluster
from promscout.sim import resources as sim


class Failures(Uncounted):
    """Counts requests, and failed lists and watches."""

    def __init__(self):
        self.count = 0
        self.statuses = []
        self.measured = []

    def requested(self, status_code):
        self.statuses.append(status_code)

    def took(self, endpoint, seconds):
        assert seconds >= 0
        self.measured.append(endpoint)

    def failed(self, resource):
        self.count += 1


class Replica:
    """What a handler alone can know: every change applied once, in order."""

    def __init__(self, store):
        self.objects = {key: store.get(key) for key in store}
        store.subscribe(self._follow)

    def _follow(self, key, before, now):
        assert self.objects.get(key) == before, "a handler missed or repeated a change"
        if now is None:
            del self.objects[key]
        else:
            self.objects[key] = now


def _pod(name, namespace="default", **labels):
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "app", "image": "app:1"}]},
    }


def _label(cluster, name, value):
    def change(pod):
        pod["metadata"].setdefault("labels", {})["step"] = value
        return pod

    cluster.store.patch(sim.PODS, "default", name, change)


def _served(cluster):
    return {f"{one.namespace}/{one.name}" for one in cluster.store.list(sim.PODS)}


@pytest.fixture
async def cluster():
    async with SimCluster() as cluster:
        for number in range(3):
            cluster.store.create(sim.PODS, _pod(f"p{number}"), "default")
        yield cluster


@pytest.fixture(params=["streaming lists", "paged lists"], autouse=True)
def list_style(request, cluster):
    cluster.apiserver.faults.no_watch_list = request.param == "paged lists"
    return request.param


@asynccontextmanager
async def _informer(cluster, scope=None):
    failures = Failures()
    async with SharedInformers(failures) as shared:
        access = ClusterAccess(cluster.url, HTTPClientConfig())
        informer = shared.acquire(access, PODS, scope or Scope())
        yield informer, failures
        shared.release(informer)


async def test_a_store_follows_creations_updates_and_deletions(cluster):
    async with _informer(cluster) as (informer, failures):
        await informer.wait_synced()
        assert set(informer.store) == _served(cluster)
        cluster.store.create(sim.PODS, _pod("new"), "default")
        _label(cluster, "p0", "1")
        cluster.store.delete(sim.PODS, "default", "p1")
        await until(lambda: set(informer.store) == {"default/p0", "default/p2", "default/new"})
        await until(lambda: (informer.store.get("default/p0").metadata.labels or {}).get("step") == "1")
        assert (informer.status.lists, informer.status.watches, failures.count) == (1, 1, 0)


async def test_lists_longer_than_a_page_arrive_whole(cluster, list_style):
    for number in range(1200):
        cluster.store.create(sim.PODS, _pod(f"many{number}"), "default")
    async with _informer(cluster) as (informer, _):
        await informer.wait_synced()
        assert len(informer.store) == 1203
        pages = [one for one in cluster.apiserver.requests if not one.is_watch]
        assert len(pages) == (3 if list_style == "paged lists" else 0)


async def test_requests_are_counted_by_status_and_lists_measured_by_path(cluster, list_style):
    async with _informer(cluster, Scope("default")) as (informer, counted):
        await informer.wait_synced()
    assert counted.statuses == ["200"] * len(counted.statuses) != []
    paged = list_style == "paged lists"
    assert counted.measured == (["/api/v1/namespaces/%7Bnamespace%7D/pods"] if paged else [])


async def test_a_request_that_is_refused_or_not_answered_is_counted_as_such(cluster):
    cluster.apiserver.faults.forbidden.add("pods")
    async with _informer(cluster) as (_, counted):
        await until(lambda: "403" in counted.statuses)
        await cluster.apiserver.stop()
        await until(lambda: "<error>" in counted.statuses)


async def test_a_scope_narrows_to_a_namespace_and_a_selector(cluster):
    cluster.store.create(sim.PODS, _pod("here", "shop", app="web"), "shop")
    cluster.store.create(sim.PODS, _pod("other", "shop", app="db"), "shop")
    async with _informer(cluster, Scope("shop", "app=web")) as (informer, _):
        await informer.wait_synced()
        assert set(informer.store) == {"shop/here"}


async def test_a_server_that_is_down_at_the_start_is_found_when_it_comes_up(cluster):
    await cluster.apiserver.stop()
    async with _informer(cluster) as (informer, failures):
        await until(lambda: failures.count >= 1)
        assert informer.status.last_error
        assert not informer.status.synced
        await cluster.apiserver.start()
        async with asyncio.timeout(10):
            await informer.wait_synced()
        assert informer.status.last_error == ""


async def test_while_the_server_is_away_the_store_stays_and_afterwards_catches_up(cluster):
    async with _informer(cluster) as (informer, failures):
        await informer.wait_synced()
        replica = Replica(informer.store)
        await cluster.apiserver.stop()
        cluster.store.create(sim.PODS, _pod("meanwhile"), "default")
        cluster.store.delete(sim.PODS, "default", "p0")
        await until(lambda: failures.count >= 2)
        assert set(informer.store) == {"default/p0", "default/p1", "default/p2"}
        await cluster.apiserver.start()
        await until(lambda: set(informer.store) == _served(cluster))
        assert set(replica.objects) == _served(cluster)


async def test_an_expired_version_is_listed_anew_and_only_the_difference_reported(cluster):
    async with _informer(cluster) as (informer, _):
        await informer.wait_synced()
        changes = []
        informer.store.subscribe(lambda key, before, now: changes.append(key))
        await cluster.apiserver.stop()
        cluster.store.create(sim.PODS, _pod("meanwhile"), "default")
        cluster.store.compact()
        await cluster.apiserver.start()
        await until(lambda: "default/meanwhile" in informer.store)
        assert changes == ["default/meanwhile"]
        assert informer.status.lists == 2


async def test_a_missing_permission_is_told_apart_and_its_grant_noticed(cluster):
    cluster.apiserver.faults.forbidden.add("pods")
    async with _informer(cluster) as (informer, failures):
        await until(lambda: failures.count >= 1)
        assert informer.status.forbidden
        assert "pods is forbidden" in informer.status.last_error
        cluster.apiserver.faults.forbidden.clear()
        async with asyncio.timeout(10):
            await informer.wait_synced()
        assert not informer.status.forbidden


async def test_heartbeats_that_no_label_shows_reach_no_handler(cluster):
    async with _informer(cluster) as (informer, _):
        await informer.wait_synced()
        changes = []
        informer.store.subscribe(lambda key, before, now: changes.append(key))
        cluster.store.patch(sim.PODS, "default", "p0", lambda pod: pod | {"status": {"message": "beat"}})
        _label(cluster, "p1", "1")
        await until(lambda: changes != [])
        assert changes == ["default/p1"]


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_missed_or_repeated_while_watches_are_cut_under_churn(cluster, seed):
    rng = random.Random(seed)
    async with _informer(cluster) as (informer, _):
        await informer.wait_synced()
        replica = Replica(informer.store)
        names = [f"p{number}" for number in range(3)]
        for step in range(300):
            what = rng.random()
            if what < 0.4 or not names:
                names.append(f"c{step}")
                cluster.store.create(sim.PODS, _pod(names[-1]), "default")
            elif what < 0.7:
                cluster.store.delete(sim.PODS, "default", names.pop(rng.randrange(len(names))))
            else:
                _label(cluster, rng.choice(names), str(step))
            if step % 30 == 29:
                (cluster.apiserver.cut_watches if rng.random() < 0.5 else cluster.apiserver.end_watches)()
            if step == 200:
                cluster.store.compact()
            await asyncio.sleep(0.003)
        cluster.store.create(sim.PODS, _pod("last"), "default")
        await until(lambda: "default/last" in informer.store, 20)
        assert set(informer.store) == _served(cluster)
        assert replica.objects == {key: informer.store.get(key) for key in informer.store}


async def test_events_that_follow_each_other_closely_are_read_together_and_in_order(cluster):
    access = ClusterAccess(cluster.url, HTTPClientConfig())
    async with access.client() as http:
        watch = ApiClient(http, access.url).watch(
            PODS, Scope(), resource_version=str(cluster.store.revision), close_after=60, idle_timeout=30
        )

        async def change():
            for step in range(100):
                _label(cluster, "p0", str(step))
                await asyncio.sleep(0.004)

        seen, batches = [], 0
        async with aclosing(watch), asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            tasks.create_task(change())
            async for batch in watch:
                batches += 1
                seen += [event.object.metadata.labels["step"] for event in batch.events]
                if seen[-1] == "99":
                    break
    assert seen == [str(step) for step in range(100)]
    assert batches < 50
