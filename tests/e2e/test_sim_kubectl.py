"""Real kubectl against the simulated cluster."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import asynccontextmanager, suppress

import pytest

from promscout.sim import SimCluster, populate_demo
from promscout.sim.__main__ import kubeconfig
from promscout.sim.resources import PODS

POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {"containers": [{"name": "app", "image": "registry.example/app:v1", "ports": [{"containerPort": 8080}]}]},
}
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: registry.example/app:v1}]}
"""


class _Run:
    """kubectl with one kubeconfig and a cache of its own."""

    def __init__(self, program, directory, url):
        self._program = program
        self._directory = directory
        self._config = directory / "kubeconfig"
        self._config.write_text(kubeconfig(url))

    def _command(self, *arguments):
        return (self._program, f"--kubeconfig={self._config}", f"--cache-dir={self._directory / 'cache'}", *arguments)

    async def __call__(self, *arguments, stdin="", code=0):
        process = await asyncio.create_subprocess_exec(
            *self._command(*arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode == code, (arguments, out.decode(), err.decode())
        return (out if code == 0 else err).decode()

    @asynccontextmanager
    async def following(self, *arguments):
        """Yields a function that reads the next line."""
        process = await asyncio.create_subprocess_exec(
            *self._command(*arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )

        async def line():
            async with asyncio.timeout(20):
                return (await process.stdout.readline()).decode().split()

        try:
            yield line
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.communicate()


@pytest.fixture
async def cluster():
    cluster = SimCluster(live=True)
    populate_demo(cluster.store)
    async with cluster:
        yield cluster


@pytest.fixture
def run(kubectl, tmp_path, cluster):
    return _Run(str(kubectl), tmp_path, cluster.url)


async def test_get_prints_what_is_there(run):
    pods = (await run("get", "pods", "--namespace=shop", "--selector=app=frontend", "-o", "wide")).splitlines()
    assert pods[0].split()[:7] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]
    assert len(pods) == 7
    assert pods[1].split()[1:4] == ["1/1", "Running", "0"]
    nodes = await run("get", "nodes")
    assert nodes.splitlines()[1].split()[:3] == ["worker-1", "Ready", "<none>"]
    assert "namespace/shop" in await run("get", "ns", "-o", "name")
    everything = await run("get", "all,ep,endpointslices,ing", "--all-namespaces")
    assert "deployment.apps/frontend" in everything
    assert "ingress.networking.k8s.io/shop" in everything


async def test_get_as_json_is_the_stored_object(run, cluster):
    found = json.loads(await run("get", "pods", "-A", "-o", "json"))
    assert {one["metadata"]["name"] for one in found["items"]} == {one.name for one in cluster.store.list(PODS)}
    by_field = json.loads(await run("get", "pods", "-A", "-o", "json", "--field-selector=spec.nodeName=worker-1"))
    assert 0 < len(by_field["items"]) < len(found["items"])
    assert {one["spec"]["nodeName"] for one in by_field["items"]} == {"worker-1"}


async def test_get_in_chunks_misses_nothing(run, cluster):
    names = await run("get", "pods", "-A", "-o", "name", "--chunk-size=7")
    assert len(names.split()) == len(cluster.store.list(PODS))


async def test_a_watch_shows_an_object_come_change_and_go(run, cluster):
    async with run.following("get", "pods", "--watch", "--output-watch-events", "--no-headers") as line:
        async with asyncio.timeout(20):
            while cluster.apiserver.open_watches == 0:  # noqa: ASYNC110 - kubectl tells nobody that it is ready
                await asyncio.sleep(0.02)
        assert await run("create", "-f", "-", stdin=json.dumps(POD)) == "pod/web created\n"
        assert (await line())[:4] == ["ADDED", "web", "0/1", "Pending"]
        assert (await line())[:4] == ["MODIFIED", "web", "1/1", "Running"]
        await run("label", "pod", "web", "color=blue")
        assert (await line())[:2] == ["MODIFIED", "web"]
        await run("delete", "pod", "web")
        assert (await line())[:4] == ["MODIFIED", "web", "1/1", "Terminating"]
        assert (await line())[:2] == ["DELETED", "web"]


async def test_objects_are_created_changed_and_deleted(run, cluster):
    await run("create", "-f", "-", stdin=json.dumps(POD))
    assert "AlreadyExists" in await run("create", "-f", "-", stdin=json.dumps(POD), code=1)
    await cluster.settled()
    await run("label", "pod", "web", "color=blue")
    await run("annotate", "pod", "web", "prometheus.io/scrape=true")
    await run("patch", "pod", "web", "-p", '{"metadata":{"labels":{"strategic":"yes"}}}')
    await run("patch", "pod", "web", "--type=merge", "-p", '{"metadata":{"labels":{"merge":"yes"}}}')
    await run("patch", "pod", "web", "--type=json", "-p", '[{"op":"add","path":"/metadata/labels/json","value":"yes"}]')
    await run("patch", "pod", "web", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Failed"}}')
    await run("label", "pod", "web", "app-")
    found = json.loads(await run("get", "pod", "web", "-o", "json"))
    assert found["metadata"]["labels"] == {"color": "blue", "strategic": "yes", "merge": "yes", "json": "yes"}
    assert found["metadata"]["annotations"] == {"prometheus.io/scrape": "true"}
    assert found["status"]["phase"] == "Failed"
    assert "deleted" in await run("delete", "-f", "-", stdin=json.dumps(POD))
    assert 'pods "web" not found' in await run("get", "pod", "web", code=1)


async def test_apply_creates_then_leaves_alone_then_changes(run):
    assert await run("apply", "-f", "-", stdin=DEPLOYMENT) == "deployment.apps/web created\n"
    assert await run("apply", "-f", "-", stdin=DEPLOYMENT) == "deployment.apps/web unchanged\n"
    changed = DEPLOYMENT.replace("replicas: 2", "replicas: 3")
    assert await run("apply", "-f", "-", stdin=changed) == "deployment.apps/web configured\n"
    assert (await run("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}")) == "3"
    await run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=DEPLOYMENT)
    assert (await run("get", "deployment", "web", "-o", "jsonpath={.spec.replicas}")) == "2"


async def test_refusals_reach_the_user(run, cluster):
    assert 'doesn\'t have a resource type "secrets"' in await run("get", "secrets", code=1)
    cluster.apiserver.faults.forbidden.add("nodes")
    assert 'nodes is forbidden: User "nobody" cannot list' in await run("get", "nodes", code=1)
    cluster.apiserver.token = "t0p"
    assert "Unauthorized" in await run("get", "pods", code=1)


@pytest.mark.parametrize(
    ("arguments", "pods"), [((), 49), (("--pods=50", "--churn=20"), 50)], ids=["demo", "benchmark"]
)
async def test_a_cluster_of_its_own_tells_how_to_reach_it_and_ends_when_told(kubectl, tmp_path, arguments, pods):
    config = tmp_path / "given"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "promscout.sim", f"--kubeconfig={config}", "--seconds=60", *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(20):
            said = [(await process.stdout.readline()).decode() for _ in range(2)]
        assert said[0].startswith("API server: http://127.0.0.1:")
        assert said[1] == f"kubectl --kubeconfig={config} get pods -A\n"
        found = await kubectl.run(["get", "pods", "-A", "-o", "name"], config)
        assert len(found.out.split()) == pods
    finally:
        process.terminate()
        async with asyncio.timeout(10):
            code = await process.wait()
    assert code == 0
