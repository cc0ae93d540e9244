"""Live simulated clusters: exporters over real sockets, pods that start, endpoints that follow, churn."""

from __future__ import annotations

import asyncio
import gzip
import json
import re

import aiohttp
import pytest

from promscout.sim import Churn, SimCluster, populate_demo
from promscout.sim.churn import set_label
from promscout.sim.exporter import Behaviour
from promscout.sim.population import Port, node, pod, pod_address, service
from promscout.sim.resources import ENDPOINTS, ENDPOINTSLICES, NODES, PODS, SERVICES
from promscout.sim.status import Refusal

SCRAPED = {"prometheus.io/scrape": "true", "prometheus.io/port": "9100"}
KEY = ("default", "web")


@pytest.fixture
async def cluster():
    async with SimCluster(live=True) as cluster:
        yield cluster


@pytest.fixture
async def session():
    timeout = aiohttp.ClientTimeout(total=5)
    async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
        yield session


async def _add(cluster, *objects):
    for one in objects:
        cluster.store.add(one)
    await cluster.settled()


async def _page(session, exporter, **headers):
    async with session.get(exporter.url, headers={"Accept-Encoding": "identity", **headers}) as response:
        assert response.status == 200
        return await response.read()


async def test_a_new_pod_starts_on_an_address_of_its_own(cluster, session):
    await _add(cluster, node("n1"), pod("web", annotations=SCRAPED), pod("db", annotations=SCRAPED))
    seen = {one.name: one.decode() for one in cluster.store.list(PODS)}
    addresses = {name: one["status"]["podIP"] for name, one in seen.items()}
    assert len(set(addresses.values())) == 2
    assert all(re.fullmatch(r"127\.\d+\.1\.\d+", one) and one != "127.0.0.1" for one in addresses.values())
    assert seen["web"]["status"]["phase"] == "Running"
    assert seen["web"]["spec"]["nodeName"] == "n1"
    exporter = cluster.exporters[KEY]
    assert exporter.url == f"http://{addresses['web']}:9100/metrics"
    async with session.get(exporter.url) as response:
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert 'app_build_info{app="default/web"' in await _text(response)


async def _text(response):
    raw = await response.read()
    return (gzip.decompress(raw) if response.headers.get("Content-Encoding") == "gzip" else raw).decode()


async def test_a_deleted_pod_refuses_connections(cluster, session):
    await _add(cluster, pod("web", annotations=SCRAPED))
    exporter = cluster.exporters[KEY]
    await _page(session, exporter)
    cluster.store.delete(PODS, *KEY)
    await cluster.settled()
    assert KEY not in cluster.exporters
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.get(exporter.url)


async def test_a_pod_with_an_address_elsewhere_gets_no_exporter(cluster):
    await _add(cluster, pod("web", ip="192.0.2.1", annotations=SCRAPED))
    assert len(cluster.exporters) == 0
    with pytest.raises(ValueError, match="not a loopback address"):
        await cluster.exporters.open(KEY, "192.0.2.1", 80, annotations={})


async def test_the_path_of_the_annotation_is_served_and_no_other(cluster, session):
    await _add(cluster, pod("web", annotations={**SCRAPED, "prometheus.io/path": "/internal/metrics"}))
    exporter = cluster.exporters[KEY]
    assert exporter.url.endswith(":9100/internal/metrics")
    await _page(session, exporter)
    async with session.get(exporter.url.replace("/internal", "")) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("ports", "annotations", "expected"),
    [
        ((Port("http", 8080), Port("metrics", 9091)), {}, 9091),
        ((Port("http", 8080), Port("grpc", 9092)), {}, 8080),
        ((Port("http", 8080),), {"prometheus.io/port": "9093"}, 9093),
    ],
)
async def test_the_exporter_listens_where_people_would_look(cluster, ports, annotations, expected):
    await _add(cluster, pod("web", ports=ports, annotations=annotations))
    assert cluster.exporters[KEY].port == expected


