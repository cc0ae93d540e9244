"""What the agents of the browser tests look at, as a program: ``python -m browser.scene --port 8123``.

A simulated cluster whose objects carry hostile texts; targets, SD and receivers below one port, some of which answer
with hostile texts, too; and a switch: ``POST /switch/down`` and ``/switch/up`` change what ``/t/switched`` answers.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from functools import partial
from typing import Any

from aiohttp import web

from browser import payloads
from promscout.sim import SimCluster
from promscout.sim.population import Port, namespace, node, pod, service

_ASKS = {"prometheus.io/scrape": "true"}
_TEXT = "text/plain; version=0.0.4"


class Scene:
    """The cluster and the server beside it."""

    def __init__(self) -> None:
        self.cluster = SimCluster(live=True)
        self._switched_up = True

    async def run(self, port: int) -> None:
        """Serve until a signal comes."""
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        self._populate()
        runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.1)
        async with self.cluster:
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", port).start()
                await stop.wait()
            finally:
                await runner.cleanup()

    def _populate(self) -> None:
        store = self.cluster.store
        store.add(namespace("shop"))
        for number in range(2):
            store.add(node(f"worker-{number}"))
        for number in range(6):
            labels = {"app": "web", "tier": payloads.IMAGE if number == 0 else "front"}
            store.add(pod(f"web-{number}", "shop", labels=labels, annotations=_ASKS, ports=(Port("http", 8080),)))
        evil = {f"note-{number}": text for number, text in enumerate(payloads.ALL)}
        store.add(pod("evil", "shop", labels={"app": payloads.SCRIPT}, annotations=_ASKS | evil))
        store.add(pod("failing", "shop", annotations=_ASKS | {"sim.promscout/failure": "500"}))
        for number in range(4):
            store.add(pod(f"silent-{number}", "shop", labels={"app": payloads.TEMPLATE}, annotations=evil))
        store.add(service("web", "shop", selector={"app": "web"}))
        self.cluster.apiserver.faults.forbidden.add("nodes")

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=1 << 24)
        app.add_routes(
            [
                web.get("/-/ready", self._ready),
                web.get("/places", self._places),
                web.post("/switch/{to}", self._switch),
                web.get("/t/switched", self._switched),
                web.get("/t/evil-status", self._evil_status),
                web.get("/t/evil-body", self._evil_body),
                web.get("/t/{name:.*}", self._good),
                web.get("/sd", self._evil_status),
                web.get("/sd/many", self._many),
                web.post("/write/refused", self._refuse),
                web.post("/write/{name:.*}", self._take),
            ]
        )
        return app

    async def _ready(self, _request: web.Request) -> web.Response:
        await self.cluster.settled()
        return web.Response()

    async def _places(self, _request: web.Request) -> web.Response:
        return web.json_response({"api_server": self.cluster.url})

    async def _switch(self, request: web.Request) -> web.Response:
        self._switched_up = request.match_info["to"] == "up"
        return web.Response()

    async def _switched(self, request: web.Request) -> web.Response:
        return await self._good(request) if self._switched_up else web.Response(status=503, reason="Switched off")

    async def _good(self, request: web.Request) -> web.Response:
        lines = [
            f"# HELP work_total {payloads.SCRIPT}",
            "# TYPE work_total counter",
            *(f"work_total{{text={_quoted(text)}}} {len(text)}" for text in payloads.ALL),
            "# TYPE temperature_celsius gauge",
            f"temperature_celsius {len(request.path)}",
        ]
        return web.Response(body="\n".join([*lines, ""]).encode(), headers={"Content-Type": _TEXT})

    async def _evil_status(self, _request: web.Request) -> web.Response:
        return web.Response(status=500, reason=payloads.IMAGE, text=payloads.SCRIPT)

    async def _evil_body(self, _request: web.Request) -> web.Response:
        return web.Response(body=f"{payloads.SCRIPT}\n".encode(), headers={"Content-Type": _TEXT})

    async def _many(self, request: web.Request) -> web.Response:
        return web.json_response(
            [_group(request.host, f"many-{number:03}", half=str(number % 2)) for number in range(450)]
        )

    async def _take(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=204)

    async def _refuse(self, request: web.Request) -> web.Response:
        await request.read()
        return web.Response(status=400, text=payloads.SCRIPT + payloads.IMAGE)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _group(address: str, name: str, **labels: str) -> dict[str, Any]:
    return {"targets": [address], "labels": {"instance": name, "__metrics_path__": f"/t/{name}", **labels}}


def config(scene_url: str, api_server: str, receivers: bool) -> dict[str, Any]:
    """What an agent that looks at the scene runs under; with remote write to it, or with the local store."""
    group = partial(_group, scene_url.removeprefix("http://"))
    cluster = {"api_server": api_server}

    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "external_labels": {"cluster": payloads.IMAGE}},
        "scrape_configs": [
            {
                "job_name": "pods",
                "kubernetes_sd_configs": [{"role": "pod", **cluster, "attach_metadata": {"node": True}}],
                "relabel_configs": [
                    _keep("__meta_kubernetes_pod_annotation_prometheus_io_scrape", "true"),
                    {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
                    {"source_labels": ["__meta_kubernetes_pod_label_app"], "target_label": "app"},
                    {"source_labels": ["__meta_kubernetes_pod_label_tier"], "target_label": "tier"},
                    _keep("__address__", r"127\..+"),
                ],
            },
            {"job_name": "endpoints", "kubernetes_sd_configs": [{"role": "endpoints", **cluster}]},
            {
                "job_name": f"hostile {payloads.IMAGE}",
                "static_configs": [
                    group("evil-status"),
                    group("evil-body"),
                    *(group(f"evil-{number}", text=text) for number, text in enumerate(payloads.ALL)),
                    group(payloads.SCRIPT),
                    group("odd-scheme", __scheme__="javascript"),
                    group("odd-parameter", __param_text=payloads.IMAGE),
                ],
            },
            {"job_name": "switched", "static_configs": [group("switched")]},
            {
                "job_name": "many",
                "scrape_interval": "1h",
                "http_sd_configs": [{"url": f"{scene_url}/sd/many"}],
                "relabel_configs": [
                    {"source_labels": ["instance"], "regex": "many-4.*", "action": "drop"},
                    # Two discovered targets that are one after relabelling.
                    {"source_labels": ["instance"], "regex": "many-001", "target_label": "half", "replacement": "0"},
                    {
                        "source_labels": ["instance"],
                        "regex": "many-001",
                        "target_label": "instance",
                        "replacement": "many-000",
                    },
                    {
                        "source_labels": ["instance"],
                        "regex": "many-000",
                        "target_label": "__metrics_path__",
                        "replacement": "/t/x",
                    },
                ],
            },
            {"job_name": "away", "http_sd_configs": [{"url": f"{scene_url}/sd"}]},
        ],
        **({"remote_write": _receivers(scene_url)} if receivers else {}),
    }


def _keep(label: str, regex: str) -> dict[str, Any]:
    return {"source_labels": [label], "regex": regex, "action": "keep"}


def _receivers(scene_url: str) -> list[dict[str, Any]]:
    return [
        {"name": "good", "url": f"{scene_url}/write/good"},
        {"name": payloads.SCRIPT, "url": f"{scene_url}/write/refused"},
        # Port 9 of loopback: nobody is there.
        {"name": "away", "url": "http://127.0.0.1:9/write?text=%3Cscript%3Ealert('url')%3C/script%3E"},
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    asyncio.run(Scene().run(parser.parse_args().port))
