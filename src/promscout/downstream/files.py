"""Lists of targets in files, for servers that read ``file_sd_configs``."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

import msgspec
from prometheus_client import CollectorRegistry, Counter

from promscout.downstream.availability import (
    Discovered,
    NoSuchJobError,
    UnavailableError,
    settled_pool_of,
)
from promscout.downstream.directory import TargetDirectory, digest_of
from promscout.downstream.entries import pieces
from promscout.downstream.file_names import file_name
from promscout.downstream.shards import Shard
from promscout.logs import EventLog
from promscout.scrape.pool import ScrapePool
from promscout.write.disk_thread import DiskThread

INTERVAL: Final = 1.0
"""Seconds between two looks at what has changed: no file is written more often."""

RETRY: Final = 10.0
"""Seconds until the next look when something could not be written."""

_REST: Final = 9
"""Times as long as a look took until the next: lists of very many targets that keep changing take a tenth of the time.
"""

P = ParamSpec("P")
T = TypeVar("T")

_log = EventLog("promscout.downstream")


class FileSDOptions(msgspec.Struct, frozen=True):
    """Where target files are, and for how many servers that share the targets; None: each reads all of them."""

    directory: Path
    shards: int | None = None

    def parts(self) -> tuple[Shard | None, ...]:
        """What there is a file of for each job."""
        return (None,) if self.shards is None else tuple(Shard(index, self.shards) for index in range(self.shards))


class FileSDMetrics:
    """How often files were written, and could not be."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.writes = Counter("promscout_sd_file_writes_total", "Target files written.", registry=registry)
        self.failures = Counter(
            "promscout_sd_file_failures_total",
            "Times that a target file could not be written or removed, or their directory not be looked at.",
            registry=registry,
        )


class _Written(msgspec.Struct, frozen=True):
    """What a file has, and the state of which pool that is."""

    digest: str
    pool: weakref.ref[ScrapePool]
    revision: int


class FileSDWriter:
    """Keeps a file for each job and shard, with what ``/sd/http`` serves, equal to what was discovered.

    Guarantees: no file is written before all providers of its job have found out what there is, nor while a change is
    half carried out; a file is replaced as a whole, only when its content differs, and at most once in ``INTERVAL``;
    one that promscout has written is removed when its job is no more; a directory that cannot be used is told once,
    tried again, and delays nothing else.
    """

    def __init__(self, agent: Discovered, options: FileSDOptions, metrics: FileSDMetrics) -> None:
        self._agent = agent
        self._options = options
        self._metrics = metrics
        self._directory = TargetDirectory(options.directory)
        self._written: dict[str, _Written] = {}
        self._thread = DiskThread("target files")
        self._told = False

    async def run(self) -> None:
        """Keep the files until cancelled."""
        self._thread = DiskThread("target files")
        try:
            while True:
                began = time.perf_counter()
                fine = not self._agent.ready or await self._update()
                took = time.perf_counter() - began
                await asyncio.sleep(max(INTERVAL if fine else RETRY, _REST * took))
        finally:
            self._thread.shutdown(wait=False)

    async def _update(self) -> bool:
        """Write and remove what has changed; whether all went well."""
        failures: list[OSError] = []
        try:
            present = await self._in_thread(self._directory.look)
        except OSError as error:
            failures.append(error)
        else:
            wanted = dict(self._wanted())
            for name, (job, shard) in wanted.items():
                try:
                    await self._keep(name, job, shard, is_there=name in present)
                except OSError as error:
                    self._written.pop(name, None)
                    failures.append(error)
            try:
                await self._remove_others(wanted.keys())
            except OSError as error:
                failures.append(error)
        self._tell(failures)
        return not failures

    def _wanted(self) -> Iterator[tuple[str, tuple[str, Shard | None]]]:
        for job in sorted(self._agent.scrape.pools):
            for part in self._options.parts():
                yield file_name(job, part), (job, part)

    async def _keep(self, name: str, job: str, shard: Shard | None, *, is_there: bool) -> None:
        """Write the file of a job if it has changed and may be written."""
        try:
            pool = settled_pool_of(self._agent, job)
        except (NoSuchJobError, UnavailableError):
            return
        if pool is None:
            return
        known = self._written.get(name)
        if known is not None and is_there and known.pool() is pool and known.revision == pool.revision:
            return
        revision = pool.revision
        texts = [piece.text async for piece in pieces(pool, shard or Shard(), raw=False)]
        digest = await self._in_thread(digest_of, texts)
        there = known.digest if known is not None and is_there else await self._in_thread(self._directory.digest, name)
        if digest != there:
            await self._in_thread(self._directory.write, name, job, texts)
            self._metrics.writes.inc()
        self._written[name] = _Written(digest, weakref.ref(pool), revision)

    async def _remove_others(self, wanted: Collection[str]) -> None:
        for name in self._directory.owned:
            # An agent that is stopping has no jobs any more.
            if name not in wanted and self._agent.ready:
                await self._in_thread(self._directory.remove, name)
                self._written.pop(name, None)

    def _tell(self, failures: list[OSError]) -> None:
        """Tell that something is wrong once, and once that it is no more."""
        self._metrics.failures.inc(len(failures))
        directory = str(self._options.directory)
        if failures and not self._told:
            reason = failures[0].strerror or str(failures[0])
            _log.warning("target files cannot be written", directory=directory, reason=reason, retry=RETRY)
        elif self._told and not failures:
            _log.info("target files are written again", directory=directory)
        self._told = bool(failures)

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*args, **kwargs))
