"""A mechanism from an installed package: the example, built and installed without network, in a running agent."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from aiohttp import web

from e2e.promscout_process import Promscout, until
from harness.list_server import list_server
from peers.program import run_program

EXAMPLE = Path(__file__).parents[2] / "examples" / "promscout-sd-example"
METRICS = web.Response(text="up_since 1\n", headers={"Content-Type": "text/plain; version=0.0.4"})


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The directory into which pip has installed the example."""
    directory = tmp_path_factory.mktemp("plugin")
    source = directory / "source"
    shutil.copytree(EXAMPLE, source)
    target = directory / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--target", str(target), str(source)]
    done = subprocess.run([*pip, *offline], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def configuration(**section):
    return {
        "global": {"scrape_interval": "300ms"},
        "scrape_configs": [{"job_name": "plugged", "listening_sd_configs": [section]}],
    }


async def test_what_a_package_discovers_is_scraped_and_follows_what_there_is(installed, tmp_path, free_port):
    class WithPlugin(Promscout):
        environment = {"PYTHONPATH": str(installed)}  # noqa: RUF012 - of this class only

    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(list_server())
        first.answers["/metrics"] = METRICS
        ports = [int(first.address.rpartition(":")[2]), free_port]
        config = configuration(ports=ports, refresh_interval="200ms")
        agent = await stack.enter_async_context(WithPlugin(tmp_path, config))

        async def up():
            return sorted(
                int(one["scrapeUrl"].split(":")[2].split("/")[0])
                for one in await agent.active()
                if one["health"] == "up"
            )

        await until(lambda: _equals(up, ports[:1]), 20, "the listening port is scraped")
        (target,) = await agent.active()
        assert target["discoveredLabels"]["__meta_listening_port"] == str(ports[0])
        async with list_server(free_port) as second:
            second.answers["/metrics"] = METRICS
            await until(lambda: _equals(up, sorted(ports)), 20, "the second port is scraped, too")
        await until(lambda: _equals(up, ports[:1]), 20, "the second port is gone")
        assert await agent.metric("prometheus_sd_refresh_duration_seconds_count", mechanism="listening") > 2
        assert await agent.metric("prometheus_sd_refresh_failures_total", mechanism="listening") == 0


async def _equals(found, expected):
    return await found() == expected


async def check(config, directory, *, plugins=""):
    """What ``promscout check`` says."""
    file = directory / "prometheus.yml"
    file.write_text(config)
    promscout = str(Path(sys.executable).with_name("promscout"))
    return await run_program([promscout, "check", str(file)], directory, env={"PYTHONPATH": str(plugins)})


async def test_a_package_s_values_are_checked_with_their_place(installed, tmp_path):
    good = "scrape_configs:\n- job_name: a\n  listening_sd_configs:\n  - ports: [9100]\n"
    assert (await check(good, tmp_path, plugins=installed)).code == 0
    more = "  - ports: [x]\n  - {}\n  - {ports: [0]}\n  - {ports: [1], refresh_interval: 0}\n"
    bad = good.replace("[9100]", "[0]\n    host: [a]\n    hots: b") + more
    outcome = await check(bad, tmp_path, plugins=installed)
    assert outcome.code == 1
    file, path = f"{tmp_path}/prometheus.yml", "scrape_configs[0].listening_sd_configs"
    assert outcome.err.splitlines() == [
        f"{file}:5:11: {path}[0].host: expected a single value, got a list",
        f'{file}:6:5: {path}[0].hots: unknown key, did you mean "host"?',
        f'{file}:7:13: {path}[1].ports[0]: expected an integer, got "x"',
        f"{file}:8:5: {path}[2]: ports missing",
        f"{file}:9:13: {path}[3].ports: one or more ports from 1 to 65535 are needed",
        f"{file}:10:36: {path}[4].refresh_interval: must be greater than 0",
    ]


async def test_without_the_package_its_section_is_refused(tmp_path):
    outcome = await check("scrape_configs:\n- job_name: a\n  listening_sd_configs: [{ports: [1]}]\n", tmp_path)
    assert outcome.code == 1
    assert re.search(
        r"prometheus.yml:3:3: .*listening_sd_configs: not supported; supported are dns_sd_configs, ", outcome.err
    )