async def test_a_pod_without_ports_runs_without_an_exporter(cluster):
    await _add(cluster, pod("web", ports=()))
    assert cluster.store.get(PODS, *KEY).decode()["status"]["phase"] == "Running"
    assert len(cluster.exporters) == 0


async def test_counters_grow_and_the_last_page_is_remembered(cluster, session):
    await _add(cluster, pod("web", annotations=SCRAPED))
    exporter = cluster.exporters[KEY]
    pages = [await _page(session, exporter) for _ in range(3)]
    assert exporter.requests == 3
    assert exporter.last.body == pages[-1]
    assert exporter.last.value("app_scrapes_total") == 3
    with pytest.raises(LookupError):
        exporter.last.value("absent_total")


async def test_a_page_is_compressed_for_those_who_accept_it(cluster, session):
    await _add(cluster, pod("web", annotations=SCRAPED))
    exporter = cluster.exporters[KEY]
    packed = await _page(session, exporter, **{"Accept-Encoding": "gzip"})
    assert gzip.decompress(packed) == exporter.last.body


async def test_the_number_of_series_can_be_chosen(cluster, session):
    await _add(cluster, pod("web", annotations={**SCRAPED, "sim.promscout/series": "1000"}))
    page = await _page(session, cluster.exporters[KEY])
    assert sum(1 for line in page.splitlines() if not line.startswith(b"#")) == 1000


async def test_an_annotation_makes_a_running_exporter_fail_and_recover(cluster, session):
    await _add(cluster, pod("web", annotations=SCRAPED))
    exporter = cluster.exporters[KEY]
    for failure, code in (("500", 500), ("", 200)):

        def annotated(obj, failure=failure):
            obj["metadata"]["annotations"]["sim.promscout/failure"] = failure
            return obj

        cluster.store.patch(PODS, *KEY, annotated)
        await cluster.settled()
        async with session.get(exporter.url) as response:
            assert response.status == code
    assert cluster.exporters[KEY] is exporter


async def test_another_change_of_a_pod_leaves_its_exporter_as_a_test_set_it(cluster):
    await _add(cluster, pod("web", annotations=SCRAPED))
    cluster.exporters[KEY].behaviour.failure = "hang"
    set_label(cluster.store, cluster.store.get(PODS, *KEY), "a", "b")
    await cluster.settled()
    assert cluster.exporters[KEY].behaviour.failure == "hang"


async def test_an_exporter_moves_with_the_annotated_port(cluster, session):
    await _add(cluster, pod("web", annotations=SCRAPED))
    before = cluster.exporters[KEY].url

    def moved(obj):
        obj["metadata"]["annotations"]["prometheus.io/port"] = "9200"
        return obj

    cluster.store.patch(PODS, *KEY, moved)
    await cluster.settled()
    assert cluster.exporters[KEY].port == 9200
    await _page(session, cluster.exporters[KEY])
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.get(before)


async def test_a_body_of_ones_own_can_be_served(cluster, session):
    await _add(cluster, pod("web", annotations=SCRAPED))
    cluster.exporters[KEY].behaviour.body = b"my_metric 42\n"
    assert await _page(session, cluster.exporters[KEY]) == b"my_metric 42\n"
    assert cluster.exporters[KEY].last.value("my_metric") == 42


async def _fails_500(session, url):
    async with session.get(url) as response:
        assert response.status == 500


async def _fails_hang(session, url):
    with pytest.raises(TimeoutError):
        await session.get(url, timeout=aiohttp.ClientTimeout(total=0.2))


async def _fails_garbage(session, url):
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as response:
        assert response.status == 200
        assert b"<html>" in await response.read()


async def _fails_truncated(session, url):
    async with session.get(url) as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def _fails_abort(session, url):
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.get(url)


