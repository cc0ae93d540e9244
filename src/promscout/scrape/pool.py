"""One job's targets and their loops."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import islice
from typing import Final

import msgspec

from promscout.logs import EventLog
from promscout.model.group import GroupKey, TargetGroup
from promscout.model.labels import LabelSet, label_set
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.handover import Handover
from promscout.scrape.health import HealthTally
from promscout.scrape.loop import Ending, ScrapeLoop
from promscout.scrape.options import ScrapeContext
from promscout.scrape.setup import PoolSetup
from promscout.scrape.target import Built, Refused, Target
from promscout.scrape.target_builder import TargetBuilder
from promscout.scrape.transport import Transport
from promscout.supervisor import Supervisor

_log = EventLog("promscout.scrape")


SLICE_SECONDS: Final = 0.01
"""How long a slice of a large sync or reload takes: whatever else is due comes between two, scrapes above all."""

_BUILT_AT_ONCE: Final = 50
"""Targets built between two looks at the time."""


class _Members(msgspec.Struct, frozen=True, gc=False):
    """A group, what became of each of its targets, and what built them."""

    group: TargetGroup
    built: tuple[Built, ...]
    builder: TargetBuilder


class _Building(msgspec.Struct, frozen=True):
    """A group that is being built: what its targets have become so far, which is in the pool, and what is to come."""

    key: GroupKey
    group: TargetGroup
    rest: Iterator[Built]
    built: list[Built] = []


class ActiveTarget:
    """A target that is being scraped. ``places`` counts where it was discovered; at 0 it is one no more."""

    __slots__ = ("loop", "places", "seen_in")

    def __init__(self, loop: ScrapeLoop) -> None:
        self.loop = loop
        self.places = 0
        self.seen_in: GroupKey = ("", "")  # the group where it was found last, which may have lost it since


class Snapshot(list[ActiveTarget]):
    """The active targets of a pool at one moment, for those who look at them in turns while the pool changes."""

    __slots__ = ("__weakref__", "revision")

    def __init__(self, targets: Iterable[ActiveTarget], revision: int) -> None:
        super().__init__(targets)
        self.revision = revision


class ScrapePool:
    """The targets of one job, kept equal to its target groups.

    Guarantees: a sync costs what the changed groups cost; a target whose identity stays is not touched, wherever it is
    discovered now and whatever else is configured; equal targets of several groups are one loop, until the last of them
    goes; while there are more than ``target_limit`` allows, all scrapes fail; a target that comes in place of another,
    with the same labels or the same URL, keeps its slots, and with the same labels its series; a refused target harms
    no other; what relabelling dropped takes no memory beyond its group.

    Changes are noted by ``put`` and ``use`` and carried out by ``settle``, slice by slice; loops start and stop only
    when everything is built, so that slices are no reason to lose anything. ``sync`` and ``reload`` do it all at once.

    Source: prometheus v3.x scrape/scrape.go scrapePool.
    """

    def __init__(self, config: ScrapeConfig, context: ScrapeContext, setup: PoolSetup | None = None) -> None:
        self.setup = setup or PoolSetup.of(config, context.transport)
        self._context = context
        self._due: OrderedDict[GroupKey, TargetGroup] = OrderedDict()  # the first can be taken out cheaply
        self._building: _Building | None = None
        self._groups: dict[GroupKey, _Members] = {}
        self._asked: tuple[_Members, dict[Built, int]] | None = None  # the group that was asked for last
        self._active: dict[Target, ActiveTarget] = {}
        self._placed = 0  # targets that are discovered somewhere: the active ones once all is settled
        self._dropped = 0
        self._duplicates = 0
        self._handover = Handover(self._active)
        self.revision = 0
        """Another number whenever what was discovered or what became of it may be another."""
        self._snapshot: Callable[[], Snapshot | None] = _nothing
        self._synced = self._reloaded = False  # since everything was settled last
        self._spent = 0.0
        self._transports: Supervisor[Transport] = Supervisor(f"transport of {config.job_name}")
        transport = self.setup.options.transport
        self._transports.start(transport, transport.run)
        context.metrics.pools.inc()

    @property
    def config(self) -> ScrapeConfig:
        """The configuration in force."""
        return self.setup.config

    @property
    def active(self) -> Mapping[Target, ActiveTarget]:
        """The targets that are scraped, and those without places, which are about to be no more."""
        return self._active

    @property
    def health(self) -> HealthTally:
        """How many of the targets are up, down, and not scraped yet."""
        return self.setup.options.health

    def snapshot(self) -> Snapshot:
        """The active targets; not to be changed. Whoever looks while nothing was discovered anew shares one.

        Some may have no places any more.
        """
        shared = self._snapshot()
        if shared is None or shared.revision != self.revision:
            shared = Snapshot(self._active.values(), self.revision)
            self._snapshot = weakref.ref(shared)
        return shared

    @property
    def dropped_count(self) -> int:
        """How many discovered targets relabelling dropped."""
        return self._dropped

    @property
    def duplicate_count(self) -> int:
        """How many discovered targets are equal to another one, which is scraped for them."""
        return self._duplicates

    @property
    def is_settled(self) -> bool:
        """Whether everything that was noted is built: the targets are those of the groups, and no mixture of two."""
        return self._building is None and not self._due

    def groups(self) -> Iterator[tuple[GroupKey, TargetGroup, tuple[Built, ...]]]:
        """Every group as it was discovered, with what became of each of its targets, in their order.

        The pool may change while they are taken: what comes is as of when the first was taken.
        """
        for key, members in tuple(self._groups.items()):
            yield key, members.group, members.built

    def dropped(self) -> Iterator[LabelSet]:
        """The discovered labels of every target that relabelling dropped, made afresh.

        The pool may change while they are taken: what comes is what was dropped when the first was taken.
        """
        for members in tuple(self._groups.values()):
            for position, built in enumerate(members.built):
                if built is None:
                    yield label_set(self.setup.builder.discovered_labels(members.group, position))

    def discovered_labels(self, active: ActiveTarget) -> LabelSet:
        """The labels of an active target before relabelling, where it was found last, as Prometheus shows them.

        Its own labels while its group is about to come or go.
        """
        target = active.loop.target
        members = self._groups.get(active.seen_in)
        position = None if members is None else self._position(members, target)
        if members is None or position is None:
            found = next((item for item in self._groups.items() if target in item[1].built), None)
            if found is None:
                return target.all_labels
            active.seen_in, members = found
            position = self._position(members, target) or 0
        return label_set(self.setup.builder.discovered_labels(members.group, position))

    def _position(self, members: _Members, target: Target) -> int | None:
        """Where a group has ``target``, the last time it does; None where it does not."""
        if self._asked is None or self._asked[0] is not members:
            # Targets are asked for one after the other: looking through a large group for each would take minutes.
            self._asked = members, {built: at for at, built in enumerate(members.built) if built is not None}
        return self._asked[1].get(target)

    def sync(self, changed: Mapping[GroupKey, TargetGroup]) -> None:
        """Take over changed groups; an empty group removes its predecessor."""
        self.put(changed)
        while not self.settle():
            pass

    def reload(self, config: ScrapeConfig) -> None:
        """Go on under another configuration of the same job."""
        self.use(self.setup.changed_to(config, self._context.transport))
        while not self.settle():
            pass

    def put(self, changed: Mapping[GroupKey, TargetGroup]) -> None:
        """Note changed groups for the next ``settle``; an empty group removes its predecessor."""
        self._due.update(changed)
        if self._building is not None and self._building.key in changed:
            self._leave(self._building.built)
            self._building = None
        self._synced = True
        self._context.metrics.pool_syncs.labels(self.config.job_name).inc()

    def use(self, setup: PoolSetup) -> None:
        """Go on under another configuration, which ``setup.changed_to`` made, with the next ``settle``.

        Loops of targets whose identity stays go on with their slots and series; a scrape under way is finished.
        """
        before, self.setup = self.setup, setup
        self.revision += 1
        transport = setup.options.transport
        if transport is not before.options.transport:
            self._transports.start(transport, transport.run)
            before.options.transport.retire()
        for active in self._active.values():
            active.loop.reconfigure(setup.options)
        if setup.builder is not before.builder:
            due = OrderedDict((key, members.group) for key, members in self._groups.items())
            if self._building is not None:
                due[self._building.key] = self._building.group
                self._leave(self._building.built)
                self._building = None
            self._due = due | self._due
        self._reloaded = True
        self._context.metrics.pool_reloads.inc()

    def settle(self) -> bool:
        """Carry out what was noted, for ``SLICE_SECONDS`` or little more; True when nothing is left."""
        started = time.perf_counter()
        until = started + SLICE_SECONDS
        while not (done := not (self._build_some() or self._hand_over())) and time.perf_counter() < until:
            pass
        self._spent += time.perf_counter() - started
        if done:
            metrics, job = self._context.metrics, self.config.job_name
            metrics.pool_targets.labels(job).set(len(self._active))
            metrics.pool_duplicates.labels(job).set(self._duplicates)
            metrics.pool_target_limit.labels(job).set(self.config.target_limit)
            if self.setup.options.target_limit.error:
                metrics.target_limit_exceeded.inc()
            if self._synced:
                metrics.sync_length.labels(job).observe(self._spent)
            if self._reloaded:
                metrics.reload_length.labels(str(self.config.scrape_interval)).observe(self._spent)
            self._synced, self._reloaded, self._spent = False, False, 0.0
        return done

    async def close(self, ending: Ending) -> None:
        """Stop every loop and wait until all have ended; with ``REMOVED``, their series turn stale, slice by slice."""
        if ending is Ending.REMOVED:
            # At once: another pool of the same name may come before the last scrape has ended.
            self._context.metrics.forget(self.config.job_name)
        loops = self._handover.close(ending)
        until = time.perf_counter() + SLICE_SECONDS
        for active in self._active.values():
            active.loop.stop(ending)
            loops.append(active.loop)
            if ending is Ending.REMOVED and time.perf_counter() >= until:
                await asyncio.sleep(0)
                until = time.perf_counter() + SLICE_SECONDS
        for loop in loops:
            await loop.ended()
        await self._transports.close()

    def _build_some(self) -> bool:
        """Build a few targets of a group that is due, and put the group in its place once all are there."""
        building, self._building = self._building, None
        if building is None:
            if not self._due:
                return False
            building = self._begin(*self._due.popitem(last=False))
        for one in islice(building.rest, _BUILT_AT_ONCE):
            building.built.append(self._enter(one, building))
        if len(building.built) < len(building.group.targets):
            self._building = building
        else:
            self._replace(building)
        return True

    def _hand_over(self) -> bool:
        """Start or stop one loop. Everything is built: no loop starts before it is known whether there are too many."""
        self.setup.options.target_limit.note(self._placed, self.config.target_limit)
        return self._handover.step()

    def _begin(self, key: GroupKey, group: TargetGroup) -> _Building:
        """Begin to build ``group``. Targets that did not change since the same builder met them are kept."""
        builder, before = self.setup.builder, self._groups.get(key)
        if before is None or before.builder is not builder:
            return _Building(key, group, builder.build(group))
        return _Building(key, group, builder.build(group, before.group, before.built))

    def _replace(self, building: _Building) -> None:
        """Put a group that is built in the place of its predecessor; an empty one just removes it."""
        self.revision += 1
        before = self._groups.pop(building.key, None)
        if before is not None:
            self._leave(before.built)
        built = building.built
        if built:
            kept = tuple(built) if any(built) else _all_dropped(len(built))
            self._groups[building.key] = _Members(building.group, kept, self.setup.builder)

    def _leave(self, places: Iterable[Built]) -> None:
        for built in places:
            if isinstance(built, Target):
                active = self._active[built]
                active.places -= 1
                if active.places:
                    self._duplicates -= 1
                else:
                    self._placed -= 1
                    self._handover.lose(built)
            elif built is None:
                self._dropped -= 1

    def _enter(self, built: Built, building: _Building) -> Built:
        """Take in what became of the next target of a group; of equal targets one is kept."""
        if isinstance(built, Target):
            active = self._active.get(built)
            if active is None:
                loop = ScrapeLoop(built, self.setup.options, self._context)
                active = self._active[built] = ActiveTarget(loop)
                self._handover.gain(built)
            if active.places:
                self._duplicates += 1
            else:
                self._placed += 1
            active.places += 1
            active.seen_in = building.key
            return active.loop.target
        if built is None:
            self._dropped += 1
        else:
            self._refuse(building.group, len(building.built), built)
        return built

    def _refuse(self, group: TargetGroup, position: int, refused: Refused) -> None:
        self._context.metrics.sync_failed.labels(self.config.job_name).inc()
        _log.warning(
            "target cannot be scraped",
            job=self.config.job_name,
            group=group.source,
            target=position,
            reason=refused.reason,
        )


def _nothing() -> None:
    return None


@lru_cache(maxsize=256)
def _all_dropped(targets: int) -> tuple[None, ...]:
    """What became of the targets of a group none of which is scraped, as one object for all such groups."""
    return (None,) * targets
