"""Measures one program that scrapes the benchmark's targets and delivers to its sink."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec
import scrape_load
import scrape_sink
from processes import BenchError, ChildProcess, free_port
from programs import Program
from report import percentile
from scrape_load import Seen
from scrape_scenarios import CHURN_FILES, DRAIN, Scenario, change_targets, write_config
from scrape_sink import Counted
from talk import Helper

CHURN_EVERY: Final = 1.0  # seconds from one changed file to the next


class Result(msgspec.Struct, kw_only=True):
    """One run of one program. Times and CPU in seconds, memory in bytes; of the window, unless said otherwise."""

    program: str
    cpu: float
    resident: int
    peak: int
    load_cpu: float
    sink_cpu: float
    samples: int
    requests: int
    request_bytes: int
    expected: int
    """Scrapes that the interval gives to the targets that stay."""
    missed: int
    lost: int
    """Exposed samples of good scrapes that never arrived."""
    deviation_p50: float | None
    deviation_p99: float | None
    deviation_most: float | None
    duration_p50: float | None
    """Of a scrape, as the program reports it."""
    duration_most: float | None


class Stand:
    """A scenario's targets and the sink, as an async context manager; all programs meet the same."""

    def __init__(self, scenario: Scenario, directory: Path) -> None:
        self.scenario = scenario
        shape = {"targets": scenario.targets, "samples": scenario.samples, "versions": scenario.versions}
        arguments = [f"--{name}={value}" for name, value in shape.items()]
        self.load = Helper("scrape_load.py", arguments, directory / "load", scrape_load.Ready)
        self.sink = Helper("scrape_sink.py", [], directory / "sink", scrape_sink.Ready)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.load)
            await stack.enter_async_context(self.sink)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def run(self, program: Program, directory: Path) -> Result:
        """Start the program in ``directory``, measure, end it.

        Raises:
            BenchError: the program ended, or nothing arrived from it.
        """
        scenario, addresses = self.scenario, self.load.ready.addresses
        await self.load.ask(scrape_load.Reset(), Seen)
        await self.sink.ask(scrape_sink.Reset(), Counted)
        url = f"http://127.0.0.1:{self.sink.ready.port}/api/v1/write"
        config = write_config(directory, scenario, program, addresses, url)
        arguments = [
            *program.arguments(config, free_port()),
            *program.delivery(url),
            *scenario.flags.get(program.name, []),
        ]
        async with ChildProcess(arguments, directory) as process:
            churn = asyncio.create_task(self._churn(directory, addresses))
            try:
                window = await _Window.measure(scenario, process, self)
            finally:
                churn.cancel()
            if process.ended is not None:
                raise BenchError(f"{program.name} ended with {process.ended}:\n{process.log_tail()}")
            tail = process.log_tail()
        result = await self._result(program, window)
        if not result.samples:
            raise BenchError(f"nothing arrived from {program.name}:\n{tail}")
        return result

    async def _churn(self, directory: Path, addresses: Sequence[str]) -> None:
        if self.scenario.churn:
            for revision in count(CHURN_FILES):
                await asyncio.sleep(CHURN_EVERY)
                change_targets(directory, self.scenario, addresses, revision)

    async def _result(self, program: Program, window: _Window) -> Result:
        """What load and sink have seen; they look when the program has ended."""
        scenario = self.scenario
        look = scrape_load.Look(scenario.steady, scenario.interval, window.since, window.until)
        seen = await self.load.ask(look, Seen)
        first = round(window.started_at * 1000)
        wanted = scrape_sink.Count(
            self.load.ready.addresses[: scenario.steady],
            scenario.interval * 1000,
            window.since,
            window.until,
            first,
            first + round(scenario.seconds * 1000),
        )
        counted = await self.sink.ask(wanted, Counted)
        return Result(
            program=program.name,
            cpu=window.cpu,
            resident=window.resident,
            peak=window.peak,
            load_cpu=window.load_cpu,
            sink_cpu=window.sink_cpu,
            samples=counted.samples,
            requests=counted.requests,
            request_bytes=counted.request_bytes,
            expected=scenario.steady * int(scenario.seconds / scenario.interval),
            missed=counted.missed,
            lost=counted.scrapes * scenario.samples - counted.samples_of_scrapes,
            deviation_p50=percentile(seen.deviations, 0.5),
            deviation_p99=percentile(seen.deviations, 0.99),
            deviation_most=percentile(seen.deviations, 1.0),
            duration_p50=percentile(counted.durations, 0.5),
            duration_most=percentile(counted.durations, 1.0),
        )


class _Window(msgspec.Struct, kw_only=True):
    """The measured time: ``since`` to ``until`` of the monotonic clock, from ``started_at`` of the wall clock."""

    since: float
    until: float
    started_at: float
    cpu: float
    load_cpu: float
    sink_cpu: float
    resident: int
    peak: int

    @classmethod
    async def measure(cls, scenario: Scenario, process: ChildProcess, stand: Stand) -> Self:
        """Wait for the window, wait for its end, and until what it delivers is there."""
        watched = (process, stand.load.process, stand.sink.process)
        await asyncio.sleep(scenario.warm_up)
        since, started_at = time.monotonic(), time.time()
        before = [one.cpu() for one in watched]
        await asyncio.sleep(scenario.seconds)
        until = time.monotonic()
        cpu, load, sink = (one.cpu() - earlier for one, earlier in zip(watched, before, strict=True))
        resident, peak = process.memory()
        await asyncio.sleep(DRAIN)
        return cls(
            since=since, until=until, started_at=started_at, cpu=cpu, load_cpu=load, sink_cpu=sink,
            resident=resident, peak=peak,
        )  # fmt: skip
