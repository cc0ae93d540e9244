"""Compares scraping: promscout, Prometheus in agent mode and vmagent, one after the other, on the same targets.

What the figures mean: docs/performance.md. Everything runs on loopback and ends with this program.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
from command import execute, names
from programs import CHECKOUT, PROGRAMS
from report import MB, Row, as_table, machine_facts, write_json
from rich.console import Console
from scrape_measure import Result, Stand
from scrape_scenarios import DRAIN, SCENARIOS, Scenario

RESULTS: Final = CHECKOUT / "benchmarks/results"

ROWS: Final[tuple[Row[Result], ...]] = (
    ("CPU per million samples", "s", lambda run: run.cpu / run.samples * 1e6),
    ("CPU", "s", lambda run: run.cpu),
    ("resident memory", "MB", lambda run: run.resident / MB),
    ("resident memory, highest", "MB", lambda run: run.peak / MB),
    ("samples delivered", "M", lambda run: run.samples / 1e6),
    ("bytes per sample delivered", "", lambda run: run.request_bytes / run.samples),
    ("scrapes expected", "", lambda run: run.expected),
    ("scrapes missed", "", lambda run: run.missed),
    ("samples lost", "", lambda run: run.lost),
    ("off the slot, p50", "ms", lambda run: _ms(run.deviation_p50)),
    ("off the slot, p99", "ms", lambda run: _ms(run.deviation_p99)),
    ("off the slot, most", "ms", lambda run: _ms(run.deviation_most)),
    ("scrape duration, p50", "ms", lambda run: _ms(run.duration_p50)),
    ("scrape duration, most", "ms", lambda run: _ms(run.duration_most)),
    ("targets' CPU", "s", lambda run: run.load_cpu),
    ("sink's CPU", "s", lambda run: run.sink_cpu),
)

NOTES: Final = """\
Medians of {runs} run(s): {seconds:g} s after {warm_up:g} s of warm-up, and {drain:g} s after them in which samples \
may still arrive.
Off the slot: from where most requests to the target come in its interval. Durations are the programs' own.
Compare columns, not days: the machine's other work is in every figure."""


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-scrape", description=__doc__)
    parser.add_argument("--scenario", choices=SCENARIOS, default="main")
    parser.add_argument("--targets", type=int, help="instead of the scenario's")
    parser.add_argument("--samples", type=int, help="of each target, instead of the scenario's")
    parser.add_argument("--seconds", type=float, help="of the window, instead of the scenario's")
    parser.add_argument("--runs", type=int, default=1, help="of each program; the table has medians")
    parser.add_argument("--only", type=names(tuple(PROGRAMS)), default=tuple(PROGRAMS), metavar="PROGRAM,…")
    parser.add_argument("--output", type=Path, help="the JSON file (default: by the scenario, in benchmarks/results)")
    return parser.parse_args()


def _scenario(options: argparse.Namespace) -> Scenario:
    changes = {name: getattr(options, name) for name in ("targets", "samples", "seconds")}
    return msgspec.structs.replace(
        SCENARIOS[options.scenario], **{name: value for name, value in changes.items() if value is not None}
    )


async def _measure(options: argparse.Namespace, scenario: Scenario, directory: Path, console: Console) -> list[Result]:
    results = []
    async with Stand(scenario, directory) as stand:
        for run in range(options.runs):
            turn = run % len(options.only)
            for name in options.only[turn:] + options.only[:turn]:
                console.print(f"run {run + 1} of {options.runs}: {name}")
                results.append(await stand.run(PROGRAMS[name], directory / f"{name}-{run}"))
    return results


async def _main(options: argparse.Namespace, console: Console) -> None:
    scenario = _scenario(options)
    facts = machine_facts([PROGRAMS[name] for name in options.only])
    with tempfile.TemporaryDirectory(prefix="promscout-bench-") as directory:
        results = await _measure(options, scenario, Path(directory), console)
    title = f"Scraping {scenario.targets} targets with {scenario.samples} samples every {scenario.interval} s"
    console.print(as_table(results, title, ROWS))
    console.print(
        NOTES.format(runs=options.runs, seconds=scenario.seconds, warm_up=scenario.warm_up, drain=DRAIN), style="dim"
    )
    name = "scrape" if options.scenario == "main" else f"scrape-{options.scenario}"
    chosen = {"scenario": options.scenario, "runs": options.runs, **msgspec.structs.asdict(scenario)}
    write_json(options.output or RESULTS / f"{name}.json", facts, chosen, results, ROWS)


def main() -> int:
    """Run the benchmark; the exit code."""
    options = _arguments()
    missing = [name for name in options.only if not PROGRAMS[name].executable.exists()]
    return execute(partial(_main, options), missing)


if __name__ == "__main__":
    sys.exit(main())