@pytest.mark.parametrize(
    ("failure", "check"),
    [
        ("500", _fails_500),
        ("hang", _fails_hang),
        ("garbage", _fails_garbage),
        ("truncated", _fails_truncated),
        ("abort", _fails_abort),
    ],
)
async def test_an_exporter_fails_as_told_and_recovers(cluster, session, failure, check):
    await _add(cluster, pod("web", annotations={**SCRAPED, "sim.promscout/failure": failure}))
    exporter = cluster.exporters[KEY]
    await check(session, exporter.url)
    assert exporter.last is None
    exporter.behaviour.failure = ""
    assert b"app_scrapes_total" in await _page(session, exporter)


async def test_an_exporter_can_fail_every_few_requests(cluster, session):
    annotations = {**SCRAPED, "sim.promscout/failure": "500", "sim.promscout/failure-every": "3"}
    await _add(cluster, pod("web", annotations=annotations))
    statuses = []
    for _ in range(6):
        async with session.get(cluster.exporters[KEY].url) as response:
            statuses.append(response.status)
    assert statuses == [200, 200, 500, 200, 200, 500]


async def test_latency_holds_the_page_back(cluster, session):
    await _add(cluster, pod("web", annotations={**SCRAPED, "sim.promscout/latency": "0.2"}))
    started = asyncio.get_running_loop().time()
    await _page(session, cluster.exporters[KEY])
    assert asyncio.get_running_loop().time() - started >= 0.2


@pytest.mark.parametrize(
    "annotations",
    [{"sim.promscout/failure": "explode"}, {"sim.promscout/series": "many"}, {"prometheus.io/port": "99999"}],
)
async def test_a_pod_that_cannot_listen_crashes_and_leaves_the_others_alone(cluster, annotations):
    await _add(cluster, pod("web", annotations={**SCRAPED, **annotations}), pod("fine", annotations=SCRAPED))
    state = cluster.store.get(PODS, *KEY).decode()["status"]["containerStatuses"][0]
    assert (state["ready"], state["state"]["waiting"]["reason"]) == (False, "CrashLoopBackOff")
    assert list(cluster.exporters) == [("default", "fine")]


def test_an_unknown_failure_names_the_annotation():
    with pytest.raises(ValueError, match=r"sim\.promscout/failure: 'explode' is none of 500, hang"):
        Behaviour.from_annotations({"sim.promscout/failure": "explode"})


async def test_endpoints_follow_their_pods(cluster):
    await _add(cluster, service("web", selector={"app": "web"}, ports=(Port("http", 8080),)))
    assert cluster.store.get(ENDPOINTS, *KEY).decode().get("subsets") in (None, [])
    await _add(cluster, pod("web-1", labels={"app": "web"}), pod("other", labels={"app": "other"}))
    (subset,) = cluster.store.get(ENDPOINTS, *KEY).decode()["subsets"]
    assert [one["targetRef"]["name"] for one in subset["addresses"]] == ["web-1"]
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    found = cluster.store.get(ENDPOINTSLICES, "default", "web-slice").decode()
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert found["endpoints"][0]["conditions"] == {"ready": True, "serving": True, "terminating": False}
    cluster.store.delete(PODS, "default", "web-1")
    await cluster.settled()
    assert cluster.store.get(ENDPOINTSLICES, "default", "web-slice").decode()["endpoints"] == []
    cluster.store.delete(SERVICES, *KEY)
    await cluster.settled()
    for resource in (ENDPOINTS, ENDPOINTSLICES):
        assert cluster.store.list(resource) == []


async def test_a_pod_that_is_not_ready_is_no_ready_endpoint(cluster):
    obj = pod("web-1", labels={"app": "web"}, ip="127.1.1.1", ports=())
    for condition in obj["status"]["conditions"]:
        condition["status"] = "False"
    await _add(cluster, service("web", selector={"app": "web"}), obj)
    (subset,) = cluster.store.get(ENDPOINTS, *KEY).decode()["subsets"]
    assert "addresses" not in subset
    assert [one["ip"] for one in subset["notReadyAddresses"]] == ["127.1.1.1"]


