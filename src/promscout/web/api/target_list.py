"""The answer of ``/api/v1/targets``, as pieces of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Annotated, Final, Literal, TypeAlias, TypeVar

import msgspec

from promscout.model import labels as names
from promscout.model.clock import rfc3339
from promscout.model.group import TargetGroup
from promscout.model.labels import label_set
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ActiveTarget, ScrapePool
from promscout.web.api.target_filter import TargetFilter, Window
from promscout.web.external import ExternalURL

T = TypeVar("T")

Health: TypeAlias = Literal["up", "down", "unknown"]
Time: TypeAlias = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339, in UTC."""

TARGETS_PER_PIECE: Final = 20  # half a millisecond of work, and 80 KB: what an answer that waits for its client holds
_NEVER: Final = "0001-01-01T00:00:00Z"  # Go's zero time


class ActiveTargetAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A target that is being scraped. Times before the first scrape are the year 1."""

    discovered_labels: dict[str, str]
    """Before relabelling."""
    labels: dict[str, str]
    scrape_pool: str
    scrape_url: str
    global_url: str
    """As it can be opened from another machine."""
    last_error: str
    last_scrape: Time
    last_scrape_duration: float
    """Seconds."""
    health: Health
    scrape_interval: str
    scrape_timeout: str
    last_scrape_samples: int
    last_scrape_size: int
    """Bytes, unpacked."""
    last_scrape_format: str
    next_scrape: Time


class DroppedTargetAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A target that relabelling dropped."""

    discovered_labels: dict[str, str]
    scrape_pool: str


class TargetsAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Targets in the order of pools, then as discovered.

    The counts are null where targets of their kind are not asked for. The totals are there where the request has a
    parameter that Prometheus does not know: how many targets match.
    """

    active_targets: list[ActiveTargetAnswer]
    dropped_targets: list[DroppedTargetAnswer]
    dropped_target_counts: dict[str, int] | None
    """By pool, whatever is asked for."""
    duplicate_target_counts: dict[str, int] | None
    """By pool: targets that are equal to another one."""
    active_targets_total: int | None = None
    dropped_targets_total: int | None = None


def encode_targets(scrape: ScrapeManager, external: ExternalURL, wanted: TargetFilter) -> Iterator[bytes]:
    """The whole answer, a ``TargetsAnswer``, in pieces of bounded size; one is empty where few targets match.

    Targets may come and go between two pieces: one that goes before its turn is left out.

    Source: prometheus v3.x web/api/v1/api.go targets, TargetDiscovery.
    """
    pools = [scrape.pools[job] for job in sorted(scrape.pools)]
    chosen = [pool for pool in pools if wanted.pool in ("", pool.config.job_name)]
    window = Window(wanted)
    yield b'{"status":"success","data":{"activeTargets":['
    yield from _joined(_active(chosen, external, wanted, window) if wanted.active else ())
    active_total = window.found
    yield b'],"droppedTargets":['
    yield from _joined(_dropped(chosen, wanted, window) if wanted.dropped else ())
    counts = {pool.config.job_name: pool.dropped_count for pool in pools} if wanted.dropped else None
    yield b'],"droppedTargetCounts":' + msgspec.json.encode(counts)
    duplicates = {pool.config.job_name: pool.duplicate_count for pool in pools} if wanted.active else None
    yield b',"duplicateTargetCounts":' + msgspec.json.encode(duplicates)
    if wanted.paged:
        yield b',"activeTargetsTotal":%d,"droppedTargetsTotal":%d' % (active_total, window.found - active_total)
    yield b"}}"


def _joined(batches: Iterable[list[msgspec.Struct]]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    separator = b""
    for batch in batches:
        piece = b",".join([encoder.encode(one) for one in batch])
        yield separator + piece if piece else b""
        separator = b"," if piece else separator


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while batch := list(islice(remaining, TARGETS_PER_PIECE)):
        yield batch


def _active(
    pools: Iterable[ScrapePool], external: ExternalURL, wanted: TargetFilter, window: Window
) -> Iterator[list[msgspec.Struct]]:
    for pool in pools:
        for batch in _batches(pool.snapshot()):
            if wanted.takes_all and not wanted.healths and window.is_past:
                window.found += sum(active.places > 0 for active in batch)
                yield []
                continue
            yield [
                _active_target(pool, active, external)
                for active in batch
                if active.places and wanted.accepts_active(active, health(active)) and window.takes()
            ]


def _active_target(pool: ScrapePool, active: ActiveTarget, external: ExternalURL) -> ActiveTargetAnswer:
    target, last, next_ms = active.loop.target, active.loop.last, active.loop.next_ms
    labels = dict(zip(target.names, target.values, strict=True))
    return ActiveTargetAnswer(
        discovered_labels=dict(pool.discovered_labels(active)),
        labels=dict(target.labels),
        scrape_pool=pool.config.job_name,
        scrape_url=target.url,
        global_url=external.globalize(target.url),
        last_error=last.error if last is not None else "",
        last_scrape=rfc3339(last.start_ms) if last is not None else _NEVER,
        last_scrape_duration=last.duration if last is not None else 0,
        health=health(active),
        scrape_interval=labels[names.SCRAPE_INTERVAL],
        scrape_timeout=labels[names.SCRAPE_TIMEOUT],
        last_scrape_samples=last.scraped if last is not None else 0,
        last_scrape_size=last.size if last is not None else 0,
        last_scrape_format=last.format if last is not None else "",
        next_scrape=rfc3339(next_ms) if next_ms is not None else _NEVER,
    )


def _dropped(pools: Iterable[ScrapePool], wanted: TargetFilter, window: Window) -> Iterator[list[msgspec.Struct]]:
    for pool in pools:
        places = islice(_dropped_places(pool), pool.config.keep_dropped_targets or None)
        for batch in _batches(places):
            yield [one for place in batch if (one := _dropped_target(pool, *place, wanted, window)) is not None]


def _dropped_places(pool: ScrapePool) -> Iterator[tuple[TargetGroup, int]]:
    for _, group, built in pool.groups():
        for position, one in enumerate(built):
            if one is None:
                yield group, position


def _dropped_target(
    pool: ScrapePool, group: TargetGroup, position: int, wanted: TargetFilter, window: Window
) -> DroppedTargetAnswer | None:
    """The target where it is asked for. Its labels, which take long to make, are made only where they matter."""
    if wanted.takes_all and not window.takes():
        return None
    labels = label_set(pool.setup.builder.discovered_labels(group, position))
    if not wanted.takes_all and not (wanted.accepts_dropped(labels) and window.takes()):
        return None
    return DroppedTargetAnswer(discovered_labels=dict(labels), scrape_pool=pool.config.job_name)


def health(active: ActiveTarget) -> Health:
    """``up``, ``down``, or ``unknown`` before the first scrape. Source: prometheus v3.x scrape/target.go Health."""
    last = active.loop.last
    if last is None:
        return "unknown"
    return "up" if last.up else "down"
