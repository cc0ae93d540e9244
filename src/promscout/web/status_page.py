"""The page about the process: what runs, since when, with which options, and where everything is."""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

from promscout import __version__
from promscout.web.frame import CLOCK, page
from promscout.web.overview import SAMPLER
from promscout.web.view import OPTIONS, VIEW
from promscout.web.vitals import Vital

_DESCRIPTORS: Final = Path("/proc/self/fd")

LINKS: Final = (
    ("/metrics", "The agent's own metrics, to be scraped"),
    ("/-/healthy", "200 while the process answers"),
    ("/-/ready", "200 once it has started; says which labels jobs do without"),
    ("/api/v1/targets", "Targets as Prometheus tells them"),
    ("/api/v1/scrape_pools", "Names of the jobs"),
    ("/api/v1/metadata", "What is said about metrics"),
    ("/api/v1/status/config", "The configuration in force"),
    ("/api/v1/status/watches", "Watches of Kubernetes discovery"),
    ("/api/v1/status/remote_write", "Receivers and what waits for them"),
    ("/api/v1/openapi.yaml", "All of this as an OpenAPI document"),
)
"""Addresses for programs, and what is there."""


class ProcessFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The process at one moment. ``cpus`` are those it may use; None is what the system does not tell."""

    version: str
    python: str
    system: str
    event_loop: str
    pid: int
    cpus: int
    threads: int
    tasks: int
    open_files: int | None
    max_files: int
    memory: float | None
    cpu: float | None
    started_ms: int
    directory: str


async def process_facts(started_ms: int, vitals: Mapping[str, float]) -> ProcessFacts:
    """Those of this process; what can take long is asked in a thread."""
    loop = type(asyncio.get_running_loop())
    return ProcessFacts(
        version=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        event_loop=loop.__module__.partition(".")[0],
        pid=os.getpid(),
        cpus=len(os.sched_getaffinity(0)),
        threads=threading.active_count(),
        tasks=len(asyncio.all_tasks()),
        open_files=await asyncio.to_thread(_open_files),
        max_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        memory=vitals.get(Vital.MEMORY),
        cpu=vitals.get(Vital.CPU),
        started_ms=started_ms,
        directory=str(Path.cwd()),
    )


def _open_files() -> int | None:
    try:
        return len(os.listdir(_DESCRIPTORS))  # noqa: PTH208 - ten thousand names need no objects
    except OSError:
        return None


async def status(request: web.Request) -> web.StreamResponse:
    """Everything about the process."""
    view = request.app[VIEW]
    history = request.app[SAMPLER].history
    newest = {vital.value: history.of(vital, 1)[0] for vital in (Vital.MEMORY, Vital.CPU) if len(history)}
    return await page(
        request,
        "status.html",
        facts=await process_facts(view.started_ms, newest),
        flags=sorted(request.app[OPTIONS].flags.items()),
        config=view.config_status,
        jobs=len(view.config.jobs),
        files=view.config.files,
        queues=view.remote_write.status().queues,
        store=view.store.status() if view.store is not None else None,
        links=LINKS,
        now_ms=request.app[CLOCK].now_ms(),
    )


def add_routes(app: web.Application) -> None:
    """Register the page with ``app``."""
    app.router.add_get("/status", status, allow_head=False)
