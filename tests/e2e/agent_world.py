"""An agent in this process with everything around it on virtual time: a thousand targets, an API server, a receiver."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web

from harness.virtual_time import VirtualClock
from promscout.agent import Agent
from promscout.config import load_config
from promscout.model.series import STALE_NAN_BITS
from promscout.sim import SimCluster
from promscout.sim.population import pod
from promscout.web import WebOptions
from unit.write.write_wire import decode_request

INTERVAL = 10  # seconds
STALE = "stale"
SERIES = 6  # of a target: what it exposes, and five about the scrape


class Server:
    """Targets below /t/, a receiver at /write. ``accepted`` are the tokens that both take, anything when it is empty.

    ``scrapes`` counts by path. ``taken`` has the samples of each series, in the order in which they came.
    """

    def __init__(self) -> None:
        self.accepted: set[str] = set()
        self.scrapes: Counter[str] = Counter()
        self.refused: list[str] = []
        self.taken: dict[tuple[tuple[str, str], ...], list[tuple[int, Any]]] = defaultdict(list)
        self.latency = 0.0

    @asynccontextmanager
    async def open(self):
        app = web.Application(client_max_size=1 << 26)
        app.router.add_get("/t/{name}", self._expose)
        app.router.add_post("/write", self._take)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
            self.address = f"127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    async def _expose(self, request):
        if self._is_refused(request):
            return web.Response(status=401)
        self.scrapes[request.path] += 1
        text = f"# TYPE work_total counter\nwork_total {self.scrapes[request.path]}\n"
        return web.Response(text=text, content_type="text/plain")

    async def _take(self, request):
        if self._is_refused(request):
            return web.Response(status=500, text="come again")  # a sender drops what gets a 401
        body = await request.read()
        await asyncio.sleep(self.latency)
        for labels, samples in decode_request(body):
            self.taken[labels] += [(at, STALE if bits == STALE_NAN_BITS else _value(bits)) for bits, at in samples]
        return web.Response(status=204)

    def _is_refused(self, request):
        refused = bool(self.accepted) and request.headers.get("Authorization", "")[7:] not in self.accepted
        if refused:
            self.refused.append(request.path)
        return refused

    def of(self, name="up", **labels):
        """instance → its samples of series with these labels. Fails where series of one instance overlap in time."""
        found = defaultdict(list)
        for series, samples in self.taken.items():
            if {"__name__": name, **labels}.items() <= dict(series).items():
                found[dict(series)["instance"]] += samples
        for samples in found.values():
            samples.sort(key=lambda sample: sample[0])
        return dict(found)

    @property
    def markers(self):
        """How many staleness markers were taken, by job."""
        return Counter(
            dict(series)["job"] for series, samples in self.taken.items() for _, value in samples if value is STALE
        )


def _value(bits):
    return msgspec.msgpack.decode(b"\xcb" + bits.to_bytes(8, "big"))


class World:
    """Five jobs of ``each`` targets. ``config`` is what the agent runs under; tests change it and ``reload``.

    ``token`` is a file with the token for everything. ``on_made`` is called when the agent exists and does not run yet.
    """

    def __init__(self, directory: Path, each: int, *, token: Path | None = None) -> None:
        self.authorization = {"authorization": {"credentials_file": str(token)}} if token else {}
        self.on_made: Callable[[], None] = lambda: None
        self.file = directory / "prometheus.yml"
        self.each = each
        self.clock = VirtualClock()
        self.server = Server()
        self.cluster = SimCluster(clock=self.clock)
        self.config: dict[str, Any] = {}

    @asynccontextmanager
    async def running(self):
        """With an agent that has scraped every target twice."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.server.open())
            for number in range(self.each):
                labels = {"app": "web", "half": str(number % 2)}
                self.cluster.store.add(
                    pod(f"pod-{number}", "shop", labels=labels, ip=f"10.0.{number // 250}.{number % 250}")
                )
            await stack.enter_async_context(self.cluster)
            self.config = self._config()
            self.write()
            self.agent = Agent(lambda: load_config(self.file), web=WebOptions(port=0), clock=self.clock)
            self.on_made()
            running = asyncio.create_task(self.agent.run(), name="agent")
            try:
                await self.agent.wait_ready()
                await asyncio.sleep(2 * INTERVAL + 1)
                assert len(self.loops) == 5 * self.each
                yield self
            finally:
                self.agent.stop()
                await running

    def _config(self):
        return {
            "global": {"scrape_interval": f"{INTERVAL}s", "external_labels": {"cluster": "one"}},
            "scrape_configs": [
                *(self.static_job(name, self.each) for name in ("interval", "rules", "name", "list")),
                self.pods_job("pods"),
            ],
            "remote_write": [
                {
                    "url": f"http://{self.server.address}/write",
                    "queue_config": {"batch_send_deadline": "1s"},
                    **self.authorization,
                }
            ],
        }

    def static_job(self, name, count, **options):
        groups = [
            {
                "targets": [self.server.address],
                "labels": {"instance": f"{name}-{number}", "__metrics_path__": f"/t/{name}-{number}"},
            }
            for number in range(count)
        ]
        return {"job_name": name, "static_configs": groups, **self.authorization, **options}

    def pods_job(self, name, **options):
        pod_name = {"source_labels": ["__meta_kubernetes_pod_name"]}
        return {
            "job_name": name,
            "kubernetes_sd_configs": [{"role": "pod", "api_server": self.cluster.url, **self.authorization, **options}],
            **self.authorization,
            "relabel_configs": [
                {"target_label": "__address__", "replacement": self.server.address},
                {**pod_name, "target_label": "instance"},
                {**pod_name, "target_label": "__metrics_path__", "replacement": "/t/$1"},
            ],
        }

    def job(self, name):
        """The section of one job, to be changed."""
        (found,) = [job for job in self.config["scrape_configs"] if job["job_name"] == name]
        return found

    def write(self):
        self.file.write_text(json.dumps(self.config))

    async def reload(self):
        """Puts ``config`` into force, and waits until targets are what it says."""
        self.write()
        await self.agent.reload()
        await self.settled()

    async def settled(self):
        for _ in range(3):
            scrape = self.agent.scrape
            while scrape._settling is not None or scrape._closing:  # noqa: ASYNC110 - no event is set
                await asyncio.sleep(0)
            await asyncio.sleep(0.001)

    @property
    def loops(self):
        """(job, instance) → the loop of each target."""
        return {
            (job, dict(target.labels)["instance"]): active.loop
            for job, pool in self.agent.scrape.pools.items()
            for target, active in pool.active.items()
        }

    def lists(self):
        """How many lists, or streaming lists, the API server was asked for."""
        return sum(
            not request.is_watch or request.query.get("sendInitialEvents") == "true"
            for request in self.cluster.apiserver.requests
        )

    def metric(self, name, **labels):
        return self.agent.registry.get_sample_value(name, labels)
