"""What the targets page shows: summaries of all pools, and one page of the targets that match."""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

import msgspec

from promscout.model import labels as names
from promscout.model.group import TargetGroup
from promscout.model.labels import LabelSet, label_set
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.pool import ActiveTarget, ScrapePool
from promscout.scrape.report import Report
from promscout.web.api.target_list import health
from promscout.web.external import ExternalURL
from promscout.web.pages.duration_plot import Bars, draw_bars
from promscout.web.pages.paging import Page, Paging
from promscout.web.pages.problem import problem
from promscout.web.pages.target_query import DROPPED, TargetQuery, url_of
from promscout.web.turns import in_turns

MOST_ERRORS: Final = 6
"""Errors that are shown with how many targets have them."""

_NAMES_OBJECT: Final = re.compile(
    r"__meta_kubernetes_(namespace|pod_name|service_name|node_name|ingress_name|endpoints_name|endpointslice_name)"
)


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
    """One target on the page; a dropped one has discovered labels only. ``details`` is the path of its own page."""

    pool: str
    health: str
    discovered: LabelSet = ()
    labels: LabelSet = ()
    url: str = ""
    href: str = ""
    details: str = ""
    interval: str = ""
    timeout: str = ""
    error: str = ""
    last: Report | None = None
    next_ms: int | None = None
    bars: Bars = Bars()

    @property
    def address(self) -> str:
        """The discovered address, or an empty string."""
        return dict(self.discovered).get(names.ADDRESS, "")

    @property
    def origin(self) -> LabelSet:
        """The discovered labels that name the object behind the target."""
        return tuple(pair for pair in self.discovered if names_object(pair[0]))


class Selection(msgspec.Struct):
    """The answer to a query.

    ``matching`` counts active targets by health and ``errors`` those that are down by error, whatever health and error
    were asked for.
    """

    pools: list[PoolSummary] = []
    matching: Counter[str] = msgspec.field(default_factory=Counter)
    errors: Counter[str] = msgspec.field(default_factory=Counter)
    dropped: int = 0
    page: Page[Row] = Page()


class Found(msgspec.Struct, frozen=True, gc=False):
    """An active target that matches, and whose it is."""

    pool: ScrapePool
    active: ActiveTarget


class _Ranked(msgspec.Struct, frozen=True, order=True, gc=False):
    """One of those that are sorted: no two are at the same place in the order of discovery."""

    rank: float
    place: int
    pool: ScrapePool
    active: ActiveTarget


