"""Measures how quickly a backlog is delivered: programs scrape while their receiver is away, and are started again.

What the figures mean: docs/performance.md. Everything runs on loopback and ends with this program.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec
import scrape_load
import scrape_sink
import yaml
from command import execute, names
from processes import BenchError, ChildProcess, free_port
from programs import CHECKOUT, PROGRAMS, Program
from report import MB, OURS, Row, as_table, machine_facts, percentile, write_json
from rich.console import Console
from scrape_scenarios import Scenario, write_config
from scrape_sink import Divided
from talk import Helper

RESULTS: Final = CHECKOUT / "benchmarks/results/drain.json"
FILL_INTERVAL: Final = 1
DRAIN_INTERVAL: Final = 5
LOOK_EVERY: Final = 0.25
LONGEST: Final = 240.0  # seconds for the delivery of a backlog
QUIET: Final = 4.0
"""Seconds in which less than a quarter of the highest rate comes: then a backlog is delivered, as far as it will be."""

_MARGIN: Final = 10  # scrapes: the start of a program, and its end


class Result(msgspec.Struct, kw_only=True):
    """One program. Times and CPU in seconds, memory in bytes."""

    program: str
    scraped: int
    """Samples that targets gave while the receiver was away."""
    backlog: int
    """Samples from before the second start that arrived."""
    seconds: float
    """From the first of them to the last."""
    from_start: float
    """From the start of the program to the last."""
    cpu: float
    """Of the program in ``seconds``, and ``delivered`` all that arrived then."""
    delivered: int
    fresh: int
    """Samples from after the second start that arrived before the last of the backlog."""
    fresh_age: float | None
    """How old these were at their arrival, half of the requests with any; and the most."""
    fresh_age_most: float | None
    peak: int


ROWS: Final[tuple[Row[Result], ...]] = (
    ("backlog delivered, samples per second", "k", lambda run: run.backlog / run.seconds / 1e3),
    ("all samples per second meanwhile", "k", lambda run: run.delivered / run.seconds / 1e3),
    ("CPU per million samples meanwhile", "s", lambda run: run.cpu / run.delivered * 1e6),
    ("from start to delivered", "s", lambda run: run.from_start),
    ("scraped while away", "M", lambda run: run.scraped / 1e6),
    ("backlog delivered", "M", lambda run: run.backlog / 1e6),
    ("fresh samples meanwhile", "M", lambda run: run.fresh / 1e6),
    ("their age, p50", "s", lambda run: run.fresh_age),
    ("their age, most", "s", lambda run: run.fresh_age_most),
    ("resident memory, highest", "MB", lambda run: run.peak / MB),
)


class Stand:
    """The targets of one program after the other, each of which has one processor and no more."""

    def __init__(self, options: argparse.Namespace, load: Helper[scrape_load.Ready]) -> None:
        per_second = options.targets * options.samples / FILL_INTERVAL
        self._fill_seconds = options.backlog * 1e6 / per_second
        self._load = load
        self._scenario = Scenario(
            targets=options.targets, samples=options.samples, interval=FILL_INTERVAL, warm_up=0,
            seconds=self._fill_seconds,
        )  # fmt: skip
        self._pinned = ("taskset", "--cpu-list", str(min(os.sched_getaffinity(0))))

    async def run(self, program: Program, directory: Path) -> Result:
        """Fill, stop, start again, and see what arrives.

        Raises:
            BenchError: the program ended, or delivered nothing of its backlog.
        """
        await self._load.ask(scrape_load.Reset(), scrape_load.Seen)
        port = free_port()
        url = f"http://127.0.0.1:{port}/api/v1/write"
        config = write_config(directory, self._scenario, program, self._load.ready.addresses, url)
        arguments = [*self._pinned, *program.arguments(config, free_port()), *program.delivery(url)]
        scraped = await self._fill(program.name, ChildProcess(arguments, directory))
        _set_interval(config, DRAIN_INTERVAL)
        async with Helper("scrape_sink.py", [f"--port={port}"], directory / "sink", scrape_sink.Ready) as sink:
            started_at = time.time()
            async with ChildProcess(arguments, directory) as process:
                looks = await _until_quiet(process, sink)
                _, peak = process.memory()
            divided = await sink.ask(scrape_sink.Divide(round(started_at * 1000)), Divided)
        old = [one for one in divided.arrivals if one.before]
        if not old:
            raise BenchError(f"nothing of a backlog arrived from {program.name}:\n{process.log_tail()}")
        last = old[-1].at
        meanwhile = [one for one in divided.arrivals if one.at <= last]
        # Arrivals are on another clock than time stamps.
        ages = sorted(one.at - process.started + started_at - one.oldest / 1000 for one in meanwhile if one.after)
        return Result(
            program=program.name,
            scraped=scraped,
            backlog=sum(one.before for one in old),
            seconds=last - old[0].at,
            from_start=last - process.started,
            cpu=_at(looks, last) - _at(looks, old[0].at),
            delivered=sum(one.before + one.after for one in meanwhile),
            fresh=sum(one.after for one in meanwhile),
            fresh_age=percentile(ages, 0.5),
            fresh_age_most=percentile(ages, 1.0),
            peak=peak,
        )

    async def _fill(self, name: str, process: ChildProcess) -> int:
        """Let a program scrape while nobody takes its samples, and end; how many samples it got."""
        since = time.monotonic()
        async with process:
            await asyncio.sleep(self._fill_seconds + 1)
            if process.ended is not None:
                raise BenchError(f"{name} ended with {process.ended}:\n{process.log_tail()}")
        look = scrape_load.Look(self._scenario.targets, FILL_INTERVAL, since, time.monotonic())
        return (await self._load.ask(look, scrape_load.Seen)).requests * self._scenario.samples


def _set_interval(config: Path, seconds: int) -> None:
    settings = yaml.safe_load(config.read_text())
    every = f"{seconds}s"
    settings["global"] |= {"scrape_interval": every, "scrape_timeout": every}
    config.write_text(yaml.safe_dump(settings, sort_keys=False))


Looks = list[tuple[float, float]]
"""When, and the CPU seconds of the program until then."""


async def _until_quiet(process: ChildProcess, sink: Helper[scrape_sink.Ready]) -> Looks:
    """Wait until the backlog is delivered."""
    looks: Looks = []
    arrived: list[int] = []
    quiet = round(QUIET / LOOK_EVERY)
    while not looks or looks[-1][0] < process.started + LONGEST:
        if process.ended is not None:
            raise BenchError(f"the program ended with {process.ended}:\n{process.log_tail()}")
        seen = await sink.ask(scrape_sink.Look(), scrape_sink.Seen)
        arrived.append(seen.request_bytes)
        looks.append((time.monotonic(), process.cpu()))
        gains = [late - early for early, late in zip(arrived, arrived[quiet:], strict=False)]
        if arrived[-1] and gains and gains[-1] < max(gains) / 4:
            break
        await asyncio.sleep(LOOK_EVERY)
    return looks


def _at(looks: Looks, when: float) -> float:
    """CPU seconds at a time between two looks, as if they had been spent evenly."""
    for (early, less), (late, more) in pairwise(looks):
        if early <= when <= late:
            return less + (more - less) * (when - early) / (late - early)
    return looks[0][1] if when < looks[0][0] else looks[-1][1]


async def _main(options: argparse.Namespace, console: Console) -> None:
    facts = machine_facts([PROGRAMS[name] for name in options.only])
    results = []
    with tempfile.TemporaryDirectory(prefix="promscout-bench-") as directory:
        shape = {"targets": options.targets, "samples": options.samples, "versions": _versions(options)}
        arguments = [f"--{name}={value}" for name, value in shape.items()]
        async with Helper("scrape_load.py", arguments, Path(directory) / "load", scrape_load.Ready) as load:
            stand = Stand(options, load)
            for name in options.only:
                console.print(name)
                results.append(await stand.run(PROGRAMS[name], Path(directory) / name))
    title = f"A backlog of {options.backlog:g} million samples of {options.targets} targets"
    console.print(as_table(results, title, ROWS))
    chosen = {"targets": options.targets, "samples": options.samples, "backlog": options.backlog}
    write_json(options.output or RESULTS, facts, chosen, results, ROWS)


def _versions(options: argparse.Namespace) -> int:
    return int(options.backlog * 1e6 / (options.targets * options.samples)) + _MARGIN


def main() -> int:
    """Run the benchmark; the exit code."""
    known: Sequence[str] = (OURS, "vmagent")
    parser = argparse.ArgumentParser(prog="make bench-drain", description=__doc__)
    parser.add_argument("--backlog", type=float, default=10.0, help="million samples")
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1000, help="of each target")
    parser.add_argument("--only", type=names(tuple(known)), default=tuple(known), metavar="PROGRAM,…")
    parser.add_argument("--output", type=Path, help="the JSON file")
    options = parser.parse_args()
    return execute(partial(_main, options), [name for name in options.only if not PROGRAMS[name].executable.exists()])


if __name__ == "__main__":
    sys.exit(main())
