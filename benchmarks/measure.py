"""Measures one program against the simulated cluster, from its start to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import aiohttp
import msgspec
import yaml
from cluster import LATENCY_PODS, REVISION, Churn, Command, Done, Ready, Relabel
from processes import BenchError, ChildProcess, free_port
from programs import CHECKOUT, Program

POLL: Final = 0.1  # seconds between two looks at /metrics while a program starts
LATENCY_POLL: Final = 0.05  # seconds between two looks at the ten latency targets
SETTLING: Final = 10.0  # seconds from all targets active to the look at CPU and memory
DRAIN: Final = 6.0  # seconds that the figures for churn go on after it: Prometheus works every five
START_LIMIT: Final = 180.0
SEEN_LIMIT: Final = 90.0  # vmagent looks for changes every 30 s
CHURN_RATE: Final = 100.0
_ANSWER_LIMIT: Final = 10.0
_EXTRA: Final = 60.0  # seconds that the cluster may take for a command beyond what was asked for

_API_SERVER: Final = "http://127.0.0.1:8001"
_EXPORTER: Final = "127.0.0.1:9100"


class Result(msgspec.Struct, kw_only=True):
    """One run of one program. Times and CPU in seconds, memory in bytes; latencies are sorted."""

    program: str
    start_seconds: float
    start_cpu: float
    settled_cpu: float
    resident: int
    peak: int
    churn_cpu: float
    churned: int
    server_start_cpu: float
    latency_quiet: list[float] = []
    latency_busy: list[float] = []


@dataclass(frozen=True)
class Plan:
    """What to measure: jobs of the configuration, seconds of churn, timed events per phase (0: none)."""

    jobs: tuple[str, ...]
    churn_seconds: float
    events: int


class Cluster:
    """The simulated cluster's process, as an async context manager."""

    def __init__(self, pods: int, directory: Path, python: str) -> None:
        script = str(Path(__file__).with_name("cluster.py"))
        self._process = ChildProcess([python, script, f"--pods={pods}"], directory, talks=True)
        self._waiting: dict[int, asyncio.Future[Done]] = {}
        self._commands = 0

    async def __aenter__(self) -> Self:
        await self._process.__aenter__()
        try:
            async with asyncio.timeout(START_LIMIT):
                line = await self._process.receive()
            if not line:
                raise BenchError(f"the simulated cluster did not start:\n{self._process.log_tail()}")
            self.ready = msgspec.json.decode(line, type=Ready)
            await self._warm_up()
            self._reading = asyncio.create_task(self._read())
        except BaseException:
            await self._process.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await self._process.__aexit__(kind, error, trace)

    def cpu(self) -> float:
        """CPU seconds that it took so far."""
        return self._process.cpu()

    async def carry_out(self, what: Churn | Relabel) -> Done:
        """Have something done and wait for it."""
        self._commands += 1
        longest = what.seconds if isinstance(what, Churn) else what.count * what.most
        done: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting[self._commands] = done
        await self._process.send(msgspec.json.encode(Command(self._commands, what)))
        async with asyncio.timeout(longest + _EXTRA):
            return await done

    async def _read(self) -> None:
        while line := await self._process.receive():
            done = msgspec.json.decode(line, type=Done)
            self._waiting.pop(done.id).set_result(done)
        for waiting in self._waiting.values():
            waiting.set_exception(BenchError(f"the simulated cluster ended:\n{self._process.log_tail()}"))

    async def _warm_up(self) -> None:
        """One list of all pods, so that the first program meets the same server as the others."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.ready.url}/api/v1/pods") as response,
        ):
            async for _ in response.content.iter_chunked(1 << 20):
                pass


def write_config(directory: Path, program: Program, ready: Ready, jobs: tuple[str, ...], sink: str) -> Path:
    """The benchmark's configuration with its placeholders filled in, in the new ``directory``."""
    directory.mkdir(parents=True)
    text = (CHECKOUT / "benchmarks/discovery.yml").read_text()
    config = yaml.safe_load(text.replace(_API_SERVER, ready.url).replace(_EXPORTER, ready.exporter))
    config["scrape_configs"] = [one for one in config["scrape_configs"] if one["job_name"] in jobs]
    program.configure(config, sink)
    path = directory / "prometheus.yml"
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


