"""Discovers what files list."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Summary
from prometheus_client.core import GaugeMetricFamily

from promscout.discovery.discoverer import Publish
from promscout.discovery.file.config import FileSDConfig
from promscout.discovery.file.reader import NOTHING, FileState, Scan, TargetFiles
from promscout.discovery.mechanism import DiscoveryContext
from promscout.logs import EventLog
from promscout.model.group import TargetGroup

WATCH_INTERVAL: Final = 1.0
"""Seconds between two looks at the files' time stamps, sizes and inodes. Looking works on every file system, through
links, and for directories that come later; notification by the kernel does not."""

_NO_FILE: Final = FileState()

_log = EventLog("promscout.discovery.file")


class FileFactory:
    """Makes file discoverers that share metrics."""

    def __init__(self, context: DiscoveryContext) -> None:
        self._parse_groups = context.parse_groups
        self._metrics = FileMetrics(context.registry)

    def __call__(self, config: FileSDConfig) -> FileDiscoverer:
        """The discoverer of ``config``."""
        return FileDiscoverer(config, TargetFiles(config.files, self._parse_groups), self._metrics)


class FileMetrics:
    """How reading goes, and how old the files are. Source: prometheus v3.x discovery/file/metrics.go, file.go."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.read_errors = Counter(
            "prometheus_sd_file_read_errors", "The number of File-SD read errors.", registry=registry
        )
        self.scan_duration = Summary(
            "prometheus_sd_file_scan_duration_seconds",
            "The duration of the File-SD scan in seconds.",
            registry=registry,
        )
        self.running: set[FileDiscoverer] = set()
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The modification times of all files in use; for ``prometheus_client``."""
        family = self._family()
        times = {path: mtime for one in self.running for path, mtime in one.times.items()}
        for path, mtime in times.items():
            family.add_metric([path], mtime)
        yield family

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """The metrics' names; for ``prometheus_client``."""
        return [self._family()]

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(
            "prometheus_sd_file_mtime_seconds",
            "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
            labels=["filename"],
        )


class FileDiscoverer:
    """Turns the groups that files list into target groups with the sources ``path:0``, ``path:1``, ….

    Guarantees: a file that is new, changed, replaced or gone shows within ``WATCH_INTERVAL``, however its content is
    reached; every ``refresh_interval`` all are read, whatever they look like. A file that is broken or cannot be read
    keeps the targets that it had, and so does every file while the directory cannot be read. Files are read in a
    thread: a slow file system does not hold up the event loop.

    ``times`` has the modification time of each file that was in order, in seconds.

    Source: prometheus v3.x discovery/file/file.go Discovery.
    """

    def __init__(self, config: FileSDConfig, files: TargetFiles, metrics: FileMetrics) -> None:
        self._interval = float(config.refresh_interval)
        self._files = files
        self._metrics = metrics
        self._last = NOTHING

    @property
    def times(self) -> dict[str, float]:
        """Path → modification time, of files whose content is in use."""
        return {path: state.mtime for path, state in self._last.files.items() if state.mtime}

    async def run(self, publish: Publish) -> None:
        """Publish groups until cancelled."""
        loop = asyncio.get_running_loop()
        self._metrics.running.add(self)
        due = loop.time()
        try:
            while True:
                again = loop.time() >= due
                if again:
                    due = loop.time() + self._interval
                first = self._last is NOTHING
                changed = await self._scan(again=again)
                if changed or first:
                    publish(changed)
                await asyncio.sleep(max(0.0, min(WATCH_INTERVAL, due - loop.time())))
        finally:
            self._metrics.running.discard(self)
            self._last = NOTHING

    async def _scan(self, *, again: bool) -> list[TargetGroup]:
        """Look at the files; what is new, changed or gone since the last time."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        scan = await asyncio.to_thread(self._files.scan, self._last, again=again)
        if scan.read:
            self._metrics.scan_duration.observe(loop.time() - started)
        for problem in scan.problems:
            self._metrics.read_errors.inc()
            _log.error("cannot use the file, its targets stay", path=problem.path, error=problem.reason)
        changed = list(_changes(self._last, scan))
        self._last = scan
        return changed


def _changes(before: Scan, scan: Scan) -> Iterator[TargetGroup]:
    for path in {**before.files, **scan.files}:
        known, now = before.files.get(path, _NO_FILE).groups, scan.files.get(path, _NO_FILE).groups
        if known is not now:
            yield from now
            # The sources of a file are numbered: what it had beyond its last group now is gone.
            yield from (TargetGroup(group.source) for group in known[len(now) :])
