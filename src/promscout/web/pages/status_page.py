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
from promscout.web.api.described import OPERATIONS
from promscout.web.api.endpoints import Operation
from promscout.web.api.routes import ENDPOINTS
from promscout.web.pages.frame import page
from promscout.web.pages.overview import SAMPLER
from promscout.web.view import OPTIONS, VIEW
from promscout.web.vitals import Vital

_DESCRIPTORS: Final = Path("/proc/self/fd")


class Address(msgspec.Struct, frozen=True):
    """Where programs ask; ``methods`` is empty where it is read."""

    path: str
    summary: str
    methods: str = ""
    is_link: bool = False

    @classmethod
    def of(cls, operation: Operation) -> Address:
        """That of an operation."""
        reads = "GET" in operation.methods
        complete = not any(one.required or one.where == "path" for one in operation.parameters)
        methods = "" if reads else ", ".join(operation.methods)
        return cls(operation.path, operation.summary, methods, is_link=reads and complete)


def addresses() -> tuple[Address, ...]:
    """Everything that there is for programs, by path."""
    found = (one for one in (*OPERATIONS, *ENDPOINTS) if one.success is not None)
    return tuple(Address.of(one) for one in sorted(found, key=lambda one: one.path))


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
        addresses=addresses(),
    )


def add_routes(app: web.Application) -> None:
    """Register the page with ``app``."""
    app.router.add_get("/status", status, allow_head=False)
