"""What the targets page shows: summaries of all pools, and one page of the targets that match."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final
from urllib.parse import urlencode

import msgspec

from promscout.model import labels as names
from promscout.model.labels import LabelSet
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ActiveTarget, ScrapePool
from promscout.scrape.report import Report
from promscout.web.external import ExternalURL
from promscout.web.target_list import health

PAGE_SIZE: Final = 100
HEALTHS: Final = ("up", "down", "unknown")
DROPPED: Final = "dropped"
_NAMES_OBJECT: Final = re.compile(
    r"__meta_kubernetes_(namespace|pod_name|service_name|node_name|ingress_name|endpoints_name|endpointslice_name)"
)
_TURN: Final = 1000  # targets looked at before others get their turn: one to five milliseconds


class TargetQuery(msgspec.Struct, frozen=True):
    """What the page was asked for. An empty string means "any"; pages count from 1."""

    pool: str = ""
    health: str = ""
    q: str = ""
    page: int = 1

    @classmethod
    def parse(cls, pool: str, health: str, q: str, page: str) -> TargetQuery:
        """From the URL's parameters; what cannot be understood means "any" or the first page."""
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 9 else 1
        return cls(pool, health if health in (*HEALTHS, DROPPED) else "", q.strip(), max(1, number))

    def url(self, **changes: str | int) -> str:
        """The page's URL with some parameters changed; a change of anything else leads to the first page."""
        wanted = {"pool": self.pool, "health": self.health, "q": self.q, "page": 1} | changes
        given = {name: value for name, value in wanted.items() if value not in ("", 1)}
        return f"/targets?{urlencode(given)}" if given else "/targets"

    @property
    def terms(self) -> tuple[str, ...]:
        """The words that all must occur, in lower case. Quotes are left out: ``app="web"`` finds ``app=web``."""
        return tuple(self.q.lower().replace('"', "").split())


class PoolSummary(msgspec.Struct, frozen=True):
    """One pool's numbers, over all of its targets."""

    name: str
    interval: str
    up: int
    down: int
    unknown: int
    dropped: int

    @property
    def total(self) -> int:
        """Active targets."""
        return self.up + self.down + self.unknown


class Row(msgspec.Struct, frozen=True):
    """One target on the page; a dropped one has discovered labels only."""

    pool: str
    health: str
    discovered: LabelSet
    labels: LabelSet = ()
    url: str = ""
    href: str = ""
    interval: str = ""
    timeout: str = ""
    last: Report | None = None
    next_ms: int | None = None

    @property
    def address(self) -> str:
        """The discovered address, or an empty string."""
        return dict(self.discovered).get(names.ADDRESS, "")

    @property
    def origin(self) -> LabelSet:
        """The discovered labels that name the object behind the target."""
        return tuple(pair for pair in self.discovered if _NAMES_OBJECT.fullmatch(pair[0]))


class Selection(msgspec.Struct):
    """The answer to a query. ``matching`` counts active targets by health, whatever health was asked for."""

    pools: list[PoolSummary] = []
    matching: Counter[str] = msgspec.field(default_factory=Counter)
    dropped: int = 0
    rows: list[Row] = []
    found: int = 0
    page: int = 1

    @property
    def pages(self) -> int:
        """How many pages there are, at least 1."""
        return max(1, -(-self.found // PAGE_SIZE))

    @property
    def first(self) -> int:
        """Number of the page's first target, from 1."""
        return (self.page - 1) * PAGE_SIZE + 1


async def select(scrape: ScrapeManager, external: ExternalURL, query: TargetQuery) -> Selection:
    """Look through all targets, in turns with whatever else is due. A page past the last one gives the last."""
    selection = Selection()
    pools = [scrape.pools[job] for job in sorted(scrape.pools)]
    hits: list[tuple[ScrapePool, ActiveTarget]] = []
    for pool in pools:
        chosen = query.pool in ("", pool.config.job_name)
        counts: Counter[str] = Counter()
        for batch in _batches(pool.active.values()):
            for active in batch:
                state = health(active)
                counts[state] += 1
                if chosen and _matches(active, query.terms):
                    selection.matching[state] += 1
                    if query.health in ("", state):
                        hits.append((pool, active))
            await asyncio.sleep(0)
        selection.pools.append(_summary(pool, counts))
        selection.dropped += pool.dropped_count if chosen else 0
    if query.health == DROPPED:
        await _select_dropped(selection, pools, query)
    else:
        selection.found = len(hits)
        selection.page = min(query.page, selection.pages)
        window = hits[selection.first - 1 : selection.first - 1 + PAGE_SIZE]
        selection.rows = [_row(pool, active, external) for pool, active in window if active.places]
    return selection


async def _select_dropped(selection: Selection, pools: Iterable[ScrapePool], query: TargetQuery) -> None:
    found: list[Row] = []
    for pool in pools:
        if query.pool in ("", pool.config.job_name):
            kept = islice(pool.dropped(), pool.config.keep_dropped_targets or None)
            while batch := list(islice(kept, _TURN)):
                found += (Row(pool.config.job_name, DROPPED, labels) for labels in batch if _occur(query.terms, labels))
                await asyncio.sleep(0)
    selection.found = len(found)
    selection.page = min(query.page, selection.pages)
    selection.rows = found[selection.first - 1 : selection.first - 1 + PAGE_SIZE]


def _batches(targets: Iterable[ActiveTarget]) -> Iterator[list[ActiveTarget]]:
    # The list stays as it is while others change the pool between two batches.
    remaining = iter(list(targets))
    while batch := list(islice(remaining, _TURN)):
        yield batch


def _matches(active: ActiveTarget, terms: tuple[str, ...]) -> bool:
    if not terms:
        return True
    target, last = active.loop.target, active.loop.last
    labels = (pair for pair in target.all_labels if not pair[0].startswith(names.RESERVED_PREFIX))
    return _occur(terms, labels, f"{target.url}\n{last.error if last is not None else ''}")


def _occur(terms: tuple[str, ...], labels: Iterable[tuple[str, str]], more: str = "") -> bool:
    if not terms:
        return True
    text = "\n".join([more, *(f"{name}={value}" for name, value in labels)]).lower()
    return all(term in text for term in terms)


def _summary(pool: ScrapePool, counts: Counter[str]) -> PoolSummary:
    config = pool.config
    return PoolSummary(
        config.job_name,
        str(config.scrape_interval),
        counts["up"],
        counts["down"],
        counts["unknown"],
        pool.dropped_count,
    )


def _row(pool: ScrapePool, active: ActiveTarget, external: ExternalURL) -> Row:
    target = active.loop.target
    reachable = target.url.startswith(("http://", "https://"))
    return Row(
        pool.config.job_name,
        health(active),
        pool.discovered_labels(active),
        target.labels,
        target.url,
        external.globalize(target.url) if reachable else "",
        str(target.interval),
        str(target.timeout),
        active.loop.last,
        active.loop.next_ms,
    )
