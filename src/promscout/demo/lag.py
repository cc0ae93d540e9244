"""How long it takes from an event in the cluster to a target that is scraped."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from promscout.model.clock import Clock
from promscout.model.labels import ADDRESS
from promscout.scrape.pool import ScrapePool
from promscout.sim.objects import Change, Stored
from promscout.sim.resources import PODS

_REMEMBERED: Final = 200


@dataclass(frozen=True, slots=True)
class LagSummary:
    """Times from event to target, in seconds, over the last ``count`` pods."""

    count: int
    median: float
    longest: float


class EventLag:
    """Measures the time from the moment a pod gets its address in the API server to the start of its scrape loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, int] = {}
        self._seen: deque[float] = deque(maxlen=_REMEMBERED)

    def observe(self, change: Change) -> None:
        """Note a change of the cluster as it is stored."""
        if change.resource is not PODS:
            return
        before, after = _address(change.before), _address(change.after)
        if after and not before:
            self._waiting[after] = self._clock.now_ms()
        elif before and not after:
            self._waiting.pop(before, None)

    def match(self, pools: Mapping[str, ScrapePool]) -> None:
        """Look which of the pods that were waited for are targets now."""
        if not self._waiting:
            return
        for pool in pools.values():
            for target, active in pool.active.items():
                address = dict(target.all_labels)[ADDRESS].rpartition(":")[0]
                since = self._waiting.get(address)
                if since is not None and active.loop.started_ms >= since:
                    del self._waiting[address]
                    self._seen.append((active.loop.started_ms - since) / 1000)

    @property
    def summary(self) -> LagSummary | None:
        """What was measured; None before the first pod."""
        if not self._seen:
            return None
        return LagSummary(len(self._seen), statistics.median(self._seen), max(self._seen))


def _address(pod: Stored | None) -> str:
    return str(pod.decode().get("status", {}).get("podIP", "")) if pod is not None else ""
