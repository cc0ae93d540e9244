"""What scrape loops share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from promscout.exposition.negotiation import Format
from promscout.exposition.parse import parse
from promscout.exposition.samples import Exposition
from promscout.model.clock import Clock
from promscout.relabel.engine import Relabeler
from promscout.scrape.captures import Captures
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.failure_log import FailureLog
from promscout.scrape.health import HealthTally
from promscout.scrape.metrics import ScrapeMetrics
from promscout.scrape.target_limit import TargetLimit
from promscout.scrape.transport import Transport
from promscout.write.appender import Appender


@dataclass(frozen=True, slots=True)
class ScrapeContext:
    """What all loops share. ``transport`` makes what a pool fetches with; ``failures`` logs scrapes that failed.

    ``captures`` keeps bodies that somebody asked to see.
    """

    appender: Appender
    clock: Clock
    metrics: ScrapeMetrics
    transport: Callable[[ScrapeConfig], Transport] = Transport
    failures: FailureLog = field(default_factory=FailureLog)
    captures: Captures = field(default_factory=Captures)


class Readers:
    """How the bodies of one job are read: for each format one function, the same object at each call."""

    __slots__ = ("_by_format",)

    def __init__(self, config: ScrapeConfig) -> None:
        self._by_format: Final = {
            body_format: partial(
                parse,
                body_format=body_format,
                keep_native=bool(config.scrape_native_histograms),
                classic_too=bool(config.always_scrape_classic_histograms),
                convert_classic=bool(config.convert_classic_histograms_to_nhcb),
            )
            for body_format in Format
        }

    def of(self, body_format: Format) -> Callable[[bytes], Exposition]:
        """What reads bodies of that format."""
        return self._by_format[body_format]


@dataclass(frozen=True, slots=True)
class ScrapeOptions:
    """What the loops of one pool share until the next reload.

    Another ``metric_relabeler`` object says that samples may become other series than before, for whatever reason.
    While ``target_limit`` has an error, scrapes fail with it and ask no target. ``health`` counts the loops.
    """

    config: ScrapeConfig
    transport: Transport
    metric_relabeler: Relabeler
    readers: Readers
    target_limit: TargetLimit = field(default_factory=TargetLimit)
    health: HealthTally = field(default_factory=HealthTally)
