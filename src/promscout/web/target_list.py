"""The answer of ``/api/v1/targets``, as pieces of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

import msgspec

from promscout.model import labels as names
from promscout.model.clock import rfc3339
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ActiveTarget, ScrapePool
from promscout.web.external import ExternalURL

_TARGETS_PER_PIECE: Final = 50  # a millisecond of work, and 200 KB: what an answer that waits for its client holds
_NEVER: Final = "0001-01-01T00:00:00Z"  # Go's zero time


class TargetFilter(msgspec.Struct, frozen=True):
    """Which targets are asked for. Source: prometheus v3.x web/api/v1/api.go targets."""

    active: bool
    dropped: bool
    pool: str

    @classmethod
    def from_query(cls, state: str, pool: str) -> TargetFilter:
        """An unknown state selects nothing and is no error, as in Prometheus; an empty pool selects all."""
        state = state.lower()
        return cls(state in ("", "any", "active"), state in ("", "any", "dropped"), pool)


def encode_targets(scrape: ScrapeManager, external: ExternalURL, wanted: TargetFilter) -> Iterator[bytes]:
    """The whole answer in pieces of bounded size, pools in the order of their names.

    Targets may come and go between two pieces: one that goes before its turn is left out. Beyond what Prometheus has
    are ``duplicateTargetCounts``, how many targets of each pool are equal to another one, and the last four fields of
    an active target: samples, bytes and format of its last body, and when it is scraped next.

    Source: prometheus v3.x web/api/v1/api.go targets, TargetDiscovery.
    """
    pools = [scrape.pools[job] for job in sorted(scrape.pools)]
    chosen = [pool for pool in pools if wanted.pool in ("", pool.config.job_name)]
    active = _active(chosen, external) if wanted.active else ()
    dropped = _dropped(chosen) if wanted.dropped else ()
    counts = {pool.config.job_name: pool.dropped_count for pool in pools} if wanted.dropped else None
    yield b'{"status":"success","data":{"activeTargets":['
    yield from _joined(active)
    yield b'],"droppedTargets":['
    yield from _joined(dropped)
    yield b'],"droppedTargetCounts":' + msgspec.json.encode(counts)
    duplicates = {pool.config.job_name: pool.duplicate_count for pool in pools} if wanted.active else None
    yield b',"duplicateTargetCounts":' + msgspec.json.encode(duplicates) + b"}}"


def _joined(items: Iterable[dict[str, object]]) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    remaining = iter(items)
    separator = b""
    while piece := b",".join([encoder.encode(item) for item in islice(remaining, _TARGETS_PER_PIECE)]):
        yield separator + piece
        separator = b","


def _active(pools: Iterable[ScrapePool], external: ExternalURL) -> Iterator[dict[str, object]]:
    for pool in pools:
        # The list stays as it is while others change the pool between two pieces.
        for active in list(pool.active.values()):
            if active.places:
                yield _active_target(pool, active, external)


def _active_target(pool: ScrapePool, active: ActiveTarget, external: ExternalURL) -> dict[str, object]:
    target, last, next_ms = active.loop.target, active.loop.last, active.loop.next_ms
    labels = dict(target.all_labels)
    return {
        "discoveredLabels": dict(pool.discovered_labels(active)),
        "labels": dict(target.labels),
        "scrapePool": pool.config.job_name,
        "scrapeUrl": target.url,
        "globalUrl": external.globalize(target.url),
        "lastError": last.error if last is not None else "",
        "lastScrape": rfc3339(last.start_ms) if last is not None else _NEVER,
        "lastScrapeDuration": last.duration if last is not None else 0,
        "health": health(active),
        "scrapeInterval": labels[names.SCRAPE_INTERVAL],
        "scrapeTimeout": labels[names.SCRAPE_TIMEOUT],
        "lastScrapeSamples": last.scraped if last is not None else 0,
        "lastScrapeSize": last.size if last is not None else 0,
        "lastScrapeFormat": last.format if last is not None else "",
        "nextScrape": rfc3339(next_ms) if next_ms is not None else _NEVER,
    }


def _dropped(pools: Iterable[ScrapePool]) -> Iterator[dict[str, object]]:
    return chain.from_iterable(map(_dropped_of, pools))


def _dropped_of(pool: ScrapePool) -> Iterator[dict[str, object]]:
    for labels in islice(pool.dropped(), pool.config.keep_dropped_targets or None):
        yield {"discoveredLabels": dict(labels), "scrapePool": pool.config.job_name}


def health(active: ActiveTarget) -> str:
    """``up``, ``down``, or ``unknown`` before the first scrape. Source: prometheus v3.x scrape/target.go Health."""
    last = active.loop.last
    if last is None:
        return "unknown"
    return "up" if last.up else "down"
