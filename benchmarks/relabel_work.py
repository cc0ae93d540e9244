"""What the relabelling benchmark measures of promscout, each part in a process of its own.

``python benchmarks/relabel_work.py PART --directory DIR --targets N --address HOST:PORT`` writes one line of JSON: the
figures of PART by name. ``write`` makes the files in DIR that the other parts read. Times are CPU seconds, micro- and
milliseconds of this process, which runs one thread; sizes are bytes. No target is ever scraped: the event loop gets no
turn between the start of a pool and its end.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import sys
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry
from relabel_groups import (
    PORTS,
    PROVIDER,
    group_of,
    is_kept,
    keyed,
    pod_file_groups,
    read_file_groups,
    read_pods,
    slice_file_groups,
    with_another_label,
    with_another_phase,
    with_one_changed,
    write_file_groups,
    write_pods,
)
from relabel_jobs import PODS, SERVICE_MONITOR, scrape_config

from promscout.kube.objects import Pod
from promscout.model.clock import SystemClock
from promscout.model.group import GroupKey, TargetGroup
from promscout.model.labels import LabelRow
from promscout.model.series import ExemplarBatch, HistogramBatch, SampleBatch
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.loop import Ending
from promscout.scrape.metrics import ScrapeMetrics
from promscout.scrape.options import ScrapeContext
from promscout.scrape.pool import ScrapePool
from promscout.scrape.target_builder import TargetBuilder

CHANGES: Final = 500
"""Groups that are changed, one after the other, for a median."""

FEWER_SLICES: Final = 5
"""Endpoint slices have a file group for each target, of 3 KB: a fifth of the targets makes a file of equal size."""

_PAGE: Final = 4096
_UNSEEN: Final = {"action": "labeldrop", "regex": "a_label_that_nothing_has"}
_SEEN: Final = {"target_label": "cluster", "replacement": "bench"}
_CHANGED_PLACE: Final = {PODS: 0, SERVICE_MONITOR: 1}  # the first group that the job keeps

Figures = dict[str, float]


class _Nowhere:
    """Takes nothing: nothing is scraped."""

    def append(self, batch: SampleBatch) -> None: ...

    def append_histograms(self, batch: HistogramBatch) -> None: ...

    def append_exemplars(self, batch: ExemplarBatch) -> None: ...


def groups_file(directory: Path, job: str) -> Path:
    """The job's groups for file_sd."""
    return directory / f"{job}.json"


def changed_file(directory: Path, job: str) -> Path:
    """The same with one group changed."""
    return directory / f"{job}-changed.json"


def shown_file(directory: Path, job: str) -> Path:
    """Where Prometheus looks for the job's groups, in a directory that has nothing else."""
    return directory / f"shown-{job}" / "groups.json"


def pods_for(targets: int) -> int:
    """How many pods have that many targets."""
    return max(2, math.ceil(targets / PORTS))


@asynccontextmanager
async def _pool(config: ScrapeConfig, registry: CollectorRegistry) -> AsyncIterator[ScrapePool]:
    pool = ScrapePool(config, ScrapeContext(_Nowhere(), SystemClock(), ScrapeMetrics(registry)))
    yield pool
    await pool.close(Ending.SHUTDOWN)


