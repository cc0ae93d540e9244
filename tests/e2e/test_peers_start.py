"""Every peer starts, answers, and is gone afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from peers import (
    Kubectl,
    NodeExporter,
    PeerError,
    PeerProcess,
    Prometheus,
    VictoriaMetrics,
    VMAgent,
    promtool_check,
    running,
)

EMPTY = {"global": {"scrape_interval": "1s"}, "scrape_configs": []}


def is_alive(pid: int) -> bool:
    try:
        return "(zombie)" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def files_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


@pytest.mark.parametrize(
    "make",
    [
        VictoriaMetrics,
        NodeExporter,
        lambda programs, directory: Prometheus(programs, directory, EMPTY),
        lambda programs, directory: Prometheus(programs, directory, EMPTY, agent=True),
        lambda programs, directory: VMAgent(programs, directory, EMPTY),
    ],
    ids=["victoria-metrics", "node-exporter", "prometheus", "prometheus-agent", "vmagent"],
)
async def test_a_peer_answers_on_its_url_and_is_gone_afterwards(
    make: Callable[[Path, Path], PeerProcess], peers_dir: Path, tmp_path: Path
) -> None:
    async with make(peers_dir, tmp_path) as peer:
        assert await peer.request("GET", "/metrics")
        assert peer in running()
        pid = peer.pid
        assert is_alive(pid)
    assert not is_alive(pid)
    assert not running()
    assert files_in(tmp_path) == []


async def test_a_peer_is_gone_when_the_block_fails(peers_dir: Path, tmp_path: Path) -> None:
    pids = []

    async def fail() -> None:
        async with NodeExporter(peers_dir, tmp_path) as peer:
            pids.append(peer.pid)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert not is_alive(pids[0])


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_peer_is_gone_when_the_tests_are_interrupted(end: signal.Signals, peers_dir: Path, tmp_path: Path) -> None:
    script = f"""
import asyncio, pathlib
from peers import NodeExporter
async def main():
    async with NodeExporter(pathlib.Path({str(peers_dir)!r}), pathlib.Path({str(tmp_path)!r})) as peer:
        print(peer.pid, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    tests = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=tests, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as program:
        assert program.stdout is not None
        pid = int(program.stdout.readline())
        assert is_alive(pid)
        program.send_signal(end)
        program.wait(20)
    deadline = time.monotonic() + 10
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(pid)


async def test_a_peer_that_refuses_its_configuration_fails_with_its_log(peers_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(PeerError, match="field no_such_key not found"):
        await Prometheus(peers_dir, tmp_path, "no_such_key: 1\n").__aenter__()
    assert not running()


async def test_victoria_metrics_shows_written_samples_at_once(victoria_metrics: VictoriaMetrics) -> None:
    at = 1_700_000_000
    line = f'{{"metric":{{"__name__":"written","job":"a"}},"values":[42],"timestamps":[{at}000]}}\n'
    await victoria_metrics.request("POST", "/api/v1/import", data=line)
    assert await victoria_metrics.query("written", at) == [
        {"metric": {"__name__": "written", "job": "a"}, "value": [at, "42"]}
    ]
    assert await victoria_metrics.export("written") == [
        {"metric": {"__name__": "written", "job": "a"}, "values": [42], "timestamps": [at * 1000]}
    ]


async def test_prometheus_has_the_targets_of_its_configuration_and_reloads(prometheus: Callable[..., object]) -> None:
    def config(*ports: int) -> dict[str, object]:
        targets = [f"127.0.0.1:{port}" for port in ports]
        return {"scrape_configs": [{"job_name": "a", "static_configs": [{"targets": targets}]}]}

    peer = await prometheus(config(1))
    found = await peer.wait_for_targets(1)
    assert found["activeTargets"][0]["labels"]["instance"] == "127.0.0.1:1"
    await peer.reload(config(1, 2))
    assert "127.0.0.1:2" in (await peer.get_json("/api/v1/status/config"))["data"]["yaml"]
    assert (await peer.query("1+1", 5))[1] == "2"
    with pytest.raises(PeerError, match="500"):
        await peer.reload("scrape_configs: 1")


async def test_vmagent_writes_what_it_scrapes(
    vmagent: Callable[..., object], node_exporter: NodeExporter, victoria_metrics: VictoriaMetrics
) -> None:
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": [node_exporter.address]}]}],
    }
    peer = await vmagent(config, remote_write=[victoria_metrics.remote_write_url])
    assert [target["labels"]["job"] for target in (await peer.targets())["activeTargets"]] == ["node"]
    assert await victoria_metrics.query_until('up{job="node"} == 1')


async def test_promtool_tells_good_from_bad_configurations(peers_dir: Path, tmp_path: Path) -> None:
    good = await promtool_check(peers_dir, tmp_path, EMPTY)
    bad = await promtool_check(peers_dir, tmp_path, "no_such_key: 1\n")
    assert (good.code, bad.code) == (0, 1)
    assert "no_such_key" in bad.err


async def test_kubectl_reads_the_given_kubeconfig_only(kubectl: Kubectl, tmp_path: Path) -> None:
    assert os.access(str(kubectl), os.X_OK)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("apiVersion: v1\nkind: Config\ncurrent-context: here\n")
    assert (await kubectl.run(["config", "current-context"], kubeconfig)).out == "here\n"
    with pytest.raises(PeerError, match="no context"):
        await kubectl.run(["config", "use-context", "there"], kubeconfig)
