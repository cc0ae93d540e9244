"""The simulated cluster of the discovery benchmark: a process that changes its pods when told to.

``python benchmarks/cluster.py --pods 10000`` writes one line of JSON (:class:`Ready`) when it listens, then reads
commands from its standard input, one line of JSON each, and answers each with a line when it is done; several may be
under way at a time. It ends with its standard input. Times are those of ``time.monotonic``, which all processes share.

Beside the API server runs the one exporter that every target is rewritten to; it also accepts remote write.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import time
from typing import Final

import msgspec
from aiohttp import web
from talk import say, standard_input

from promscout.sim.bench_population import populate_bench
from promscout.sim.churn import bench_churn, set_label
from promscout.sim.cluster import SimCluster
from promscout.sim.objects import Stored
from promscout.sim.population import namespace, pod, pod_address
from promscout.sim.resources import NODES, PODS, SERVICES
from promscout.sim.store import ObjectStore

LATENCY_NAMESPACE: Final = "bench-latency"
LATENCY_PODS: Final = 10
REVISION: Final = "revision"
"""The label whose changes are timed; its values count up, over all pods, for as long as the cluster runs."""

_FIRST_ADDRESS: Final = 60_000  # beyond the benchmark's pods
_PORTS_PER_POD: Final = 3


class Ready(msgspec.Struct, frozen=True):
    """What the cluster is: the API server's URL, the exporter's address, and each job's active targets to expect."""

    url: str
    exporter: str
    targets: dict[str, int]


class Churn(msgspec.Struct, frozen=True, tag="churn"):
    """Patch ``rate`` pods a second; nine of ten a status field, one of ten a label. Different seeds, other pods."""

    rate: float
    seconds: float
    seed: int


class Relabel(msgspec.Struct, frozen=True, tag="relabel"):
    """Change the revision of one latency pod after the other, ``count`` times, ``least`` to ``most`` seconds apart."""

    count: int
    least: float
    most: float
    seed: int


class Command(msgspec.Struct, frozen=True):
    """One line of input."""

    id: int
    do: Churn | Relabel


class Done(msgspec.Struct, frozen=True):
    """One line of output: how many changes were made; of timed ones revision → when."""

    id: int
    made: int
    times: dict[int, float] = {}


class Controls:
    """Carries out commands."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._revision = 0

    async def carry_out(self, command: Command) -> Done:
        """Do it; returns when it is done."""
        if isinstance(command.do, Churn):
            churn = command.do
            made = await bench_churn(self._store, rate=churn.rate, seconds=churn.seconds, seed=churn.seed)
            return Done(command.id, made)
        times = await self._relabel(command.do)
        return Done(command.id, len(times), times)

    async def _relabel(self, wanted: Relabel) -> dict[int, float]:
        chance = random.Random(wanted.seed)
        times = {}
        for _ in range(wanted.count):
            # At random distances: programs that look every few seconds must not be met in step.
            await asyncio.sleep(chance.uniform(wanted.least, wanted.most))
            self._revision += 1
            stored = self._store.list(PODS, LATENCY_NAMESPACE)[self._revision % LATENCY_PODS]
            times[self._revision] = time.monotonic()
            set_label(self._store, stored, REVISION, str(self._revision))
        return times


def populate(store: ObjectStore, pods: int) -> None:
    """The benchmark's population and the latency pods."""
    populate_bench(store, pods)
    store.add(namespace(LATENCY_NAMESPACE))
    for number in range(LATENCY_PODS):
        labels = {"app": "latency", REVISION: "0"}
        store.add(pod(f"latency-{number}", LATENCY_NAMESPACE, labels=labels, ip=pod_address(_FIRST_ADDRESS + number)))


def expected_targets(store: ObjectStore) -> dict[str, int]:
    """Job → active targets, by the rules of ``discovery.yml``: an annotated pod's three ports become one target, each
    port of a pod behind an annotated service is one.
    """
    services = {one.key for one in store.list(SERVICES) if _annotated(one)}
    pods = store.list(PODS)
    behind = sum((one.namespace, one.decode()["metadata"]["labels"]["app"]) in services for one in pods)
    return {
        "pods": sum(map(_annotated, pods)),
        "endpointslices": behind * _PORTS_PER_POD,
        "nodes": len(store.list(NODES)),
        "services": 0,
        "latency": LATENCY_PODS,
    }


def _annotated(stored: Stored) -> bool:
    annotations = stored.decode()["metadata"].get("annotations") or {}
    return bool(annotations.get("prometheus.io/scrape") == "true")


async def _scraped(_request: web.Request) -> web.Response:
    return web.Response(text="# TYPE bench_scrapes counter\nbench_scrapes 1\n", content_type="text/plain")


async def _written(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=204)


async def _start_exporter() -> tuple[web.AppRunner, str]:
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_get("/{path:.*}", _scraped)
    app.router.add_post("/{path:.*}", _written)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"127.0.0.1:{runner.addresses[0][1]}"


async def _run(pods: int) -> None:
    cluster = SimCluster()
    populate(cluster.store, pods)
    controls = Controls(cluster.store)
    decoder = msgspec.json.Decoder(Command)

    async def carry_out(command: Command) -> None:
        say(await controls.carry_out(command))

    runner, exporter = await _start_exporter()
    try:
        async with cluster, asyncio.TaskGroup() as tasks:
            commands = await standard_input()
            say(Ready(cluster.url, exporter, expected_targets(cluster.store)))
            under_way = set()
            while line := await commands.readline():
                task = tasks.create_task(carry_out(decoder.decode(line)))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
            for task in under_way:
                task.cancel()
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pods", type=int, default=10_000)
    asyncio.run(_run(parser.parse_args().pods))
