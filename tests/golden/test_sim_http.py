"""The simulated API server over HTTP, where no recording says it already: writes, tables, faults, restarts."""

from __future__ import annotations

import asyncio
import gzip
import json

import aiohttp
import pytest
import yaml

from harness.waiting import until
from promscout.sim import SimCluster
from promscout.sim.__main__ import kubeconfig
from promscout.sim.bench_population import populate_bench
from promscout.sim.population import namespace, node, pod
from promscout.sim.resources import PODS

PODS_PATH = "/api/v1/namespaces/default/pods"
MERGE = {"Content-Type": "application/merge-patch+json"}
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
METADATA = {"Accept": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}


@pytest.fixture
async def cluster():
    async with SimCluster() as cluster:
        yield cluster


@pytest.fixture
async def session(cluster):
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(cluster.url, timeout=timeout, auto_decompress=False) as session:
        yield session


async def _call(session, method, path, *, body=None, code=200, headers=None):
    data = None if body is None else json.dumps(body)
    async with session.request(method, path, data=data, headers=headers) as response:
        text = await response.text()
        assert response.status == code, text
        return json.loads(text)


async def test_an_object_goes_through_its_whole_life(session):
    created = await _call(session, "POST", PODS_PATH, body=pod("web", ip="127.1.1.1"), code=201)
    assert (created["kind"], created["apiVersion"], created["metadata"]["name"]) == ("Pod", "v1", "web")
    assert created["status"] == {"phase": "Pending", "qosClass": "BestEffort"}  # the status is not the creator's
    assert await _call(session, "GET", f"{PODS_PATH}/web") == created
    labels = {"metadata": {"labels": {"a": "b"}}, "status": {"phase": "Running"}}
    patched = await _call(session, "PATCH", f"{PODS_PATH}/web", body=labels, headers=MERGE)
    assert (patched["metadata"]["labels"], patched["status"]["phase"]) == ({"a": "b"}, "Pending")
    started = {"spec": {"nodeName": "n"}, "status": {"phase": "Running"}}
    status = await _call(session, "PATCH", f"{PODS_PATH}/web/status", body=started, headers=MERGE)
    assert (status["status"]["phase"], status["spec"].get("nodeName")) == ("Running", None)
    status["metadata"]["annotations"] = {"c": "d"}
    updated = await _call(session, "PUT", f"{PODS_PATH}/web", body=status)
    assert updated["metadata"]["annotations"] == {"c": "d"}
    stale = await _call(session, "PUT", f"{PODS_PATH}/web", body=patched, code=409)
    assert (stale["reason"], stale["details"]) == ("Conflict", {"name": "web", "kind": "pods"})
    await _call(session, "DELETE", f"{PODS_PATH}/web")
    gone = await _call(session, "GET", f"{PODS_PATH}/web", code=404)
    assert gone["message"] == 'pods "web" not found'


async def test_an_object_of_a_group_names_its_group_in_refusals(session):
    path = "/apis/apps/v1/namespaces/default/deployments"
    refused = await _call(session, "GET", f"{path}/x", code=404)
    assert refused["details"] == {"name": "x", "group": "apps", "kind": "deployments"}
    deployment = {"metadata": {"name": "x"}, "spec": {"replicas": 1}}
    await _call(session, "POST", path, body=deployment, code=201)
    exists = await _call(session, "POST", path, body=deployment, code=409)
    assert (exists["reason"], exists["message"]) == ("AlreadyExists", 'deployments.apps "x" already exists')
    deleted = await _call(session, "DELETE", f"{path}/x")
    assert (deleted["kind"], deleted["status"], deleted["details"]["group"]) == ("Status", "Success", "apps")


async def test_an_applied_object_is_created_and_then_merged(session):
    headers = {"Content-Type": "application/apply-patch+yaml"}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"labels": {"a": "1"}}, "spec": {"nodeName": "n"}}
    await _call(session, "PATCH", f"{PODS_PATH}/web", body=body, code=201, headers=headers)
    body["metadata"]["labels"] = {"b": "2"}
    merged = await _call(session, "PATCH", f"{PODS_PATH}/web", body=body, headers=headers)
    assert merged["metadata"]["labels"] == {"a": "1", "b": "2"}


async def test_deleting_a_namespace_empties_it(cluster, session):
    cluster.store.add(namespace("shop"))
    cluster.store.add(pod("web", "shop"))
    cluster.store.add(pod("web", "other"))
    await _call(session, "DELETE", "/api/v1/namespaces/shop")
    assert [one.namespace for one in cluster.store.list(PODS)] == ["other"]


