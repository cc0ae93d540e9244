"""What a scrape loop needs around it, without network."""

from __future__ import annotations

import asyncio

import numpy as np
from prometheus_client import CollectorRegistry

from promscout.model.duration import Duration
from promscout.model.series import STALE_NAN_BITS
from promscout.relabel.engine import Relabeler
from promscout.scrape.config import DEFAULT_PROTOCOLS, ScrapeConfig
from promscout.scrape.metrics import ScrapeMetrics
from promscout.scrape.options import Readers, ScrapeContext, ScrapeOptions
from promscout.scrape.transport import Fetched, FetchFailed

TEXT = "text/plain; version=0.0.4"
STALE = "stale"


def config(**options):
    """A complete configuration, as the loader hands it out."""
    defaults = {
        "job_name": "j",
        "scrape_interval": Duration(10),
        "scrape_timeout": Duration(5),
        "scrape_protocols": DEFAULT_PROTOCOLS,
    }
    return ScrapeConfig(**(defaults | options))


class Recorder:
    """An appender that keeps what comes: ``samples`` is a list of (labels, time, value), in order."""

    def __init__(self):
        self.batches = []

    def append(self, batch):
        self.batches.append(batch)

    @property
    def samples(self):
        found = []
        for batch in self.batches:
            stale = batch.values.view(np.uint64) == STALE_NAN_BITS
            times = np.broadcast_to(batch.timestamps, len(batch))
            for labels, value, is_stale, at in zip(batch.series, batch.values, stale, times, strict=True):
                found.append((dict(labels), int(at), STALE if is_stale else float(value)))
        return found

    def of(self, name, **labels):
        """The (time, value) pairs of one series name, also by labels."""
        return [
            (at, value)
            for found, at, value in self.samples
            if found["__name__"] == name and labels.items() <= found.items()
        ]

    def names(self, value):
        """The names of all series that have a sample of this value."""
        return sorted({labels["__name__"] for labels, _, found in self.samples if found == value})


class FakeTransport:
    """Answers with ``bodies`` one after the other, the last for ever: text, a FetchFailed, or seconds to hang."""

    def __init__(self, *bodies):
        self.bodies = list(bodies)
        self.fetched = []
        self.retired = False

    async def run(self):
        await asyncio.Event().wait()

    def retire(self):
        self.retired = True

    async def fetch(self, target, limit):
        self.fetched.append((asyncio.get_running_loop().time(), target))
        body = self.bodies.pop(0) if len(self.bodies) > 1 else self.bodies[0]
        if isinstance(body, (int, float)):
            try:
                async with asyncio.timeout(limit):
                    await asyncio.sleep(body)
            except TimeoutError:
                return FetchFailed("timed out")
            body = "a 1\n"
        return body if isinstance(body, FetchFailed) else Fetched(body.encode(), TEXT)


def options(transport, **chosen):
    chosen = config(**chosen)
    return ScrapeOptions(chosen, transport, Relabeler(chosen.metric_relabel_configs), Readers(chosen))


def context(recorder, clock, transport=None):
    return ScrapeContext(recorder, clock, ScrapeMetrics(CollectorRegistry()), transport)
