"""Measures relabelling: target groups to targets and loops, their time and memory, and the same in Prometheus.

What the figures mean: docs/performance.md. Everything runs on loopback and ends with this program.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

import aiohttp
import msgspec
from command import execute, names
from processes import BenchError, ChildProcess, free_port
from programs import CHECKOUT, PROGRAMS, Prometheus
from relabel_jobs import JOBS, PODS
from relabel_peer import PeerRun, PeerWork
from relabel_work import CHANGES, changed_file, groups_file, shown_file
from report import OURS, machine_facts, number, ratio, write_document
from rich.console import Console
from rich.table import Table

RESULTS: Final = CHECKOUT / "benchmarks/results/relabel.json"
PEER: Final = "prometheus"
PARTS: Final = ("sync", "rules", "memory", PEER)
PART_LIMIT: Final = 240.0  # seconds for a part of promscout's

Figures = dict[str, float]


@dataclass(frozen=True)
class Line:
    """One line of the table: a part's figure, its unit, and what it shall be at most."""

    part: str
    figure: str
    title: str
    unit: str
    goal: float | None = None


LINES: Final = (
    Line("sync", "first_sync", "first sync of all targets, CPU", "s", 1.5),
    Line("sync", "first_sync_each", "  per discovered target", "µs"),
    Line("rules", "plain_each", "target built by the plain rules", "µs"),
    Line("rules", "planned_each", "target built by plans", "µs"),
    Line("sync", "changed_sync", "sync of one group whose target changed", "ms", 1.0),
    Line("sync", "changed_sync_p99", "  p99", "ms"),
    Line("sync", "unseen_sync", "sync of one group, no target changed", "ms"),
    Line("sync", "equal_sync", "sync of one equal group", "ms"),
    Line("sync", "reload_same", "reload, other rules, no target changed", "s"),
    Line("sync", "reload_other", "reload, other rules, every target changed", "s"),
    Line("memory", "dropped", "dropped target", "bytes", 300),
    Line("memory", "dropped_pool", "  in the pool", "bytes"),
    Line("memory", "dropped_group", "  in its group", "bytes"),
    Line("memory", "dropped_group_rows", "    row of its own labels", "bytes"),
    Line("memory", "dropped_group_pod_labels", "    row of its pod's labels", "bytes"),
    Line("memory", "dropped_group_addresses", "    address", "bytes"),
    Line("memory", "dropped_group_struct", "    group", "bytes"),
    Line("memory", "dropped_group_source", "    name of its source", "bytes"),
    Line("memory", "dropped_group_rest", "    slots of dicts, other text", "bytes"),
    Line("memory", "active_pool", "active target, in the pool, its loop included", "bytes", 3000),
    Line("sync", "resident_each", "resident, groups and pool, per discovered target", "bytes"),
)

PEER_LINES: Final = (
    ("first_sync", "first sync", "s"),
    ("cpu", "CPU, from the file to running loops", "s"),
    ("changed_sync", "sync after one group changed", "ms"),
)

