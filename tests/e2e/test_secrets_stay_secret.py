"""A secret of the configuration is nowhere to be seen: not in logs, pages, the API, metrics, or refusals."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from e2e.promscout_process import Promscout, until
from peers.process import PeerError, free_loopback_port
from peers.program import run_program

MARKER = "hunter2"

PATHS = (
    "/",
    "/targets",
    "/config",
    "/metrics",
    "/-/ready",
    "/api/v1/targets",
    "/api/v1/scrape_pools",
    "/api/v1/status/config",
    "/api/v1/status/watches",
    "/discovery",
    "/discovery?pool=servers",
    "/relabel",
    "/remote-write",
    "/status",
    "/graph",
    "/sd/http",
    "/sd/http/basic",
    "/api/v1/features",
    "/api/v1/metadata",
    "/api/v1/targets/metadata",
    "/api/v1/targets/relabel_steps?scrapePool=basic&labels=%7B%22a%22:%22b%22%7D",
    "/api/v1/status/flags",
    "/api/v1/status/runtimeinfo",
    "/api/v1/status/buildinfo",
    "/api/v1/status/remote_write",
    "/api/v1/status/downstream",
)


def configuration(port: int) -> str:
    """Every field that may hold a secret, and nobody who answers on ``port``."""
    there = f"127.0.0.1:{port}"
    auth = f"oauth2: {{client_id: c, client_secret: {MARKER}, token_url: 'http://{there}/token'}}"
    return f"""
global: {{scrape_interval: 200ms}}
scrape_configs:
- job_name: basic
  basic_auth: {{username: u, password: {MARKER}}}
  http_headers: {{X-Key: {{secrets: [{MARKER}]}}}}
  static_configs: [{{targets: ['{there}']}}]
- job_name: bearer
  bearer_token: {MARKER}
  proxy_url: http://u:{MARKER}@{there}
  proxy_connect_header: {{X-Key: [{MARKER}]}}
  static_configs: [{{targets: ['{there}']}}]
- job_name: token
  scheme: https
  authorization: {{credentials: {MARKER}}}
  tls_config: {{cert: {MARKER}-is-public, key: {MARKER}}}
  static_configs: [{{targets: ['{there}']}}]
- job_name: oauth2
  {auth}
  static_configs: [{{targets: ['{there}']}}]
- job_name: servers
  http_sd_configs: [{{url: 'http://u:{MARKER}@{there}/sd'}}]
  kubernetes_sd_configs:
  - {{role: pod, api_server: 'http://{there}', authorization: {{credentials: {MARKER}}}}}
remote_write:
- url: http://u:{MARKER}@{there}/write
  headers: {{X-Key: {MARKER}}}
- url: http://{there}/write
  {auth}
alerting: {{alertmanagers: [{{basic_auth: {{password: {MARKER}}}}}]}}
""".replace(f"{MARKER}-is-public", "c")


BREAKAGES = (
    ("basic_auth: {username: u", "basic_auth: {username: u, username_file: f"),
    ("scheme: https", "scheem: https"),
    ("proxy_connect_header: {X-Key: [hunter2]}", "proxy_connect_header: {X-Key: hunter2}"),
    ("url: http://u:hunter2@127", "url: ftp://u:hunter2@127"),
    ("{secrets: [hunter2]}", "hunter2"),
    ("bearer_token: hunter2", "bearer_token: {hunter2: x}"),
    ("bearer_token: hunter2", "bearer_token: *hunter2"),
    ("headers: {X-Key: hunter2}", "headers: {Authorization: hunter2}"),
)


async def test_a_running_agent_shows_no_secret(tmp_path):
    text = configuration(free_loopback_port())
    async with Promscout(tmp_path, text, "--log-level=debug") as agent:

        async def all_failed():
            active = await agent.active()
            return len(active) == 4 and all(target["lastError"] for target in active)

        await until(all_failed, 20, "every scrape fails")
        pages = {path: await agent.request("GET", path) for path in PATHS if path != "/-/ready"}
        for good, bad in BREAKAGES:
            assert good in text
            with pytest.raises(PeerError) as refused:
                await agent.reload(text.replace(good, bad))
            pages[bad] = str(refused.value)
        log = agent.log()
    assert [path for path, page in pages.items() if MARKER in page] == []
    assert MARKER not in log
    assert "&lt;secret&gt;" in pages["/config"]
    assert "<secret>" in pages["/api/v1/status/config"]


async def test_no_command_shows_a_secret(tmp_path):
    text = configuration(1)
    for good, bad in (("", ""), *BREAKAGES):
        (tmp_path / "f").write_text(text.replace(good, bad, 1) if good else text)
        for command in (["check"], ["check", "--format=json"], ["config", "show"], ["config", "show", "--effective"]):
            program = str(Path(sys.executable).parent / "promscout")
            done = await run_program([program, *command, "f"], tmp_path)
            assert MARKER not in done.out + done.err
