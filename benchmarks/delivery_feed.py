"""The write side alone: a process that appends what scrapes would, and delivers it by remote write, or nowhere.

It has the scrape benchmark's series at hand as tables, and for each scrape takes their values, changes half of them,
and appends them and the five samples of a report, on the grid on which targets are scraped. So what it costs beyond a
run that delivers nowhere are queues, encoding, compressing and sending.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from pathlib import Path
from typing import Final, Protocol

import msgspec
import numpy as np
import uvloop
from prometheus_client import CollectorRegistry
from scrape_bodies import series_labels
from talk import say, standard_input

from promscout.httpclient.secret import URL
from promscout.model.clock import SystemClock
from promscout.model.series import SampleBatch, SeriesTable
from promscout.scrape.report import METRICS
from promscout.write.buffers import Buffers
from promscout.write.config import ProtobufMessage, QueueConfig, RemoteWriteConfig
from promscout.write.metrics import RemoteWriteMetrics
from promscout.write.remote import RemoteWriteManager
from promscout.write.spool import BufferLimits

REPORTS: Final = len(METRICS)
"""Samples of a report."""

GRID: Final = 0.25
"""Seconds between two moments at which targets are scraped (decision 0011)."""


class Ready(msgspec.Struct, frozen=True):
    """The series are made, and appending begins."""


class Appender(Protocol):
    """What takes batches."""

    def append(self, batch: SampleBatch) -> None:
        """Take one."""


class Nowhere:
    """Takes batches, and keeps none."""

    def append(self, batch: SampleBatch) -> None:
        """Take one."""


class Source:
    """One target's series and their values."""

    def __init__(self, number: int, samples: int) -> None:
        place = {"instance": f"127.20.{number // 250}.{number % 250 + 1}:{20_000 + number}", "job": "bench"}
        exposed = (tuple(sorted((labels | place).items())) for labels in series_labels(samples))
        self._series = SeriesTable.from_label_sets(number, exposed)
        self._report = SeriesTable.from_label_sets(
            number, (tuple(sorted({"__name__": name, **place}.items())) for name in METRICS)
        )
        self._chance = np.random.default_rng(number)
        self._values = self._chance.integers(1_000, 10**8, samples).astype(np.float64)

    def scrape(self, appender: Appender) -> None:
        """Append the values of this moment."""
        now, count = time.time_ns() // 1_000_000, len(self._values)
        self._values = self._values.copy()
        self._values[self._chance.integers(2) :: 2] += 17
        appender.append(SampleBatch(self._series, self._values, now))
        report = np.array([1, 0.005, count, count, 0], dtype=np.float64)
        appender.append(SampleBatch(self._report, report, now))


async def _feed(sources: list[Source], appender: Appender, interval: float) -> None:
    """Scrape every source once an interval, until cancelled: as many at each moment of the grid."""
    loop = asyncio.get_running_loop()
    slots = max(1, round(interval / GRID))
    due = loop.time()
    while True:
        for slot in range(slots):
            due += interval / slots
            await asyncio.sleep(max(0.0, due - loop.time()))
            for source in sources[slot::slots]:
                loop.call_soon(source.scrape, appender)


async def _run(options: argparse.Namespace) -> None:
    sources = [Source(number, options.samples) for number in range(options.targets)]
    gc.collect()
    gc.freeze()
    commands = await standard_input()
    limits = BufferLimits(flush_interval=options.flush_interval)
    buffers = Buffers(Path("data"), limits) if options.flush_interval else None
    manager = RemoteWriteManager(RemoteWriteMetrics(CollectorRegistry()), SystemClock(), buffers=buffers)
    async with asyncio.TaskGroup() as group:
        if options.receiver:
            most = max(options.min_shards, QueueConfig().max_shards)
            config = RemoteWriteConfig(
                url=URL(options.receiver),
                protobuf_message=ProtobufMessage.parse(options.message),
                queue_config=QueueConfig(min_shards=options.min_shards, max_shards=most),
            )
            manager.apply_config([config], {})
        delivering = group.create_task(manager.run())
        feeding = group.create_task(_feed(sources, manager if options.receiver else Nowhere(), options.interval))
        say(Ready())
        await commands.readline()  # its end is this process's
        feeding.cancel()
        delivering.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=200)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=1.0)
    parser.add_argument("--receiver", default="", help="its URL; empty: nowhere")
    parser.add_argument("--message", default="", help="protobuf_message of remote_write")
    parser.add_argument("--min-shards", type=int, default=QueueConfig().min_shards)
    parser.add_argument("--flush-interval", type=float, default=0.0, help="of a buffer beside it; 0: there is none")
    gc.set_threshold(100_000, 50, 100)  # as promscout run has it
    uvloop.run(_run(parser.parse_args()))