async def test_deleting_a_collection_deletes_what_the_selector_picks(cluster, session):
    for name, app in (("a", "x"), ("b", "y")):
        cluster.store.add(pod(name, labels={"app": app}))
    await _call(session, "DELETE", f"{PODS_PATH}?labelSelector=app%3Dx")
    assert [one.name for one in cluster.store.list(PODS)] == ["b"]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "code", "reason"),
    [
        ("POST", PODS_PATH, "not json", {}, 400, "BadRequest"),
        ("POST", PODS_PATH, '{"kind":"Node","apiVersion":"v1","metadata":{"name":"x"}}', {}, 400, "BadRequest"),
        ("POST", PODS_PATH, '{"metadata":{}}', {}, 422, "Invalid"),
        ("POST", PODS_PATH, '{"metadata":{"name":"x","labels":{"a":1}}}', {}, 400, "BadRequest"),
        ("POST", PODS_PATH, '{"metadata":null}', {}, 400, "BadRequest"),
        ("POST", f"{PODS_PATH}/x", "{}", {}, 405, "MethodNotAllowed"),
        ("PUT", PODS_PATH, "{}", {}, 405, "MethodNotAllowed"),
        ("PATCH", f"{PODS_PATH}/x", "{}", {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType"),
        ("PATCH", f"{PODS_PATH}/x", "{}", MERGE, 404, "NotFound"),
        ("PATCH", f"{PODS_PATH}/x?dryRun=All", "{}", MERGE, 400, "BadRequest"),
        ("GET", "/api/v1/pods/x", None, {}, 404, "NotFound"),
        ("GET", "/apis/none.example.com/v1/things", None, {}, 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/nodes", None, {}, 404, "NotFound"),
        ("GET", f"{PODS_PATH}/x/log", None, {}, 404, "NotFound"),
        ("GET", "/api/v1/namespaces/default/endpoints/x/status", None, {}, 404, "NotFound"),
    ],
)
async def test_a_request_that_makes_no_sense_is_refused_with_a_status(
    session, *, method, path, body, headers, code, reason
):
    async with session.request(method, path, data=body, headers=headers) as response:
        answer = json.loads(await response.text())
        assert (response.status, answer["code"], answer["reason"], answer["kind"]) == (code, code, reason, "Status")


async def test_a_large_list_is_compressed_and_a_small_one_is_not(cluster, session):
    headers = {"Accept-Encoding": "gzip"}
    async with session.get("/api/v1/pods", headers=headers) as response:
        assert "Content-Encoding" not in response.headers
    populate_bench(cluster.store, 100)
    async with session.get("/api/v1/pods", headers={"Accept-Encoding": "identity"}) as response:
        plain = await response.read()
        assert "Content-Encoding" not in response.headers
    async with session.get("/api/v1/pods", headers=headers) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        packed = await response.read()
    assert len(packed) < len(plain) / 5
    assert gzip.decompress(packed) == plain
    assert len(json.loads(plain)["items"]) == 100


async def test_pods_and_nodes_are_shown_as_kubectl_prints_them(cluster, session):
    cluster.store.add(pod("web", ip="127.1.1.1", node="n1"))
    cluster.store.add(node("n1", ip="127.1.252.1"))
    table = await _call(session, "GET", "/api/v1/pods", headers=TABLE)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    assert [one["name"] for one in table["columnDefinitions"]][:5] == ["Name", "Ready", "Status", "Restarts", "Age"]
    (row,) = table["rows"]
    assert [*row["cells"][:4], *row["cells"][5:]] == ["web", "1/1", "Running", 0, "127.1.1.1", "n1"]
    assert (row["object"]["kind"], row["object"]["metadata"]["name"]) == ("PartialObjectMetadata", "web")
    nodes = await _call(session, "GET", "/api/v1/nodes", headers=TABLE)
    assert nodes["rows"][0]["cells"][:4] == ["n1", "Ready", "<none>", "v1.36.2"]


async def test_metadata_alone_can_be_asked_for(cluster, session):
    cluster.store.add(pod("web", labels={"a": "b"}))
    found = await _call(session, "GET", "/api/v1/pods", headers=METADATA)
    assert (found["kind"], found["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    (item,) = found["items"]
    assert set(item) == {"kind", "apiVersion", "metadata"}
    assert item["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize("headers", [{}, TABLE, METADATA], ids=["plain", "table", "metadata"])
async def test_a_watch_shows_every_representation(cluster, session, headers):
    path = "/api/v1/pods?watch=1&timeoutSeconds=1&allowWatchBookmarks=1&resourceVersion=1"
    cluster.store.add(pod("web"))
    async with session.get(path, headers=headers) as response:
        events = [json.loads(line) async for line in response.content]
    assert [one["type"] for one in events] == ["ADDED", "BOOKMARK"]
    shown = events[0]["object"]
    metadata = shown["rows"][0]["object"]["metadata"] if shown["kind"] == "Table" else shown["metadata"]
    assert metadata["name"] == "web"


async def test_clients_find_out_what_is_served(session):
    groups = await _call(session, "GET", "/apis")
    served = ["v1", *(one["preferredVersion"]["groupVersion"] for one in groups["groups"])]
    kinds = set()
    for version in served:
        found = await _call(session, "GET", f"/api/{version}" if "/" not in version else f"/apis/{version}")
        assert found["groupVersion"] == version
        kinds |= {one["kind"] for one in found["resources"]}
    assert kinds >= {"Pod", "Node", "Service", "Endpoints", "EndpointSlice", "Ingress", "Namespace", "Job", "CronJob"}
    paths = (await _call(session, "GET", "/openapi/v3"))["paths"]
    for entry in paths.values():
        assert (await _call(session, "GET", entry["serverRelativeURL"]))["paths"]
    async with session.get("/openapi/v2") as response:
        assert (response.status, await response.text()) == (404, "404 page not found\n")


async def test_a_token_opens_the_door(cluster, session):
    cluster.apiserver.token = "t0p"
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "t0p"}):
        assert (await _call(session, "GET", "/api/v1/pods", code=401, headers=headers))["reason"] == "Unauthorized"
    await _call(session, "GET", "/api/v1/pods", headers={"Authorization": "Bearer t0p"})


async def test_one_verb_of_one_resource_can_be_forbidden(cluster, session):
    cluster.apiserver.faults.forbidden.add("watch pods")
    await _call(session, "GET", PODS_PATH)
    refused = await _call(session, "GET", f"{PODS_PATH}?watch=1", code=403)
    assert refused["message"] == (
        'pods is forbidden: User "nobody" cannot watch resource "pods" in API group "" in the namespace "default"'
    )


async def test_a_server_that_is_unavailable_says_so_until_it_recovers(cluster, session):
    cluster.apiserver.faults.unavailable = True
    assert (await _call(session, "GET", "/api/v1/pods", code=503))["reason"] == "ServiceUnavailable"
    cluster.apiserver.faults.unavailable = False
    cluster.apiserver.faults.fail_next = 2
    for code in (500, 500, 200):
        await _call(session, "GET", "/api/v1/pods", code=code)


async def test_a_server_that_aborts_drops_the_connection(cluster, session):
    cluster.apiserver.faults.abort = True
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await session.get("/api/v1/pods")


async def test_a_broken_list_ends_in_the_middle(cluster, session):
    populate_bench(cluster.store, 100)
    cluster.apiserver.faults.break_lists = True
    async with session.get("/api/v1/pods") as response:
        assert response.status == 200
        with pytest.raises(aiohttp.ClientPayloadError):
            await response.read()


async def test_a_delay_holds_answers_back(cluster, session):
    cluster.apiserver.faults.delay = 0.2
    started = asyncio.get_running_loop().time()
    await _call(session, "GET", "/version")
    assert asyncio.get_running_loop().time() - started >= 0.2


async def test_cut_watches_break_and_ended_watches_end(cluster, session):
    async with session.get("/api/v1/pods?watch=1") as broken:
        await until(lambda: cluster.apiserver.open_watches == 1)
        cluster.apiserver.cut_watches()
        with pytest.raises(aiohttp.ClientPayloadError):
            await broken.read()
    async with session.get("/api/v1/pods?watch=1") as ended:
        await until(lambda: cluster.apiserver.open_watches == 1)
        cluster.apiserver.end_watches()
        assert await ended.read() == b""
    await until(lambda: cluster.apiserver.open_watches == 0)


async def test_a_client_that_leaves_frees_its_watch(cluster, session):
    response = await session.get("/api/v1/pods?watch=1")
    await until(lambda: cluster.apiserver.open_watches == 1)
    response.close()
    await until(lambda: cluster.apiserver.open_watches == 0)


async def test_a_server_that_was_stopped_comes_back_on_its_port(cluster, session):
    await _call(session, "POST", PODS_PATH, body=pod("web"), code=201)
    watching = await session.get("/api/v1/pods?watch=1&resourceVersion=0")
    url = cluster.url
    await cluster.apiserver.stop()
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.get("/api/v1/pods")
    with pytest.raises(aiohttp.ClientError):
        await watching.read()
    await cluster.apiserver.start()
    assert cluster.url == url
    assert len((await _call(session, "GET", "/api/v1/pods"))["items"]) == 1


@pytest.mark.parametrize("live", [False, True])
async def test_a_port_in_use_is_an_error_that_leaves_nothing_behind(cluster, live):
    with pytest.raises(OSError, match="in use"):
        async with SimCluster(port=cluster.apiserver.port, live=live):
            pass


async def test_requests_are_remembered(cluster, session):
    await session.get("/api/v1/pods?limit=5", headers={"User-Agent": "tester"})
    seen = cluster.apiserver.requests[-1]
    assert (seen.method, seen.path, seen.query, seen.user_agent, seen.is_watch) == (
        "GET",
        "/api/v1/pods",
        {"limit": "5"},
        "tester",
        False,
    )


def test_a_kubeconfig_names_server_and_token():
    config = yaml.safe_load(kubeconfig("http://127.0.0.1:1", "t0p"))
    assert config["clusters"][0]["cluster"]["server"] == "http://127.0.0.1:1"
    assert config["users"][0]["user"] == {"token": "t0p"}
    assert config["current-context"] == config["contexts"][0]["name"]


async def _until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the condition has no event to wait for
            await asyncio.sleep(0.005)