class Measurement:
    """One program under measurement."""

    def __init__(self, program: Program, cluster: Cluster, plan: Plan, session: aiohttp.ClientSession) -> None:
        self._program = program
        self._cluster = cluster
        self._plan = plan
        self._session = session

    async def run(self, directory: Path, seed: int) -> Result:
        """Start the program in ``directory``, measure, end it. ``seed`` chooses the pods that change.

        Raises:
            BenchError: the program ended, or did not find what is there.
        """
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        ready = self._cluster.ready
        sink = f"http://{ready.exporter}/write"
        config = write_config(directory, self._program, ready, self._plan.jobs, sink)
        arguments = [*self._program.arguments(config, port), *self._program.delivery(sink)]
        server_before = self._cluster.cpu()
        async with ChildProcess(arguments, directory) as process:
            self._process = process
            seconds, cpu = await self._all_active()
            await asyncio.sleep(SETTLING)
            settled, (resident, peak) = process.cpu(), process.memory()
            server = self._cluster.cpu() - server_before
            churned = await self._churn(seed)
            result = Result(
                program=self._program.name,
                start_seconds=seconds,
                start_cpu=cpu,
                settled_cpu=settled,
                resident=resident,
                peak=peak,
                churn_cpu=process.cpu() - settled,
                churned=churned,
                server_start_cpu=server,
            )
            if self._plan.events:
                result.latency_quiet = await self._latency(1.0, 2.0, seed)
                result.latency_busy = await self._latency_under_churn(seed)
        return result

    async def _all_active(self) -> tuple[float, float]:
        """Wall and CPU seconds from the program's start until every job has its targets."""
        ready, process = self._cluster.ready.targets, self._process
        wanted = {job: ready[job] for job in self._plan.jobs}
        found: dict[str, int] = {}
        due = process.started
        while time.monotonic() < process.started + START_LIMIT:
            if process.ended is not None:
                raise BenchError(f"{self._program.name} ended with {process.ended}:\n{process.log_tail()}")
            with suppress(aiohttp.ClientError, TimeoutError):  # while it does not listen yet
                found = self._program.target_counts((await self._get("/metrics")).decode())
            if all(found.get(job, 0) == count for job, count in wanted.items()):
                return time.monotonic() - process.started, process.cpu()
            due += POLL
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        raise BenchError(f"{self._program.name} has {found} after {START_LIMIT:g} s, expected {wanted}")

    async def _churn(self, seed: int) -> int:
        done = await self._cluster.carry_out(Churn(CHURN_RATE, self._plan.churn_seconds, seed))
        await asyncio.sleep(DRAIN)
        return done.made

    async def _latency_under_churn(self, seed: int) -> list[float]:
        least, most = 0.3, 0.7
        seconds = self._plan.events * (least + most) / 2
        churn = asyncio.create_task(self._cluster.carry_out(Churn(CHURN_RATE, seconds, seed + 1)))
        latencies = await self._latency(least, most, seed + 1)
        await churn
        return latencies

    async def _latency(self, least: float, most: float, seed: int) -> list[float]:
        """Seconds from each change of a label to the first look that finds it, or a later one of its pod."""
        changing = asyncio.create_task(self._cluster.carry_out(Relabel(self._plan.events, least, most, seed)))
        looks: list[tuple[float, dict[int, int]]] = []
        try:
            while not changing.done():
                looks.append(await self._look())
            times = (await changing).times
            last = set(sorted(times)[-LATENCY_PODS:])
            limit = time.monotonic() + SEEN_LIMIT
            while not last <= set(looks[-1][1].values()):
                if time.monotonic() > limit:
                    raise BenchError(f"{self._program.name} has not shown all changes after {SEEN_LIMIT:g} s")
                looks.append(await self._look())
        finally:
            changing.cancel()
        return sorted(_first_seen(looks, revision) - when for revision, when in times.items())

    async def _look(self) -> tuple[float, dict[int, int]]:
        """When it was asked, and each latency pod's revision, under the pod's number."""
        started = time.monotonic()
        body = await self._get("/api/v1/targets?state=active&scrapePool=latency")
        answered = time.monotonic()
        targets = msgspec.json.decode(body)["data"]["activeTargets"]
        found = {}
        for target in targets:
            labels: Mapping[str, str] = target["labels"]
            found[int(labels["kubernetes_pod_name"].rpartition("-")[2])] = int(labels[REVISION])
        await asyncio.sleep(max(0.0, started + LATENCY_POLL - time.monotonic()))
        return answered, found

    async def _get(self, path: str) -> bytes:
        timeout = aiohttp.ClientTimeout(total=_ANSWER_LIMIT)
        async with self._session.get(self._url + path, timeout=timeout) as response:
            return await response.read()


def _first_seen(looks: list[tuple[float, dict[int, int]]], revision: int) -> float:
    """When a pod first showed ``revision``, or a later one: revision modulo the number of pods is the pod."""
    for when, found in looks:
        if found.get(revision % LATENCY_PODS, 0) >= revision:
            return when
    raise BenchError(f"revision {revision} was never seen")
