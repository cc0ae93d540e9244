"""One job's targets and their loops."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import structlog

from promscout.model.group import GroupKey, TargetGroup
from promscout.model.labels import LabelSet, label_set
from promscout.relabel.engine import Relabeler
from promscout.scrape.config import ScrapeConfig
from promscout.scrape.loop import Ending, ScrapeContext, ScrapeLoop, ScrapeOptions
from promscout.scrape.target import Built, Refused, Target, TargetBuilder
from promscout.scrape.transport import Transport
from promscout.supervisor import Supervisor

_log = structlog.get_logger("promscout.scrape")


@dataclass(frozen=True, slots=True)
class _Members:
    """A group and what became of each of its targets."""

    group: TargetGroup
    built: tuple[Built, ...]


@dataclass(slots=True)
class ActiveTarget:
    """A target that is being scraped, and every place (group, position) where it was discovered."""

    loop: ScrapeLoop
    found: list[tuple[GroupKey, int]] = field(default_factory=list)


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
        key, position = active.found[-1]
        return label_set(self._builder.discovered_labels(self._groups[key].group, position))

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
                self._leave(key, before, lost)
            if not group.is_empty:
                self._enter(key, group, before if reuse else None, gained)
        self._start_and_stop(lost, gained)

    def _leave(self, key: GroupKey, members: _Members, lost: dict[Target, None]) -> None:
        for position, built in enumerate(members.built):
            if isinstance(built, Target):
                self._active[built].found.remove((key, position))
                lost[built] = None
            elif built is None:
                self._dropped -= 1

    def _enter(self, key: GroupKey, group: TargetGroup, before: _Members | None, gained: dict[Target, None]) -> None:
        if before is None:
            members = _Members(group, tuple(self._builder.build(group)))
        else:
            members = _Members(group, tuple(self._builder.build(group, before.group, before.built)))
        self._groups[key] = members
        for position, built in enumerate(members.built):
            if isinstance(built, Target):
                active = self._active.get(built)
                if active is None:
                    loop = ScrapeLoop(built, self._options, self._context)
                    active = self._active[built] = ActiveTarget(loop)
                    gained[built] = None
                active.found.append((key, position))
            elif built is None:
                self._dropped += 1
            else:
                self._refuse(group, position, built)

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
        removed = [self._active.pop(target).loop for target in lost if not self._active[target].found]
        # Several with the same labels write the same series: one of them hands it over.
        predecessors = {loop.target.labels: loop for loop in removed} if gained else {}
        replaced = set()
        for target in gained:
            loop = self._active[target].loop
            before = predecessors.pop(target.labels, None)
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