async def test_two_live_clusters_do_not_share_addresses(cluster):
    async with SimCluster(live=True) as other:
        for one in (cluster, other):
            await _add(one, pod("web", annotations=SCRAPED))
        assert cluster.exporters[KEY].address != other.exporters[KEY].address


async def test_the_demo_population_runs_at_once(session):
    cluster = SimCluster(live=True)
    populate_demo(cluster.store)
    started = asyncio.get_running_loop().time()
    async with cluster:
        assert asyncio.get_running_loop().time() - started < 1
        pods = [one.decode() for one in cluster.store.list(PODS)]
        assert 45 <= len(pods) <= 55
        assert len({one["metadata"]["namespace"] for one in pods}) in (4, 5)
        assert len(cluster.store.list(NODES)) == 4
        assert all(one["status"]["phase"] == "Running" for one in pods)
        scraped = [one for one in pods if one["metadata"].get("annotations", {}).get("prometheus.io/scrape") == "true"]
        assert 30 <= len(scraped) < len(pods)
        for one in scraped:
            metadata = one["metadata"]
            exporter = cluster.exporters[metadata["namespace"], metadata["name"]]
            assert metadata["annotations"]["prometheus.io/port"] == str(exporter.port)
            await _page(session, exporter)
        services = {one.key for one in cluster.store.list(SERVICES)}
        assert {one.key for one in cluster.store.list(ENDPOINTS)} == services


async def test_churn_changes_pods_without_losing_the_cluster():
    cluster = SimCluster(live=True)
    populate_demo(cluster.store)
    usual = len(cluster.store.list(PODS))
    done = []
    async with cluster:
        churn = Churn(cluster.store, rate=1000, seed=1)
        for _ in range(200):
            done.append(churn.step())
            await cluster.settled()
            assert usual * 0.75 <= len(cluster.store.list(PODS)) <= usual * 1.25
        assert {one.split()[0] for one in done} == {"replaced", "restarted", "labelled", "added", "deleted"}
        pods = {one.key for one in cluster.store.list(PODS)}
        exported = set(cluster.exporters) - {one.key for one in cluster.store.list(NODES)}
        assert exported <= pods
        for stored in cluster.store.list(PODS):
            assert (stored.key in exported) is (b'"containerPort"' in stored.body)


async def test_the_same_seed_churns_the_same():
    done = []
    for _ in range(2):
        cluster = SimCluster()
        populate_demo(cluster.store)
        churn = Churn(cluster.store, seed=7)
        done.append([churn.step() for _ in range(50)])
    assert done[0] == done[1]
    assert len(set(done[0])) > 10


async def test_churn_keeps_to_its_number_of_steps():
    cluster = SimCluster()
    populate_demo(cluster.store)
    revision = cluster.store.revision
    await Churn(cluster.store, rate=1000).run(steps=5)
    assert revision < cluster.store.revision <= revision + 5 * 4


def test_pod_addresses_are_loopback_and_different():
    addresses = {pod_address(index, net) for index in (0, 1, 249, 250, 62_499) for net in (1, 10)}
    assert len(addresses) == 10
    assert all(one.startswith("127.") and one != "127.0.0.1" for one in addresses)
    with pytest.raises(ValueError, match="no pod address"):
        pod_address(62_500)


async def test_metrics_of_the_node_are_served_at_its_kubelet_port(cluster, session):
    await _add(cluster, node("n1"))
    assert cluster.exporters["", "n1"].port == 10250
    await _page(session, cluster.exporters["", "n1"])


async def test_a_created_pod_over_http_comes_alive(cluster, session):
    async with session.post(f"{cluster.url}/api/v1/namespaces/default/pods", data=json.dumps(pod("web"))) as response:
        assert response.status == 201
    await cluster.settled()
    await _page(session, cluster.exporters[KEY])


async def test_an_exporter_is_not_opened_before_the_start():
    cluster = SimCluster()
    with pytest.raises(RuntimeError):
        await cluster.exporters.open(KEY, "127.1.1.1", 80, annotations={})
    with pytest.raises(Refusal):
        cluster.store.get(PODS, *KEY)