NOTES: Final = """\
Medians of {runs} run(s), of memory and Prometheus one; each part in a process of its own. Indented: part of the line \
above. A line of one group is the median of up to {changes}.
Bytes are tracemalloc's, beyond the decoded objects; three ports of a kept pod are one active target in three places.
Beside Prometheus: labels that differ by port are left out, the files of file_sd cannot have them.
Compare columns, not days: the machine's other work is in every figure."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-relabel", description=__doc__)
    parser.add_argument("--targets", type=int, default=100_000, help="that are discovered (default: %(default)s)")
    parser.add_argument(
        "--runs", type=int, default=3, help="of each part but memory and Prometheus (default: %(default)s)"
    )
    parser.add_argument("--only", type=names(PARTS), default=PARTS, metavar="PART,…", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the JSON file")
    return parser.parse_args()


class Benchmark:
    """The parts, on files in ``directory``. Targets are rewritten to a port of 127.0.0.1 where nobody listens."""

    def __init__(self, directory: Path, targets: int, tell: Callable[[str], None]) -> None:
        self._directory = directory
        self._targets = targets
        self._tell = tell
        self._address = f"127.0.0.1:{free_port()}"

    async def run(self, parts: Sequence[str], runs: int) -> dict[str, list[Figures]]:
        """Part → the figures of each of its runs; beside Prometheus, ``JOB program``."""
        self._tell("making pods and files")
        await self._part("write")
        found: dict[str, list[Figures]] = {}
        for part in parts:
            if part == PEER:
                for job in JOBS:
                    found |= await self._side_by_side(job, runs)
                continue
            for run in range(1 if part == "memory" else runs):  # the same bytes every time
                self._tell(f"{part}, run {run + 1}")
                found.setdefault(part, []).append(await self._part(part))
        return found

    async def _side_by_side(self, job: str, runs: int) -> dict[str, list[Figures]]:
        directory = self._directory
        ours = []
        for run in range(runs):
            self._tell(f"job {job}, {OURS}, run {run + 1}")
            ours.append(await self._part(f"{job}_file"))
        work = PeerWork(
            job,
            self._address,
            groups_file(directory, job),
            changed_file(directory, job),
            shown_file(directory, job),
            int(ours[0]["active"]),
        )
        self._tell(f"job {job}, {PEER}")
        async with aiohttp.ClientSession() as session:
            theirs = await PeerRun(work, directory / f"{PEER}-{job}", session).measure()
        return {f"{job} {OURS}": ours, f"{job} {PEER}": [theirs]}

    async def _part(self, part: str) -> Figures:
        """One run of a part of promscout's, in a process of its own.

        Raises:
            BenchError: it failed.
        """
        arguments = [
            sys.executable,
            str(Path(__file__).with_name("relabel_work.py")),
            part,
            f"--directory={self._directory}",
            f"--targets={self._targets}",
            f"--address={self._address}",
        ]
        async with ChildProcess(arguments, self._directory / f"part-{part}", talks=True) as process:
            try:
                async with asyncio.timeout(PART_LIMIT):
                    line = await process.receive()
            except TimeoutError:
                raise BenchError(f"{part} took more than {PART_LIMIT:g} s") from None
            if not line:
                raise BenchError(f"{part} failed:\n{process.log_tail()}")
        return msgspec.json.decode(line, type=Figures)


def _medians(found: Mapping[str, Sequence[Figures]]) -> dict[str, Figures]:
    return {part: {figure: median(run[figure] for run in runs) for figure in runs[0]} for part, runs in found.items()}


def _table(figures: Mapping[str, Figures], targets: int) -> Table:
    """One line per figure of promscout's, with its goal."""
    sync = figures.get("sync")
    counted = f"{sync['targets']:.0f} discovered targets, {sync['active']:.0f} active" if sync else f"{targets} targets"
    table = Table(title=f"Relabelling of {counted}, job {PODS}", title_justify="left")
    table.add_column("", no_wrap=True)
    table.add_column(OURS, justify="right")
    table.add_column("goal", justify="right")
    for line in LINES:
        if line.part in figures:
            goal = "" if line.goal is None else f"≤ {number(line.goal, f' {line.unit}')}"
            table.add_row(line.title, number(figures[line.part][line.figure], f" {line.unit}"), goal)
    return table


def _peer_table(figures: Mapping[str, Figures]) -> Table:
    """The same groups in Prometheus: one line per job and figure, and ours divided by theirs."""
    table = Table(title="The same groups in Prometheus", title_justify="left")
    table.add_column("", no_wrap=True)
    for name in (OURS, PEER, f"{OURS} / {PEER}"):
        table.add_column(name, justify="right")
    for job in JOBS:
        ours, theirs = figures.get(f"{job} {OURS}"), figures.get(f"{job} {PEER}")
        if ours is None or theirs is None:
            continue
        table.add_row(f"job {job}: {ours['targets']:.0f} targets, {ours['active']:.0f} active")
        for figure, title, unit in PEER_LINES:
            one, other = ours[figure], theirs[figure]
            shown = (number(one, f" {unit}"), number(other, f" {unit}"), _ratio(one, other))
            table.add_row(f"  {title}", *shown)
    return table


def _ratio(ours: float, theirs: float) -> str:
    found = ratio(ours, theirs)
    return "< 0.001" if found is not None and found < 0.001 else number(found, "")


async def _main(options: argparse.Namespace, console: Console) -> None:
    facts: dict[str, Any] = machine_facts([PROGRAMS[PEER]] if PEER in options.only else [])
    with tempfile.TemporaryDirectory(prefix="promscout-bench-") as directory:
        benchmark = Benchmark(Path(directory), options.targets, console.print)
        found = await benchmark.run(options.only, options.runs)
    figures = _medians(found)
    if any(part != PEER for part in options.only):
        console.print(_table(figures, options.targets))
    if PEER in options.only:
        console.print(_peer_table(figures))
    console.print(NOTES.format(runs=options.runs, changes=CHANGES), style="dim")
    document = {
        "machine": facts,
        "options": {name: getattr(options, name) for name in ("targets", "runs", "only")},
        "units": {f"{line.part} {line.figure}": line.unit for line in LINES}
        | {f"{job} {figure}": unit for job in JOBS for figure, _, unit in PEER_LINES},
        "goals": {f"{line.part} {line.figure}": line.goal for line in LINES if line.goal is not None},
        "medians": figures,
        "runs": found,
    }
    write_document(options.output, document)


def main() -> int:
    """Run the benchmark; the exit code."""
    options = _arguments()
    missing = [PEER] if PEER in options.only and not Prometheus().executable.exists() else []
    return execute(partial(_main, options), missing)


if __name__ == "__main__":
    sys.exit(main())
