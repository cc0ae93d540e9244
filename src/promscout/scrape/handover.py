"""Which loops start and which stop, and which start in the place of another."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import partial
from typing import Generic, Protocol, TypeVar

from promscout.model.labels import LabelSet
from promscout.scrape.loop import Ending, ScrapeLoop
from promscout.scrape.target import Target


class Place(Protocol):
    """A target's loop, and in how many places it was discovered."""

    loop: ScrapeLoop
    places: int


P = TypeVar("P", bound=Place)


class Handover(Generic[P]):
    """Starts the loops of targets that were gained and stops those of targets that were lost, one at a time.

    Guarantees: nothing is started before everything that was lost is known, so a target that was lost hands its slots
    to one with the same labels or URL that was gained, and with the same labels its series, whatever came first; where
    it hands over, its scrape under way is finished first; a target that comes back before its turn is not touched; a
    loop starts only after the one before of the same identity has ended.

    ``active`` is the pool's: a target is in it from its gain until its loop is stopped.
    """

    def __init__(self, active: MutableMapping[Target, P]) -> None:
        self._active = active
        self._gained: dict[Target, None] = {}
        self._strangers: dict[Target, None] = {}  # gained, and no lost one has the same labels
        self._lost: dict[Target, None] = {}
        self._unknown: list[Target] = []  # lost, and not looked at yet
        self._by_labels: dict[LabelSet, Target] = {}
        self._by_url: dict[str, Target] = {}
        self._awaited: dict[
            ScrapeLoop, ScrapeLoop
        ] = {}  # a loop that is to start → the one whose last scrape it awaits
        self._ending: dict[Target, ScrapeLoop] = {}

    def gain(self, target: Target) -> None:
        """``target`` is active from now on; its loop is to be started."""
        self._gained[target] = None

    def lose(self, target: Target) -> None:
        """``target`` has no place any more; its loop is to be stopped unless it gets one before its turn."""
        if target not in self._lost:
            self._lost[target] = None
            self._unknown.append(target)

    def step(self) -> bool:
        """Do one thing; False when there is nothing to do."""
        if self._unknown and (self._gained or self._strangers):
            self._know(self._unknown.pop())
        elif self._gained or self._strangers:
            self._start_next()
        elif self._lost:
            self._stop_next()
        else:
            return False
        if not self._gained and not self._strangers and not self._lost:
            self._unknown.clear()
            self._by_labels.clear()
            self._by_url.clear()
        return True

    def close(self, ending: Ending) -> list[ScrapeLoop]:
        """Start nothing any more and stop what was to finish its last scrape; the loops that are ending."""
        awaited = list(self._awaited.values())
        self._awaited.clear()
        self._gained.clear()
        self._strangers.clear()
        self._lost.clear()
        for loop in awaited:
            loop.stop(ending)
        return list(self._ending.values())

    def _know(self, target: Target) -> None:
        if target in self._lost and not self._active[target].places and not self._is_to_start(target):
            self._by_labels[target.labels] = target
            self._by_url[target.url] = target

    def _is_to_start(self, target: Target) -> bool:
        return target in self._gained or target in self._strangers

    def _start_next(self) -> None:
        """Start one that was gained, those with the labels of a lost one first: series are worth more than slots."""
        by_labels = bool(self._gained)
        target, _ = (self._gained if by_labels else self._strangers).popitem()
        active = self._active[target]
        if not active.places:  # lost again before it was started
            self._lost.pop(target, None)
            del self._active[target]
            return
        before = self._predecessor(target, by_labels=by_labels)
        if before is not None and before in self._lost and not self._active[before].places:
            del self._lost[before]
            self._replace(self._active.pop(before).loop, active.loop)
        elif by_labels and self._by_url:
            self._strangers[target] = None
        else:
            self._start(active.loop)

    def _predecessor(self, target: Target, *, by_labels: bool) -> Target | None:
        if not by_labels:
            return self._by_url.pop(target.url, None)
        # At a first sync nothing is lost, and labels are made only where they are asked for.
        return self._by_labels.pop(target.labels, None) if self._by_labels else None

    def _stop_next(self) -> None:
        target, _ = self._lost.popitem()
        active = self._active[target]
        if active.places:  # it came back
            return
        del self._active[target]
        awaited = self._awaited.pop(active.loop, None)
        if awaited is not None:
            awaited.stop(Ending.REMOVED)
        self._stop(active.loop, Ending.REMOVED)

    def _replace(self, before: ScrapeLoop, after: ScrapeLoop) -> None:
        awaited = self._awaited.pop(before, None)
        if awaited is not None:  # it has never been started
            before.stop(Ending.SHUTDOWN)
            before = awaited
        same = before.target.labels == after.target.labels
        self._awaited[after] = before
        self._stop(before, Ending.REPLACED if same else Ending.REMOVED, finish=True)
        before.when_ended(partial(self._start_after, before, after))

    def _start_after(self, before: ScrapeLoop, after: ScrapeLoop) -> None:
        if self._awaited.get(after) is not before:
            return
        del self._awaited[after]
        if before.ending is Ending.REPLACED:
            after.take_over(before)
        else:
            after.follow(before)
        self._start(after)

    def _start(self, loop: ScrapeLoop) -> None:
        before = self._ending.get(loop.target)
        if before is None:
            loop.start()
        else:
            before.when_ended(lambda: None if loop.ending else loop.start())

    def _stop(self, loop: ScrapeLoop, ending: Ending, *, finish: bool = False) -> None:
        loop.stop(ending, finish=finish)
        self._ending[loop.target] = loop
        loop.when_ended(lambda: self._ended(loop))

    def _ended(self, loop: ScrapeLoop) -> None:
        if self._ending.get(loop.target) is loop:
            del self._ending[loop.target]
