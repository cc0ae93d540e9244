"""Runs a simulated cluster on its own: ``python -m promscout.sim --port 8001 --pods 10000``."""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
from pathlib import Path

from promscout.sim.bench_population import populate_bench
from promscout.sim.churn import Churn, bench_churn
from promscout.sim.cluster import SimCluster
from promscout.sim.demo_population import populate_demo


def kubeconfig(url: str, token: str = "") -> str:
    """A kubeconfig for the API server at ``url``."""
    user = f"{{token: {token}}}" if token else "{}"
    return (
        "apiVersion: v1\nkind: Config\ncurrent-context: sim\n"
        f"clusters: [{{name: sim, cluster: {{server: '{url}'}}}}]\n"
        f"users: [{{name: sim, user: {user}}}]\n"
        "contexts: [{name: sim, context: {cluster: sim, user: sim}}]\n"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m promscout.sim", description="A miniature Kubernetes on loopback.")
    parser.add_argument("--port", type=int, default=0, help="of the API server (default: a free one)")
    parser.add_argument("--pods", type=int, default=0, help="fill with this many benchmark pods, without exporters")
    parser.add_argument("--churn", type=float, default=0.0, metavar="RATE", help="changes per second")
    parser.add_argument("--seconds", type=float, default=3600.0, help="end by itself after this long")
    parser.add_argument("--token", default="", help="demand this bearer token")
    parser.add_argument("--kubeconfig", type=Path, help="where to write it (default: a temporary file)")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> None:
    cluster = SimCluster(live=not arguments.pods, port=arguments.port, token=arguments.token)
    if arguments.pods:
        populate_bench(cluster.store, arguments.pods)
    else:
        populate_demo(cluster.store)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with cluster:
        path = arguments.kubeconfig or Path(tempfile.mkdtemp(prefix="promscout-sim-")) / "kubeconfig"
        path.write_text(kubeconfig(cluster.url, arguments.token))
        print(f"API server: {cluster.url}\nkubectl --kubeconfig={path} get pods -A", flush=True)  # noqa: T201 - its output
        async with asyncio.TaskGroup() as tasks:
            churning = tasks.create_task(_churn(cluster, arguments), name="sim-churn")
            try:
                async with asyncio.timeout(arguments.seconds):
                    await stop.wait()
            except TimeoutError:
                pass
            churning.cancel()


async def _churn(cluster: SimCluster, arguments: argparse.Namespace) -> None:
    if not arguments.churn:
        return
    if arguments.pods:
        await bench_churn(cluster.store, rate=arguments.churn, seconds=arguments.seconds)
    else:
        await Churn(cluster.store, rate=arguments.churn).run()


if __name__ == "__main__":
    asyncio.run(_run(_arguments()))
