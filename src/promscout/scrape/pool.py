"""One job's targets and their loops."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

import msgspec

from promscout.logs import EventLog
from promscout.model.group import GroupKey, TargetGroup
from promscout.model.labels import LabelSet, label_set
from promscout.relabel.engine import Relabeler
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.loop import Ending, ScrapeContext, ScrapeLoop, ScrapeOptions
from promscout.scrape.target import Built, Refused, Target, TargetBuilder
from promscout.scrape.transport import Transport
from promscout.supervisor import Supervisor

_log = EventLog("promscout.scrape")


class _Members(msgspec.Struct, frozen=True, gc=False):
    """A group and what became of each of its targets."""

    group: TargetGroup
    built: tuple[Built, ...]


class ActiveTarget:
    """A target that is being scraped. ``places`` counts where it was discovered; at 0 it is one no more."""

    __slots__ = ("loop", "places", "seen_in")

    def __init__(self, loop: ScrapeLoop) -> None:
        self.loop = loop
        self.places = 0
        self.seen_in: GroupKey = ("", "")  # the group where it was found last, which may have lost it since


class ScrapePool:
    """The targets of one job, kept equal to its target groups.

    Guarantees: a sync costs what the changed groups cost; a target whose identity stays is not touched, wherever it is
    discovered now; equal targets of several groups are one loop, until the last of them goes; a refused target harms
    no other; what relabelling dropped takes no memory beyond its group.

    Source: prometheus v3.x scrape/scrape.go scrapePool.
    """

    def __init__(self, config: ScrapeConfig, context: ScrapeContext) -> None:
        self.config = config
        self._context = context
        self._groups: dict[GroupKey, _Members] = {}
        self._active: dict[Target, ActiveTarget] = {}
        self._dropped = 0
        self._ending: dict[Target, ScrapeLoop] = {}
        self._transports: Supervisor[Transport] = Supervisor(f"transport of {config.job_name}")
        self._use(config)
        context.metrics.pools.inc()

    def _use(self, config: ScrapeConfig) -> None:
        self.config = config
        self._builder = TargetBuilder(config)
        transport = self._context.transport(config)
        self._transports.start(transport, transport.run)
        self._options = ScrapeOptions(config, transport, Relabeler(config.metric_relabel_configs))

    @property
    def active(self) -> Mapping[Target, ActiveTarget]:
        """The targets that are scraped."""
        return self._active

    @property
    def dropped_count(self) -> int:
        """How many discovered targets relabelling dropped."""
        return self._dropped

    def dropped(self) -> Iterator[LabelSet]:
        """The discovered labels of every target that relabelling dropped, made afresh.

        The pool may change while they are taken: what comes is what was dropped when the first was taken.
        """
        for members in tuple(self._groups.values()):
            for position, built in enumerate(members.built):
                if built is None:
                    yield label_set(self._builder.discovered_labels(members.group, position))

    def discovered_labels(self, active: ActiveTarget) -> LabelSet:
        """The labels of an active target before relabelling, where it was found last, as Prometheus shows them."""
        target = active.loop.target
        members = self._groups.get(active.seen_in)
        if members is None or target not in members.built:
            active.seen_in, members = next(item for item in self._groups.items() if target in item[1].built)
        position = len(members.built) - 1 - members.built[::-1].index(target)
        return label_set(self._builder.discovered_labels(members.group, position))

    def sync(self, changed: Mapping[GroupKey, TargetGroup]) -> None:
        """Take over changed groups; an empty group removes its predecessor."""
        started = time.perf_counter()
        self._rebuild(changed.items(), reuse=True)
        metrics, job = self._context.metrics, self.config.job_name
        metrics.pool_syncs.labels(job).inc()
        metrics.pool_targets.labels(job).set(len(self._active))
        metrics.sync_length.labels(job).observe(time.perf_counter() - started)

    def reload(self, config: ScrapeConfig) -> None:
        """Go on under another configuration of the same job.

        Loops of targets whose identity stays go on with their slots and series; a scrape under way is finished.
        """
        before = self._options
        self._use(config)
        before.transport.retire()
        for active in self._active.values():
            active.loop.reconfigure(self._options)
        self._rebuild([(key, members.group) for key, members in self._groups.items()], reuse=False)
        self._context.metrics.pool_reloads.inc()
        self._context.metrics.pool_targets.labels(config.job_name).set(len(self._active))

    async def close(self, ending: Ending) -> None:
        """Stop every loop and wait until all have ended; with ``REMOVED``, their series turn stale."""
        if ending is Ending.REMOVED:
            # At once: another pool of the same name may come before the last scrape has ended.
            self._context.metrics.forget(self.config.job_name)
        for active in self._active.values():
            active.loop.stop(ending)
        for loop in (*self._ending.values(), *(active.loop for active in self._active.values())):
            await loop.ended()
        await self._transports.close()

    def _rebuild(self, groups: Iterable[tuple[GroupKey, TargetGroup]], *, reuse: bool) -> None:
        """Replace groups, then start and stop the loops that differ.

        ``reuse`` keeps what became of targets that did not change; not after the rules did.
        """
        lost: dict[Target, None] = {}
        gained: dict[Target, None] = {}
        for key, group in groups:
            before = self._groups.pop(key, None)
            if before is not None:
                self._leave(before, lost)
            if not group.is_empty:
                self._enter(key, group, before if reuse else None, gained)
        self._start_and_stop(lost, gained)

    def _leave(self, members: _Members, lost: dict[Target, None]) -> None:
        for built in members.built:
            if isinstance(built, Target):
                self._active[built].places -= 1
                lost[built] = None
            elif built is None:
                self._dropped -= 1

    def _enter(self, key: GroupKey, group: TargetGroup, before: _Members | None, gained: dict[Target, None]) -> None:
        build = self._builder.build
        built = tuple(build(group) if before is None else build(group, before.group, before.built))
        if not any(built):
            self._groups[key] = _Members(group, _all_dropped(len(built)))
            self._dropped += len(built)
            return
        places: list[Built] = []
        for position, one in enumerate(built):
            place = one
            if isinstance(one, Target):
                active = self._active.get(one)
                if active is None:
                    active = self._active[one] = ActiveTarget(ScrapeLoop(one, self._options, self._context))
                    gained[one] = None
                active.places += 1
                active.seen_in = key
                place = active.loop.target  # of equal targets one is kept
            elif one is None:
                self._dropped += 1
            else:
                self._refuse(group, position, one)
            places.append(place)
        self._groups[key] = _Members(group, tuple(places))

    def _refuse(self, group: TargetGroup, position: int, refused: Refused) -> None:
        self._context.metrics.sync_failed.labels(self.config.job_name).inc()
        _log.warning(
            "target cannot be scraped",
            job=self.config.job_name,
            group=group.source,
            target=position,
            reason=refused.reason,
        )

    def _start_and_stop(self, lost: Iterable[Target], gained: Iterable[Target]) -> None:
        removed = [self._active.pop(target).loop for target in lost if not self._active[target].places]
        # Several with the same labels write the same series: one of them hands it over.
        predecessors = {loop.target.labels: loop for loop in removed} if gained else {}
        replaced = set()
        for target in gained:
            loop = self._active[target].loop
            before = predecessors.pop(target.labels, None) if predecessors else None
            if before is not None:
                loop.take_over(before)
                replaced.add(before)
            self._start(loop)
        for loop in removed:
            self._stop(loop, Ending.REPLACED if loop in replaced else Ending.REMOVED)

    def _start(self, loop: ScrapeLoop) -> None:
        """Start a loop, once the one before of the same identity has ended."""
        before = self._ending.get(loop.target)
        if before is None:
            loop.start()
        else:
            before.when_ended(lambda: None if loop.ending else loop.start())

    def _stop(self, loop: ScrapeLoop, ending: Ending) -> None:
        loop.stop(ending)
        self._ending[loop.target] = loop
        loop.when_ended(lambda: self._ended(loop))

    def _ended(self, loop: ScrapeLoop) -> None:
        if self._ending.get(loop.target) is loop:
            del self._ending[loop.target]


@lru_cache(maxsize=256)
def _all_dropped(targets: int) -> tuple[None, ...]:
    """What became of the targets of a group none of which is scraped, as one object for all such groups."""
    return (None,) * targets
