"""The endpoints below ``/api/v1`` about the agent itself."""

from __future__ import annotations

import asyncio
import os
import platform
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from promscout import __version__
from promscout.discovery.kubernetes.status import Degradation, WatchStatus, degradations, watch_statuses
from promscout.discovery.registry import built_in_sections
from promscout.errors import InvalidValueError
from promscout.httpclient.secret import URL
from promscout.model.clock import rfc3339
from promscout.relabel.regex import Regex
from promscout.web.answers import success
from promscout.web.api.endpoints import Endpoint, Parameter
from promscout.web.api.self_metrics import FamilyAnswer, families
from promscout.web.api.target_list import Time
from promscout.web.api.targets import YAMLAnswer
from promscout.web.options import WebOptions
from promscout.web.receivers import RemoteWriteAnswer, remote_write_answer
from promscout.web.view import CLOCK, OPTIONS, VIEW, AgentView

_FAMILIES_PER_TURN: Final = 20

_NO_LIMIT: Final = (1 << 63) - 1  # what Go says where memory is not limited

_PROMETHEUS_FLAGS: Final = {
    "config": "config.file",
    "listen": "web.listen-address",
    "data-dir": "storage.agent.path",
    "log-level": "log.level",
    "log-format": "log.format",
    "auto-reload": "config.auto-reload-interval",
}
"""Our options → Prometheus's names for what means the same."""


class BuildInfoAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is running. What only a Go program has is empty.

    Source: prometheus v3.x web/api/v1/api.go PrometheusVersion.
    """

    application: str = "promscout"
    version: str = __version__
    revision: str = ""
    branch: str = ""
    build_user: str = ""
    build_date: str = ""
    go_version: str = ""
    python_version: str


class RuntimeInfoAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How it runs. What is about Go has the nearest that there is here.

    Source: prometheus v3.x web/api/v1/api.go RuntimeInfo.
    """

    start_time: Time
    cwd: str = msgspec.field(name="CWD")
    hostname: str
    server_time: Time
    reload_config_success: bool
    last_config_time: Time
    corruption_count: int
    """Receivers whose samples on disk were damaged in part."""
    goroutine_count: int
    """Tasks of the event loop."""
    gomaxprocs: int = msgspec.field(name="GOMAXPROCS")
    """Processors that it may use."""
    gomemlimit: int = msgspec.field(name="GOMEMLIMIT", default=_NO_LIMIT)
    gogc: str = msgspec.field(name="GOGC", default="")
    godebug: str = msgspec.field(name="GODEBUG", default="")
    storage_retention: str
    """Of the local store; empty while none is in use."""


class WALReplayAnswer(msgspec.Struct, frozen=True):
    """How far a write-ahead log was read; there is none, so always as after the end."""

    min: int = 0
    max: int = 0
    current: int = 0


class WatchesAnswer(msgspec.Struct, frozen=True):
    """The watches of Kubernetes discovery, and the labels that jobs do without."""

    watches: tuple[WatchStatus, ...]
    degraded: tuple[Degradation, ...]


async def config(request: web.Request) -> web.Response:
    """The configuration in force, without secrets."""
    return success(YAMLAnswer(request.app[VIEW].config.text))


async def flags(request: web.Request) -> web.Response:
    """The command line's options with the values in force, also by Prometheus's names for them."""
    return success(shown_flags(request.app[OPTIONS].flags))


async def build_info(_request: web.Request) -> web.Response:
    """What is running."""
    return success(BuildInfoAnswer(python_version=platform.python_version()))


async def version(_request: web.Request) -> web.Response:
    """What is running, without an envelope. Source: prometheus v3.x web/web.go version."""
    body = msgspec.json.encode(BuildInfoAnswer(python_version=platform.python_version()))
    return web.Response(body=body, content_type="application/json")


async def runtime_info(request: web.Request) -> web.Response:
    """How it runs."""
    view = request.app[VIEW]
    status = view.config_status
    buffers = (queue.buffer for queue in view.remote_write.status().queues)
    return success(
        RuntimeInfoAnswer(
            start_time=rfc3339(view.started_ms),
            cwd=str(Path.cwd()),
            hostname=socket.gethostname(),
            server_time=rfc3339(request.app[CLOCK].now_ms()),
            reload_config_success=status.successful,
            last_config_time=rfc3339(status.loaded_ms),
            corruption_count=sum(buffer is not None and buffer.skipped_bytes > 0 for buffer in buffers),
            goroutine_count=len(asyncio.all_tasks()),
            gomaxprocs=len(os.sched_getaffinity(0)),
            storage_retention=_retention(view, request.app[OPTIONS]),
        )
    )


async def wal_replay(_request: web.Request) -> web.Response:
    """Always at its end."""
    return success(WALReplayAnswer())