class _Sorted:
    """All that is found, in the order that the query wants; to be sorted it must be kept."""

    def __init__(self, query: TargetQuery) -> None:
        self._query = query
        self._found = 0
        self._run: list[_Ranked] = []
        self._runs: list[list[_Ranked]] = []

    def add(self, pool: ScrapePool, active: ActiveTarget, state: str) -> None:
        self._run.append(_Ranked(self._query.rank(active, state), self._found, pool, active))
        self._found += 1

    def rest(self) -> None:
        """Between two batches: what was found in one is sorted, which takes no time worth a name."""
        self._run.sort()
        self._runs.append(self._run)
        self._run = []

    async def page(self) -> Page[Found]:
        query = self._query
        number = min(query.page, max(1, -(-self._found // query.size)))
        stop = min(number * query.size, self._found)
        shown: list[Found] = []
        async for batch in in_turns(islice(heapq.merge(*self._runs), stop)):
            shown = [*shown, *(Found(one.pool, one.active) for one in batch)][-2 * query.size :]
        count = stop - (number - 1) * query.size
        return Page(tuple(shown[-count:]) if count else (), self._found, number, query.size)


class _AsDiscovered:
    """The same in the order of discovery, of which only a page is kept."""

    def __init__(self, query: TargetQuery) -> None:
        self._paging = Paging[Found](query.page, query.size)

    def add(self, pool: ScrapePool, active: ActiveTarget, _state: str) -> None:
        self._paging.add(Found(pool, active))

    def rest(self) -> None:
        """Nothing is to be done between two batches."""

    async def page(self) -> Page[Found]:
        return self._paging.page()


async def select(scrape: ScrapeManager, external: ExternalURL, query: TargetQuery) -> Selection:
    """Look through all targets, in turns with whatever else is due. A page past the last one gives the last."""
    selection = Selection()
    pools = [scrape.pools[job] for job in sorted(scrape.pools)]
    hits = _Sorted(query) if query.sort else _AsDiscovered(query)
    for pool in pools:
        await _look_through(pool, query, selection, hits)
    if query.health == DROPPED:
        selection.page = await _dropped_page(pools, query)
        return selection
    page = await hits.page()
    rows: list[Row] = []
    async for batch in in_turns(page.items, 20):
        rows += (_row(found.pool, found.active, external) for found in batch if found.active.places)
    selection.page = Page(tuple(rows), page.found, page.number, page.size)
    return selection


async def _look_through(
    pool: ScrapePool, query: TargetQuery, selection: Selection, hits: _Sorted | _AsDiscovered
) -> None:
    """Count the targets of ``pool``, and add those that match to ``hits``."""
    chosen = query.pool in ("", pool.config.job_name)
    search, wants_active = query.search, query.health != DROPPED
    counts: Counter[str] = Counter()
    matching = selection.matching if chosen else Counter()
    async for batch in in_turns(pool.snapshot(), 500):
        for active in batch:
            state = health(active)
            counts[state] += 1
            if not chosen or (search and not search.finds_active(active)):
                continue
            matching[state] += 1
            error = problem(active) if state == "down" else ""
            if error:
                selection.errors[error] += 1
            if wants_active and query.health in ("", state) and query.error in ("", error):
                hits.add(pool, active, state)
        hits.rest()
    selection.pools.append(_summary(pool, counts))
    selection.dropped += pool.dropped_count if chosen else 0


async def _dropped_page(pools: Sequence[ScrapePool], query: TargetQuery) -> Page[Row]:
    paging = Paging[_Dropped](query.page, query.size)
    search = query.search
    for pool in pools:
        if query.pool in ("", pool.config.job_name):
            async for batch in in_turns(_dropped(pool)):
                for one in batch:
                    if search.finds_rows(one.group.rows_of(one.position)):
                        paging.add(one)
    page = paging.page()
    return Page(tuple(one.row() for one in page.items), page.found, page.number, page.size)


class _Dropped(msgspec.Struct, frozen=True, gc=False):
    """Where a target was discovered that relabelling dropped."""

    pool: ScrapePool
    group: TargetGroup
    position: int

    def row(self) -> Row:
        labels = label_set(self.pool.setup.builder.discovered_labels(self.group, self.position))
        return Row(self.pool.config.job_name, DROPPED, labels)


def _dropped(pool: ScrapePool) -> Iterator[_Dropped]:
    found = (
        _Dropped(pool, group, position)
        for _, group, built in pool.groups()
        for position, one in enumerate(built)
        if one is None
    )
    return islice(found, pool.config.keep_dropped_targets or None)


def names_object(name: str) -> bool:
    """Whether the label ``name`` has the name or the namespace of the object behind a target."""
    return _NAMES_OBJECT.fullmatch(name) is not None


def identity(pool: ScrapePool, active: ActiveTarget) -> dict[str, str]:
    """The parameters of the target's own page: another target, or another identity of the same, has others."""
    target = active.loop.target
    return {"pool": pool.config.job_name, "url": target.url, "id": f"{target.digest:016x}"}


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
    loop = active.loop
    target = loop.target
    return Row(
        pool.config.job_name,
        health(active),
        labels=target.labels,
        url=target.url,
        href=href(target.url, external),
        details=url_of("/target", identity(pool, active)),
        interval=str(target.interval),
        timeout=str(target.timeout),
        error=problem(active),
        last=loop.last,
        next_ms=loop.next_ms,
        bars=draw_bars(loop.history),
    )


def href(url: str, external: ExternalURL) -> str:
    """What a link to a target leads to; empty where its URL is none that a browser should open."""
    return external.globalize(url) if url.startswith(("http://", "https://")) else ""
