"""How many targets each rule of a job drops."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from typing import Final

import msgspec

from promscout.relabel.config import RelabelConfig
from promscout.relabel.engine import Relabeler
from promscout.scrape.pool import ScrapePool
from promscout.web.pages.label_changes import rule_fields
from promscout.web.turns import in_turns

COUNTED_UNASKED: Final = 5000
"""Dropped targets of a job that are counted without being asked for: some fifty milliseconds of work."""

_FRESH_SECONDS: Final = 30.0  # in which counts are good enough although targets have come and gone
_KEPT: Final = 64  # jobs whose counts are kept


class RuleCount(msgspec.Struct, frozen=True):
    """A rule and how many targets it drops; None where that was not counted."""

    index: int
    action: str
    rule: tuple[tuple[str, str], ...]
    dropped: int | None


class DropCounts(msgspec.Struct, frozen=True):
    """All rules of a job. ``counted`` says whether their targets were counted, ``seconds`` how long ago."""

    rules: tuple[RuleCount, ...]
    counted: bool
    seconds: float


class _Counted(msgspec.Struct, frozen=True):
    revision: int
    configs: tuple[RelabelConfig, ...]
    at: float
    by_rule: Counter[int]


class DropCounter:
    """Counts, one job after the other, and remembers until something has changed, and half a minute longer."""

    def __init__(self) -> None:
        self._counted: OrderedDict[str, _Counted] = OrderedDict()
        self._free = asyncio.Lock()

    async def count(self, pool: ScrapePool, *, asked: bool) -> DropCounts:
        """The counts of ``pool``: always when there are few dropped targets, otherwise when ``asked`` for."""
        wanted = asked or pool.dropped_count <= COUNTED_UNASKED
        counted = await self._up_to_date(pool) if wanted else None
        rules = tuple(
            RuleCount(
                index,
                config.action.value,
                rule_fields(config),
                None if counted is None else counted.by_rule[index],
            )
            for index, config in enumerate(pool.config.relabel_configs)
        )
        seconds = 0.0 if counted is None else asyncio.get_running_loop().time() - counted.at
        return DropCounts(rules, counted is not None, seconds)

    async def _up_to_date(self, pool: ScrapePool) -> _Counted:
        async with self._free:
            job = pool.config.job_name
            known = self._counted.get(job)
            if known is not None and known.configs == pool.config.relabel_configs:
                is_fresh = asyncio.get_running_loop().time() - known.at < _FRESH_SECONDS
                if known.revision == pool.revision or (is_fresh and pool.dropped_count > COUNTED_UNASKED):
                    return known
            known = self._counted[job] = await _count(pool)
            self._counted.move_to_end(job)
            while len(self._counted) > _KEPT:
                self._counted.popitem(last=False)
            return known


async def _count(pool: ScrapePool) -> _Counted:
    """Relabel every target that was dropped, in turns with whatever else is due."""
    revision, configs, builder = pool.revision, pool.config.relabel_configs, pool.setup.builder
    relabeler = Relabeler(configs)
    by_rule: Counter[int] = Counter()
    dropped = (
        (group, position)
        for _, group, members in pool.groups()
        for position, built in enumerate(members)
        if built is None
    )
    async for batch in in_turns(dropped, 20):
        for group, position in batch:
            rule = relabeler.dropping_rule(builder.discovered_labels(group, position))
            if rule is not None:
                by_rule[rule] += 1
    return _Counted(revision, configs, asyncio.get_running_loop().time(), by_rule)
