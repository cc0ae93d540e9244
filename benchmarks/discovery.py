"""Compares discovery: promscout, Prometheus in agent mode and vmagent, one after the other, against one cluster.

What the figures mean: docs/performance.md. Everything runs on loopback and ends with this program.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import aiohttp
from command import execute, names
from measure import DRAIN, LATENCY_POLL, POLL, SETTLING, Cluster, Measurement, Plan, Result
from programs import CHECKOUT, PROGRAMS
from report import MB, Row, as_table, machine_facts, percentile, write_json
from rich.console import Console

JOBS: Final = ("pods", "endpointslices", "nodes", "services")
LATENCY_JOB: Final = "latency"
RESULTS: Final = CHECKOUT / "benchmarks/results/discovery.json"

ROWS: Final[tuple[Row[Result], ...]] = (
    ("start to all targets active", "s", lambda run: run.start_seconds),
    ("CPU until then", "s", lambda run: run.start_cpu),
    ("CPU until settled", "s", lambda run: run.settled_cpu),
    ("resident memory, settled", "MB", lambda run: run.resident / MB),
    ("resident memory, highest", "MB", lambda run: run.peak / MB),
    ("CPU under churn", "s", lambda run: run.churn_cpu),
    ("label to target, quiet, p50", "s", lambda run: percentile(run.latency_quiet, 0.5)),
    ("label to target, quiet, p99", "s", lambda run: percentile(run.latency_quiet, 0.99)),
    ("label to target, churn, p50", "s", lambda run: percentile(run.latency_busy, 0.5)),
    ("label to target, churn, p99", "s", lambda run: percentile(run.latency_busy, 0.99)),
    ("API server's CPU until settled", "s", lambda run: run.server_start_cpu),
)

NOTES: Final = """\
Medians of {runs} run(s). Settled: {settling:g} s after all targets were active. Churn: 100 pod patches a second for \
{churn:g} s, nine of ten without any effect on labels, and {drain:g} s after it.
Start is polled every {poll:g} ms, label changes every {latency_poll:g} ms; the p99 of fewer than 100 is the slowest.
The simulated API server speaks JSON only; a real one answers Prometheus in protobuf, which it decodes faster.
Compare columns, not days: the machine's other work is in every figure."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-discovery", description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000, help="size of the cluster (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=30.0, help="of churn (default: %(default)s)")
    parser.add_argument("--events", type=int, default=50, help="timed label changes per phase, 0 for none")
    parser.add_argument("--runs", type=int, default=1, help="of each program; the table has medians")
    parser.add_argument("--only", type=names(tuple(PROGRAMS)), default=tuple(PROGRAMS), metavar="PROGRAM,…")
    parser.add_argument("--jobs", type=names(JOBS), default=JOBS, metavar="JOB,…", help=f"of {', '.join(JOBS)}")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the JSON file")
    return parser.parse_args()


async def _measure(options: argparse.Namespace, directory: Path, console: Console) -> list[Result]:
    jobs = (*options.jobs, *((LATENCY_JOB,) if options.events else ()))
    plan = Plan(jobs, options.seconds, options.events)
    results = []
    async with (
        Cluster(options.pods, directory / "cluster", sys.executable) as cluster,
        aiohttp.ClientSession() as session,
    ):
        for run in range(options.runs):
            turn = run % len(options.only)
            for place, name in enumerate(options.only[turn:] + options.only[:turn]):
                console.print(f"run {run + 1} of {options.runs}: {name}")
                measurement = Measurement(PROGRAMS[name], cluster, plan, session)
                # Seeds apart by two: a patch that another program's run has made already would change nothing.
                seed = 2 * (run * len(options.only) + place)
                results.append(await measurement.run(directory / f"{name}-{run}", seed))
    return results


async def _main(options: argparse.Namespace, console: Console) -> None:
    programs = [PROGRAMS[name] for name in options.only]
    facts = machine_facts(programs)
    with tempfile.TemporaryDirectory(prefix="promscout-bench-") as directory:
        results = await _measure(options, Path(directory), console)
    console.print(as_table(results, f"Discovery of {options.pods} pods, jobs {', '.join(options.jobs)}", ROWS))
    notes = NOTES.format(
        runs=options.runs,
        settling=SETTLING,
        churn=options.seconds,
        drain=DRAIN,
        poll=POLL * 1000,
        latency_poll=LATENCY_POLL * 1000,
    )
    console.print(notes, style="dim")
    chosen = {name: getattr(options, name) for name in ("pods", "seconds", "events", "runs", "jobs")}
    write_json(options.output, facts, chosen, results, ROWS)


def main() -> int:
    """Run the benchmark; the exit code."""
    options = _arguments()
    missing = [name for name in options.only if not PROGRAMS[name].executable.exists()]
    return execute(partial(_main, options), missing)


if __name__ == "__main__":
    sys.exit(main())
