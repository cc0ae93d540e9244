"""The discovered targets of one job, and what became of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec

from promscout.model import labels as names
from promscout.model.group import GroupKey, TargetGroup
from promscout.model.labels import LabelSet, label_set
from promscout.relabel.engine import Relabeler
from promscout.scrape.pool import ScrapePool
from promscout.scrape.target import Built, Refused, Target
from promscout.web.pages.discovery_query import PAGE_TARGETS, DiscoveryQuery, Fate
from promscout.web.pages.label_changes import LabelChange, ShownStep, label_changes, shown_steps
from promscout.web.pages.paging import Page, Paging
from promscout.web.pages.rows import identity, names_object
from promscout.web.pages.target_query import url_of
from promscout.web.turns import in_turns

_TURN: Final = 50  # targets that are looked at, or shown, before the time is


class Place(msgspec.Struct, frozen=True, gc=False):
    """Where a target was discovered, and what became of it."""

    key: GroupKey
    group: TargetGroup
    position: int
    built: Built
    fate: Fate


def places(pool: ScrapePool) -> Iterator[Place]:
    """Every discovered target of ``pool``, as of when the first is taken. Of equal ones the first is active."""
    seen: set[int] | None = set() if pool.duplicate_count else None
    for key, group, members in pool.groups():
        for position, built in enumerate(members):
            yield Place(key, group, position, built, _fate(built, seen))


def _fate(built: Built, seen: set[int] | None) -> Fate:
    if built is None:
        return Fate.DROPPED
    if isinstance(built, Refused):
        return Fate.REFUSED
    if seen is not None:
        # The pool has one object for equal targets.
        if id(built) in seen:
            return Fate.DUPLICATE
        seen.add(id(built))
    return Fate.ACTIVE


class Discovered(msgspec.Struct, frozen=True):
    """One discovered target as the page shows it.

    ``dropped_by`` is what the rule did that dropped it; ``reason`` why it was refused; ``details`` the path of the page
    of the target that is scraped, and ``playground`` of the page to try rules on it.
    """

    provider: str
    source: str
    fate: Fate
    address: str
    origin: LabelSet
    changes: tuple[LabelChange, ...]
    dropped_by: ShownStep | None
    reason: str
    details: str
    playground: str


class DiscoveredPage(msgspec.Struct, frozen=True):
    """Some discovered targets, and how many match by what became of them, whatever of that was asked for."""

    page: Page[Discovered]
    matching: Counter[str]


async def discovered_page(pool: ScrapePool, query: DiscoveryQuery) -> DiscoveredPage:
    """The page of ``pool`` that ``query`` wants, in turns with whatever else is due.

    Only what is shown is relabelled again, unless a rule is asked for.
    """
    search, matching = query.search, Counter[str]()
    paging = Paging[Place](query.page, PAGE_TARGETS)
    relabeler = Relabeler(pool.config.relabel_configs)
    async for batch in in_turns(places(pool), _TURN):
        for place in batch:
            if not search.finds_rows(place.group.rows_of(place.position)):
                continue
            matching[place.fate] += 1
            if query.fate in ("", place.fate) and (query.rule is None or _drops(pool, relabeler, place) == query.rule):
                paging.add(place)
    page = paging.page()
    shown = [_describe(pool, relabeler, place) async for batch in in_turns(page.items, 1) for place in batch]
    return DiscoveredPage(Page(tuple(shown), page.found, page.number, page.size), matching)


def _drops(pool: ScrapePool, relabeler: Relabeler, place: Place) -> int | None:
    """The index of the rule that drops a target; None where none does."""
    if place.built is not None:
        return None
    return relabeler.dropping_rule(pool.setup.builder.discovered_labels(place.group, place.position))


def _describe(pool: ScrapePool, relabeler: Relabeler, place: Place) -> Discovered:
    discovered = dict(label_set(pool.setup.builder.discovered_labels(place.group, place.position)))
    steps = relabeler.trace(discovered)
    after = steps[-1].labels if steps else discovered
    built = place.built
    if isinstance(built, Target):
        after = dict(built.all_labels)
    dropped = shown_steps(steps, discovered)[-1] if steps and not steps[-1].kept else None
    provider, source = place.key
    active = pool.active.get(built) if isinstance(built, Target) else None
    return Discovered(
        provider=provider,
        source=source,
        fate=place.fate,
        address=discovered.get(names.ADDRESS, ""),
        origin=tuple(pair for pair in discovered.items() if names_object(pair[0])),
        changes=label_changes(discovered, {} if built is None else after),
        dropped_by=dropped if built is None else None,
        reason=built.reason if isinstance(built, Refused) else "",
        details=url_of("/target", identity(pool, active)) if active is not None else "",
        playground=url_of(
            "/relabel",
            {"job": pool.config.job_name, "provider": provider, "source": source, "position": place.position},
        ),
    )