def _cpu(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


class Parts:
    """The parts by name, all on the files in ``directory``; each is a method that gives its figures."""

    def __init__(self, directory: Path, targets: int, address: str) -> None:
        self._directory = directory
        self._targets = targets
        self._address = address
        self._pods = directory / "pods.jsonl"

    async def write(self) -> Figures:
        """Make the files that the other parts read."""
        pods = pods_for(self._targets)
        write_pods(self._pods, pods)
        made = {
            PODS: list(pod_file_groups(read_pods(self._pods))),
            SERVICE_MONITOR: list(slice_file_groups(pods_for(self._targets // FEWER_SLICES))),
        }
        for job, groups in made.items():
            write_file_groups(groups_file(self._directory, job), groups)
            changed = with_one_changed(groups, _CHANGED_PLACE[job])
            write_file_groups(changed_file(self._directory, job), changed)
        return {"pods": pods}

    async def sync(self) -> Figures:
        """A pool's first sync, those after it, and reloads."""
        pods = read_pods(self._pods)
        gc.collect()
        resident = _resident()
        groups = keyed(map(group_of, pods))
        targets = sum(len(group.targets) for group in groups.values())
        async with _pool(self._config(PODS), CollectorRegistry()) as pool:
            first = _cpu(lambda: pool.sync(groups))
            resident = _resident() - resident
            kept = [pod for pod in pods if is_kept(pod)]
            sample = kept[:: max(1, len(kept) // CHANGES)]
            found: Figures = {
                "targets": targets,
                "groups": len(groups),
                "active": len(pool.active),
                "dropped": pool.dropped_count,
                "first_sync": first,
                "first_sync_each": first / targets * 1e6,
                "resident_each": resident / targets,
            }
            found |= self._changes("changed", pool, groups, map(with_another_label, sample))
            found |= self._changes("unseen", pool, groups, map(with_another_phase, sample))
            found |= self._changes("equal", pool, groups, sample)
            same, other = self._config(PODS, _UNSEEN), self._config(PODS, _SEEN)
            found["reload_same"] = _cpu(lambda: pool.reload(same))
            found["reload_other"] = _cpu(lambda: pool.reload(other))
        return found

    def _changes(
        self, name: str, pool: ScrapePool, groups: Mapping[GroupKey, TargetGroup], pods: Iterable[Pod]
    ) -> Figures:
        """Milliseconds of syncs with the group of each of ``pods`` alone; after each, all is as it was before."""
        times = []
        for pod in pods:
            change = keyed([group_of(pod)])
            times.append(_cpu(partial(pool.sync, change)) * 1000)
            pool.sync({key: groups[key] for key in change})
        times.sort()
        return {f"{name}_sync": median(times), f"{name}_sync_p99": times[math.ceil(0.99 * len(times)) - 1]}

    async def rules(self) -> Figures:
        """What becomes of all targets, without pool and loops: by the plain rules, and by plans."""
        groups = [group_of(pod) for pod in read_pods(self._pods)]
        targets = sum(len(group.targets) for group in groups)

        def plainly(builder: TargetBuilder) -> None:
            for group in groups:
                _ = [builder.build_plainly(group, position) for position in range(len(group.targets))]

        def planned(builder: TargetBuilder) -> None:
            for group in groups:
                _ = list(builder.build(group))

        found = {}
        for name, build in (("plain", plainly), ("planned", planned)):
            builder = TargetBuilder(self._config(PODS))
            found[f"{name}_each"] = _cpu(partial(build, builder)) / targets * 1e6
        return found

    async def memory(self) -> Figures:
        """Bytes by ``tracemalloc``; the discovered objects, whose strings labels share, are there before.

        A dropped target's are per discovered target, an active one's per target that is scraped.
        """
        pods = read_pods(self._pods)
        chosen = {"dropped": [pod for pod in pods if not is_kept(pod)], "active": [pod for pod in pods if is_kept(pod)]}
        found: Figures = {}
        async with _pool(self._config(PODS), CollectorRegistry()) as pool:
            kept = []  # as a provider keeps them
            tracemalloc.start()
            for kind, some in chosen.items():
                before = _traced()
                groups = {group.source: group for group in map(group_of, some)}
                kept.append(groups)
                grouped = _traced()
                # In slices of their own: the keys are the pool's alone, the mappings nobody's.
                for part in _slices(groups, 300):
                    pool.sync(part)
                pooled = _traced()
                count = sum(len(group.targets) for group in groups.values())
                found[f"{kind}_group"] = (grouped - before) / count
                if kind == "dropped":
                    found["dropped"] = (pooled - before) / count
                    found["dropped_pool"] = (pooled - grouped) / count
                    found |= _group_bytes(groups, some, found["dropped_group"])
                else:
                    found["active_pool"] = (pooled - grouped) / len(pool.active)
                    found["active_places"] = count / len(pool.active)
            tracemalloc.stop()
        return found

    async def pods_file(self) -> Figures:
        """The job ``pods`` on the groups that Prometheus gets."""
        return await self._file(PODS)

    async def servicemonitor_file(self) -> Figures:
        """The job ``servicemonitor`` on the groups that Prometheus gets."""
        return await self._file(SERVICE_MONITOR)

    async def _file(self, job: str) -> Figures:
        registry = CollectorRegistry()
        shown = str(shown_file(self._directory, job))

        def length() -> float:
            name = "prometheus_target_sync_length_seconds_sum"
            return registry.get_sample_value(name, {"scrape_job": job}) or 0.0

        async with _pool(self._config(job), registry) as pool:
            started = time.process_time()
            groups = read_file_groups(groups_file(self._directory, job), shown)
            pool.sync(groups)
            cpu, first = time.process_time() - started, length()
            changed = read_file_groups(changed_file(self._directory, job), shown)
            now = {key: group for key, group in changed.items() if groups[key] != group}
            before = {key: groups[key] for key in now}
            lengths = []
            for _ in range(CHANGES):
                for change in (now, before):
                    earlier = length()
                    pool.sync(change)
                    lengths.append(length() - earlier)
            return {
                "targets": sum(len(group.targets) for group in groups.values()),
                "active": len(pool.active),
                "first_sync": first,
                "cpu": cpu,
                "changed_sync": median(lengths) * 1000,
            }

    def _config(self, job: str, *rules: dict[str, str]) -> ScrapeConfig:
        return scrape_config(job, self._address, *rules)


def _slices(groups: Mapping[str, TargetGroup], size: int) -> Iterable[dict[GroupKey, TargetGroup]]:
    sources = list(groups)
    for start in range(0, len(sources), size):
        yield {(PROVIDER, source): groups[source] for source in sources[start : start + size]}


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _group_bytes(groups: Mapping[str, TargetGroup], pods: Sequence[Pod], whole: float) -> Figures:
    """Where the bytes of a target's group are. ``pods`` own their strings; names of labels are shared by all."""
    seen = {id(text) for pod in pods for text in _texts(pod)}
    sizes = dict.fromkeys(("struct", "source", "pod_labels", "rows", "addresses", "other_texts"), 0)

    def add(kind: str, *objects: object) -> None:
        for one in objects:
            if id(one) not in seen:
                seen.add(id(one))
                sizes[kind] += sys.getsizeof(one)

    def add_row(kind: str, row: LabelRow) -> None:
        add(kind, row, row.values)

    count = 0
    for group in groups.values():
        count += len(group.targets)
        add("source", group.source)
        add("struct", group, group.targets, group.bases)
        for base in (group.labels, *group.bases):
            add_row("pod_labels", base)
            add("other_texts", *base.values)
        for row in group.targets:
            add_row("rows", row)
            add("addresses", row.values[0])
            add("other_texts", *row.values[1:])
    found: Figures = {f"dropped_group_{kind}": size / count for kind, size in sizes.items()}
    return found | {"dropped_group_rest": whole - sum(found.values())}


def _texts(value: object) -> Iterable[str]:
    """Every string in a decoded object."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _texts(getattr(value, name))
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, tuple):
        for one in value:
            yield from _texts(one)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--targets", type=int, required=True)
    parser.add_argument("--address", required=True)
    options = parser.parse_args()
    # As `promscout run` has it, see promscout.cli: what is imported is frozen, the rest looked through rarely.
    gc.set_threshold(100_000, 50, 100)
    gc.freeze()
    parts = Parts(options.directory, options.targets, options.address)
    found = asyncio.run(getattr(parts, options.part)())
    sys.stdout.buffer.write(msgspec.json.encode(found) + b"\n")


if __name__ == "__main__":
    _main()
