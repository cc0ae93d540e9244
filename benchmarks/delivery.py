"""Measures delivery: what remote write costs beside the scraping of the same samples.

What the figures mean: docs/performance.md. Everything runs on loopback and ends with this program.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import delivery_feed
import msgspec
import scrape_sink
from command import execute, names
from programs import CHECKOUT, PROGRAMS
from report import MB, OURS, machine_facts, medians, number, write_document
from rich.console import Console
from rich.table import Table
from scrape_sink import Counted
from talk import Helper

from promscout.write.config import ProtobufMessage
from promscout.write.spool import BufferLimits

RESULTS: Final = CHECKOUT / "benchmarks/results/delivery.json"
WARM_UP: Final = 10.0
DRAIN: Final = 6.0  # seconds after the window, in which its samples may arrive
NOWHERE: Final = "nowhere"


class Way(msgspec.Struct, frozen=True):
    """How samples are delivered: the message, the buffer's flush interval (0: no buffer), how long the receiver takes
    for an answer, and how many requests may be under way. Seconds.
    """

    message: ProtobufMessage | None = None
    flush_interval: float = BufferLimits().flush_interval
    answers_after: float = 0.0
    min_shards: int = 1

    def feed_arguments(self, port: int) -> list[str]:
        """For the process that delivers."""
        if self.message is None:
            return []
        receiver = f"--receiver=http://127.0.0.1:{port}/api/v1/write"
        return [
            receiver,
            f"--message={self.message}",
            f"--flush-interval={self.flush_interval}",
            f"--min-shards={self.min_shards}",
        ]


WAYS: Final[dict[str, Way]] = {
    NOWHERE: Way(),
    "1.0": Way(ProtobufMessage.V1),
    "1.0 all by disk": Way(ProtobufMessage.V1, answers_after=0.9, min_shards=200),
    "1.0 no disk": Way(ProtobufMessage.V1, flush_interval=0),
}


class Result(msgspec.Struct, kw_only=True):
    """One run of one way. CPU in seconds and memory in bytes, at the end of the window or within it."""

    program: str
    cpu: float
    resident: int
    sink_cpu: float
    samples: int
    """Appended in the window, where they are delivered nowhere; otherwise delivered in it."""
    requests: int
    request_bytes: int


Row = tuple[str, str, Callable[[Result], float | None]]


async def _run(options: argparse.Namespace, way: str, directory: Path) -> Result:
    sink_arguments = [f"--answers-after={WAYS[way].answers_after}"]
    async with Helper("scrape_sink.py", sink_arguments, directory / "sink", scrape_sink.Ready) as sink:
        arguments = [
            f"--targets={options.targets}",
            f"--samples={options.samples}",
            *WAYS[way].feed_arguments(sink.ready.port),
        ]
        async with Helper("delivery_feed.py", arguments, directory / "feed", delivery_feed.Ready) as feed:
            await asyncio.sleep(WARM_UP)
            since, before = time.monotonic(), [one.process.cpu() for one in (feed, sink)]
            await asyncio.sleep(options.seconds)
            until, after = time.monotonic(), [one.process.cpu() for one in (feed, sink)]
            resident, _ = feed.process.memory()
            await asyncio.sleep(DRAIN if way != NOWHERE else 0)
        counted = await sink.ask(scrape_sink.Count([], 1000, since, until, 0, 0), Counted)
    cpu, sink_cpu = (late - early for late, early in zip(after, before, strict=True))
    appended = round(options.seconds) * options.targets * (options.samples + delivery_feed.REPORTS)
    return Result(
        program=way,
        cpu=cpu,
        resident=resident,
        sink_cpu=sink_cpu,
        samples=appended if way == NOWHERE else counted.samples,
        requests=counted.requests,
        request_bytes=counted.request_bytes,
    )


def _rows(results: Sequence[Result]) -> tuple[Row, ...]:
    """The lines of the table; what the process costs that delivers nowhere is left out of what delivery costs."""
    nowhere = [one for one in results if one.program == NOWHERE]
    base_cpu = sum(one.cpu for one in nowhere) / len(nowhere) if nowhere else 0.0
    base_memory = sum(one.resident for one in nowhere) / len(nowhere) if nowhere else 0.0

    def delivered(figure: Callable[[Result], float]) -> Callable[[Result], float | None]:
        return lambda run: figure(run) if run.requests else None

    return (
        ("CPU of delivery per million samples", "s", delivered(lambda run: (run.cpu - base_cpu) / run.samples * 1e6)),
        ("memory of delivery", "MB", delivered(lambda run: (run.resident - base_memory) / MB)),
        ("bytes per sample", "", delivered(lambda run: run.request_bytes / run.samples)),
        ("samples per request", "", delivered(lambda run: run.samples / run.requests)),
        ("samples", "M", lambda run: run.samples / 1e6),
        ("CPU of the process", "s", lambda run: run.cpu),
        ("resident memory", "MB", lambda run: run.resident / MB),
        ("sink's CPU", "s", delivered(lambda run: run.sink_cpu)),
    )


def _table(results: Sequence[Result], options: argparse.Namespace) -> Table:
    rows = _rows(results)
    found, ways = medians(results, rows), list(dict.fromkeys(one.program for one in results))
    title = f"Delivering {options.targets} targets with {options.samples} samples every second"
    table = Table(title=title, title_justify="left")
    table.add_column("", no_wrap=True)
    for way in ways:
        table.add_column(way, justify="right")
    for title, unit, _ in rows:
        if title in found:
            table.add_row(title, *(number(found[title].get(way), f" {unit}") for way in ways))
    return table


async def measure(options: argparse.Namespace, console: Console) -> None:
    """Run every way, print the table, write the file."""
    facts: dict[str, Any] = machine_facts([PROGRAMS[OURS]])
    results = []
    with tempfile.TemporaryDirectory(prefix="promscout-bench-") as directory:
        for run in range(options.runs):
            for way in (NOWHERE, *(one for one in options.only if one != NOWHERE)):
                console.print(f"run {run + 1} of {options.runs}: {way}")
                results.append(await _run(options, way, Path(directory) / f"{way}-{run}"))
    console.print(_table(results, options))
    rows = _rows(results)
    chosen = {name: getattr(options, name) for name in ("targets", "samples", "seconds", "runs")}
    units = {title: unit for title, unit, _ in rows}
    write_document(
        options.output or RESULTS,
        {"machine": facts, "options": chosen, "units": units, "medians": medians(results, rows), "runs": results},
    )


def main() -> int:
    """Run the benchmark; the exit code."""
    parser = argparse.ArgumentParser(prog="make bench-delivery", description=__doc__)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1000, help="of each target")
    parser.add_argument("--seconds", type=float, default=20.0, help="of the window")
    parser.add_argument("--runs", type=int, default=1, help="of each way; the table has medians")
    parser.add_argument("--only", type=names(tuple(WAYS)), default=tuple(WAYS), metavar="WAY,…", help=", ".join(WAYS))
    parser.add_argument("--output", type=Path, help="the JSON file")
    return execute(partial(measure, parser.parse_args()), [])


if __name__ == "__main__":
    sys.exit(main())
