"""What the API tells about the agent itself."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from promscout import __version__
from promscout.discovery.registry import built_in_sections
from promscout.store.local import LocalStore
from promscout.web import ConfigStatus
from promscout.web.api.status import shown_flags
from unit.web.agent_view import NOW_MS, Site, agent_view, serving

pytestmark = pytest.mark.real_time

FLAGS = {
    "config": "prometheus.yml",
    "listen": "127.0.0.1:9090",
    "data-dir": "data",
    "log-level": "info",
    "auto-reload": "",
    "store-retention": "15d",
    "store-max-size": "10GiB",
    "web.page-title": "promscout",
}


async def ask(path: str, **options: Any) -> Any:
    """The data that a server with these options answers."""
    async with agent_view() as view, serving(view, **options) as server, aiohttp.request("GET", server.url + path) as r:
        assert r.status == 200
        return (await r.json())["data"]


async def test_options_are_shown_also_by_the_names_that_prometheus_has_for_them() -> None:
    assert await ask("/api/v1/status/flags", flags=FLAGS) == FLAGS | {
        "config.file": "prometheus.yml",
        "web.listen-address": "127.0.0.1:9090",
        "storage.agent.path": "data",
        "log.level": "info",
        "config.auto-reload-interval": "",
    }


async def test_options_are_sorted() -> None:
    assert list(await ask("/api/v1/status/flags", flags=FLAGS)) == sorted(
        await ask("/api/v1/status/flags", flags=FLAGS)
    )


def test_a_password_in_a_url_is_hidden() -> None:
    shown = shown_flags({"web.external-url": "https://me:hunter2@scout.example/x"})
    assert shown == {"web.external-url": "https://me:xxxxx@scout.example/x"}


async def test_the_build_information_has_all_fields_of_prometheus(site: Site) -> None:
    expected = {
        "application": "promscout",
        "version": __version__,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "pythonVersion": platform.python_version(),
    }
    assert await site.data("/api/v1/status/buildinfo") == expected
    async with site.client.get("/version") as response:
        assert await response.json() == expected


async def test_the_runtime_information_has_all_fields_of_prometheus(site: Site) -> None:
    site.view.started_ms = NOW_MS - 5000
    site.view.config_status = ConfigStatus(NOW_MS - 4000, ("broken",), NOW_MS - 1000)
    data = await site.data("/api/v1/status/runtimeinfo")
    assert data.pop("goroutineCount") > 0
    assert data == {
        "startTime": "2023-11-14T22:13:15Z",
        "CWD": str(Path.cwd()),
        "hostname": socket.gethostname(),
        "serverTime": "2023-11-14T22:13:20Z",
        "reloadConfigSuccess": False,
        "lastConfigTime": "2023-11-14T22:13:16Z",
        "corruptionCount": 0,
        "GOMAXPROCS": len(os.sched_getaffinity(0)),
        "GOMEMLIMIT": 2**63 - 1,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": "",
    }


async def test_tasks_are_what_comes_next_to_goroutines(site: Site) -> None:
    before = await site.data("/api/v1/status/runtimeinfo")
    end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for _ in range(7):
            group.create_task(end.wait())
        after = await site.data("/api/v1/status/runtimeinfo")
        end.set()
    assert after["goroutineCount"] == before["goroutineCount"] + 7


@pytest.mark.parametrize(("active", "shown"), [(True, "15d or 10GiB"), (False, "")])
async def test_the_retention_is_that_of_a_store_that_is_in_use(active: bool, shown: str) -> None:
    async with agent_view() as view, serving(view, flags=FLAGS) as server:
        view.store = cast("LocalStore", SimpleNamespace(active=active))
        async with aiohttp.request("GET", f"{server.url}/api/v1/status/runtimeinfo") as response:
            assert (await response.json())["data"]["storageRetention"] == shown


async def test_a_log_that_is_not_there_is_never_behind(site: Site) -> None:
    assert await site.data("/api/v1/status/walreplay") == {"min": 0, "max": 0, "current": 0}


async def test_features_follow_the_options() -> None:
    plain = await ask("/api/v1/features")
    assert [plain["api"][name] for name in ("admin", "lifecycle")] == [False, False]
    assert plain["prometheus"] == {"agent_mode": True, "auto_reload_config": False, "server_mode": False}
    opened = await ask(
        "/api/v1/features", enable_lifecycle=True, enable_admin_api=True, flags=FLAGS | {"auto-reload": "30s"}
    )
    assert [opened["api"][name] for name in ("admin", "lifecycle")] == [True, True]
    assert opened["prometheus"]["auto_reload_config"]


async def test_features_name_the_mechanisms_of_discovery(site: Site) -> None:
    data = await site.data("/api/v1/features")
    names = {
        f"{name}_configs" if name == "static" else f"{name}_sd_configs" for name in data["service_discovery_providers"]
    }
    assert names == set(built_in_sections())
    assert all(data["service_discovery_providers"].values())