async def features(request: web.Request) -> web.Response:
    """What of Prometheus's features there is."""
    return success(feature_list(request.app[OPTIONS]))


async def self_metrics(request: web.Request) -> web.Response:
    """The agent's own metrics. Source: prometheus v3.x web/api/v1/api.go selfMetrics."""
    pattern = request.query.get("metric_name_pattern", "")
    try:
        wanted = Regex.parse_small(pattern) if pattern else None
    except InvalidValueError as error:
        raise InvalidValueError(f"invalid metric_name_pattern: {error}") from error
    found = []
    for number, family in enumerate(families(request.app[VIEW].registry.collect()), 1):
        if wanted is None or wanted.match(family.name) is not None:
            found.append(family)
        if number % _FAMILIES_PER_TURN == 0:
            await asyncio.sleep(0)
    return success(found)


async def watches(request: web.Request) -> web.Response:
    """The watches of Kubernetes discovery, who shares them, and the labels that jobs do without."""
    statuses = watch_statuses(request.app[VIEW].discovery.providers)
    return success(WatchesAnswer(statuses, degradations(statuses)))


async def remote_write(request: web.Request) -> web.Response:
    """Every receiver's queue: what waits where, what became of the rest, and why the last attempt failed."""
    return success(remote_write_answer(request.app[VIEW].remote_write.status()))


def shown_flags(given: Mapping[str, str]) -> dict[str, str]:
    """``given`` and Prometheus's names for them, sorted, without a password in a URL."""
    shown = {**given, **{name: given[own] for own, name in _PROMETHEUS_FLAGS.items() if own in given}}
    if url := shown.get("web.external-url"):
        shown["web.external-url"] = str(URL(url))
    return dict(sorted(shown.items()))


def feature_list(options: WebOptions) -> dict[str, dict[str, bool]]:
    """Category → feature → whether it is there; what is about queries, rules and UIs is left out.

    Source: prometheus v3.x cmd/prometheus/main.go, web/web.go, scrape/manager.go RegisterFeatures.
    """
    providers = [section.removesuffix("_configs").removesuffix("_sd") for section in built_in_sections()]
    return {
        "api": {
            "admin": options.enable_admin_api,
            "lifecycle": options.enable_lifecycle,
            "openapi_3.1": True,
            "openapi_3.2": False,
            "otlp_write_receiver": False,
            "remote_write_receiver": False,
            "search": False,
            "targets_match": True,
            "targets_paging": True,
        },
        "prometheus": {
            "agent_mode": True,
            "auto_reload_config": bool(options.flags.get("auto-reload")),
            "server_mode": False,
        },
        "scrape": {
            "extra_scrape_metrics": True,
            "start_timestamp_zero_ingestion": False,
            "type_and_unit_labels": False,
        },
        "service_discovery_providers": dict.fromkeys(sorted(providers), True),
    }


def _retention(view: AgentView, options: WebOptions) -> str:
    if view.store is None or not view.store.active:
        return ""
    given = (options.flags.get(name, "") for name in ("store-retention", "store-max-size"))
    return " or ".join(filter(None, given))


def _status(name: str, handler: Handler, summary: str, answer: object, *, always: bool = False) -> Endpoint:
    return Endpoint(
        path=f"/api/v1/{name}",
        handler=handler,
        summary=summary,
        group=name.partition("/")[0],
        answer=answer,
        needs_ready=not always,
    )


ENDPOINTS: Final = (
    _status("status/config", config, "The configuration in force, without secrets", YAMLAnswer),
    _status("status/flags", flags, "The options that are in force", dict[str, str]),
    _status("status/buildinfo", build_info, "What is running", BuildInfoAnswer),
    _status("status/runtimeinfo", runtime_info, "How it runs", RuntimeInfoAnswer),
    _status(
        "status/walreplay", wal_replay, "Always as after the end: there is no such log", WALReplayAnswer, always=True
    ),
    _status("status/watches", watches, "The watches of Kubernetes discovery", WatchesAnswer, always=True),
    _status("status/remote_write", remote_write, "The queues of all receivers", RemoteWriteAnswer, always=True),
    Endpoint(
        path="/api/v1/status/self_metrics",
        handler=self_metrics,
        summary="The agent's own metrics, as JSON",
        group="status",
        parameters=(
            Parameter(name="metric_name_pattern", summary="A regular expression for names.", example="promscout_.*"),
        ),
        answer=list[FamilyAnswer],
        errors=(400,),
    ),
    _status("features", features, "What of Prometheus's features there is", dict[str, dict[str, bool]]),
    Endpoint(
        path="/version",
        handler=version,
        summary="What is running",
        group="status",
        answer=BuildInfoAnswer,
        enveloped=False,
        needs_ready=False,
    ),
)
