"""Measures the web server: pages and API with many targets, targets served to other servers, slow clients.

What the figures mean: docs/performance.md. Everything runs on loopback and ends with this program.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import scrape_load
import scrape_sink
import web_config
from command import execute, names
from processes import BenchError, ChildProcess, free_port
from programs import CHECKOUT, PROGRAMS, Program
from report import MB, OURS, Row, as_table, machine_facts, write_json
from rich.console import Console
from talk import Helper
from web_requests import Client, client, slow_clients

RESULTS: Final = CHECKOUT / "benchmarks/results/web.json"
PARTS: Final = ("pages", "served", "slow")
START_LIMIT: Final = 120.0  # seconds until a program has its targets
ADDRESSES: Final = 50
SLOW_SAMPLES: Final = 500

_LATENESS: Final = re.compile(r'^promscout_target_scrape_lateness_seconds_bucket\{le="([^"]+)"\} (\S+)$', re.MULTILINE)


class Result(msgspec.Struct):
    """One program: figure → its value."""

    program: str
    figures: dict[str, float | None] = {}


class Line(msgspec.Struct, frozen=True):
    """A line of the table, and what it shall be at most."""

    figure: str
    title: str
    unit: str
    goal: float | None = None

    def row(self) -> Row[Result]:
        """As the report wants it."""
        title = self.title if self.goal is None else f"{self.title} (≤ {self.goal:g})"
        return title, self.unit, lambda run: run.figures.get(self.figure)


PAGES: Final = {
    "overview": ("/", "overview"),
    "targets": ("/targets", "targets page"),
    "targets_searched": ("/targets?q=checkout-3%20team-7", "  searched"),
    "targets_last": ("/targets?page=9999", "  the last page"),
    "targets_dropped": ("/targets?health=dropped", "  dropped ones"),
    "discovery": ("/discovery", "discovery page"),
    "api_page": ("/api/v1/targets?limit=100", "API, a page of 100 targets"),
    "api_match": ("/api/v1/targets?match=%7Bapp%3D%22checkout-3%22%7D&limit=100", "API, a page of those that match"),
}
"""Figure → path and title."""

LINES: Final = (
    *(Line(f"{figure}_p95", f"{title}, p95", "ms", 150) for figure, (_, title) in PAGES.items()),
    Line("api_all", "API, all targets, p50", "ms"),
    Line("api_all_bytes", "  bytes of all targets", "MB"),
    Line("html_all", "vmagent's page of all targets, p50", "ms"),
    Line("served_first", "targets served, first answer", "ms", 500),
    Line("served", "  p95 after it", "ms"),
    Line("served_changed", "  after one target changed", "ms"),
    Line("served_same", "  304 when nothing changed, p95", "ms", 5),
    Line("served_shard", "  first answer for a shard of 4", "ms", 500),
    Line("served_bytes", "  bytes of all of them", "MB"),
    Line("late_before", "scrapes later than 50 ms, without slow clients", "%"),
    Line("late_slow", "  with slow clients", "%"),
    Line("mean_before", "mean lateness without slow clients", "ms"),
    Line("mean_slow", "mean lateness with slow clients", "ms"),
    Line("resident_before", "resident memory, without slow clients", "MB"),
    Line("resident_slow", "resident memory with them, highest", "MB"),
)


@asynccontextmanager
async def running(program: Program, config: Path, targets: int) -> AsyncIterator[tuple[ChildProcess, Client, int]]:
    """A program that has found its targets and delivers to a sink, a client of it, and its port.

    Raises:
        BenchError: it ended, or did not find them in time.
    """
    port, sink = free_port(), free_port()
    url = f"http://127.0.0.1:{sink}/api/v1/write"
    arguments = [*program.arguments(config, port), *web_config.deliver(program, config, url)]
    async with (
        Helper("scrape_sink.py", [f"--port={sink}"], config.parent / "sink", scrape_sink.Ready),
        ChildProcess(arguments, config.parent) as process,
        client(port) as asking,
    ):
        until = time.monotonic() + START_LIMIT
        while time.monotonic() < until and process.ended is None:
            try:
                metrics = await asking.text("/metrics")
            except OSError:
                metrics = ""
            if sum(program.target_counts(metrics).values()) >= targets:
                yield process, asking, port
                return
            await asyncio.sleep(0.2)
        raise BenchError(f"{program.name} did not find its targets:\n{process.log_tail()}")


async def pages(program: Program, directory: Path, options: argparse.Namespace) -> dict[str, float | None]:
    """Pages and API, while every target is scraped twice a minute."""
    found: dict[str, float | None] = {}
    arguments = [f"--targets={ADDRESSES}", "--samples=20", "--versions=4"]
    async with Helper("scrape_load.py", arguments, directory / "load", scrape_load.Ready) as load:
        config = web_config.write_pages(directory, load.ready.addresses, options.targets)
        async with running(program, config, options.targets) as (_, asking, _):
            await asyncio.sleep(options.settle)
            if program.name == OURS:
                for figure, (path, _) in PAGES.items():
                    await asking.get(path)  # templates are read for the first page
                    found[f"{figure}_p95"] = (await asking.repeat(path, options.requests)).at(0.95)
            if program.name == "vmagent":
                found["html_all"] = (await asking.repeat("/targets", 10)).at(0.5)
            everything = await asking.repeat("/api/v1/targets", 10)
            found["api_all"] = everything.at(0.5)
            found["api_all_bytes"] = everything.bytes / MB
    return found


async def served(program: Program, directory: Path, options: argparse.Namespace) -> dict[str, float | None]:
    """Targets for other servers."""
    if program.name != OURS:
        return {}
    config = web_config.write_served(directory, options.served)
    path = f"/sd/http/{web_config.SERVED}"
    async with running(program, config, options.served) as (_, asking, _):
        first = await asking.get(path)
        again = await asking.repeat(path, options.requests)
        tag = await asking.header(path, "ETag")
        same = await asking.repeat(path, options.requests, {"If-None-Match": tag}, 304)
        shard = await asking.get(f"{path}?shard=1&of=4")
        web_config.change_served(directory, options.served, 1)
        changed = await _after_change(asking, path, tag)
    return {
        "served_first": first.at(1),
        "served": again.at(0.95),
        "served_changed": changed * 1000,
        "served_same": same.at(0.95),
        "served_shard": shard.at(1),
        "served_bytes": again.bytes / MB,
    }


async def _after_change(asking: Client, path: str, tag: str) -> float:
    """Seconds for the first answer that is another."""
    for _ in range(round(START_LIMIT * 10)):
        started = time.perf_counter()
        if await asking.header(path, "ETag") != tag:
            return time.perf_counter() - started
        await asyncio.sleep(0.1)
    raise BenchError("a changed target is not served")


async def slow(program: Program, directory: Path, options: argparse.Namespace) -> dict[str, float | None]:
    """Scraping each second beside clients that hardly read."""
    if program.name != OURS:
        return {}
    found: dict[str, float | None] = {}
    arguments = [f"--targets={options.scraped}", f"--samples={SLOW_SAMPLES}", "--versions=90"]
    async with Helper("scrape_load.py", arguments, directory / "load", scrape_load.Ready) as load:
        config = web_config.write_scraped(directory, load.ready.addresses, options.targets)
        async with running(program, config, options.scraped + options.targets) as (process, asking, port):
            await asyncio.sleep(10)  # first scrapes cost more
            found["late_before"], found["mean_before"] = await _lateness(asking, options.seconds)
            found["resident_before"] = process.memory()[0] / MB
            async with slow_clients(port, options.clients, "/api/v1/targets"):
                found["late_slow"], found["mean_slow"] = await _lateness(asking, options.seconds)
                found["resident_slow"] = process.memory()[1] / MB
    return found


async def _lateness(asking: Client, seconds: float) -> tuple[float, float]:
    """Of the scrapes of the next seconds: how many per cent came later than 50 ms, and the mean in milliseconds."""
    before = await asking.text("/metrics")
    await asyncio.sleep(seconds)
    after = await asking.text("/metrics")
    scrapes = _value(after, "count") - _value(before, "count")
    on_time = _on_time(after) - _on_time(before)
    total = _value(after, "sum") - _value(before, "sum")
    return 100 * (1 - on_time / scrapes), 1000 * total / scrapes


def _on_time(metrics: str) -> float:
    return {float(le): float(value) for le, value in _LATENESS.findall(metrics)}[0.05]


def _value(metrics: str, suffix: str) -> float:
    found = re.search(rf"^promscout_target_scrape_lateness_seconds_{suffix} (\S+)$", metrics, re.MULTILINE)
    if found is None:
        raise BenchError("the program does not tell how late its scrapes are")
    return float(found[1])


MEASURES: Final = {"pages": pages, "served": served, "slow": slow}


async def _main(options: argparse.Namespace, console: Console) -> None:
    facts = machine_facts([PROGRAMS[name] for name in options.only])
    results = []
    with tempfile.TemporaryDirectory(prefix="promscout-bench-") as directory:
        for name in options.only:
            result = Result(name)
            for part in options.parts:
                if part == "pages" or name == OURS:
                    console.print(f"{name}: {part}")
                    place = Path(directory) / name / part
                    place.mkdir(parents=True)
                    result.figures |= await MEASURES[part](PROGRAMS[name], place, options)
            results.append(result)
    rows = [line.row() for line in LINES]
    console.print(as_table(results, f"{options.targets:,} targets, {options.served:,} served", rows))
    chosen = {name: getattr(options, name) for name in ("targets", "served", "scraped", "clients", "requests")}
    write_json(options.output or RESULTS, facts, chosen, results, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=names(tuple(PROGRAMS)), default=tuple(PROGRAMS), help="programs, by commas")
    parser.add_argument("--parts", type=names(PARTS), default=PARTS, help="what to measure, by commas")
    parser.add_argument("--targets", type=int, default=10_000, help="of the pages and the API")
    parser.add_argument("--served", type=int, default=50_000, help="targets that are served")
    parser.add_argument("--scraped", type=int, default=100, help="targets beside slow clients, each second")
    parser.add_argument("--clients", type=int, default=200, help="slow ones")
    parser.add_argument("--requests", type=int, default=60, help="for each page")
    parser.add_argument("--seconds", type=float, default=20, help="of scraping, without and with slow clients")
    parser.add_argument("--settle", type=float, default=32, help="seconds before pages are asked for")
    parser.add_argument("--output", type=Path, help="file for the figures (default: benchmarks/results/web.json)")
    options = parser.parse_args(arguments)
    missing = [name for name in options.only if not PROGRAMS[name].executable.exists()]
    return execute(partial(_main, options), missing)


if __name__ == "__main__":
    sys.exit(main())
