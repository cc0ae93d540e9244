"""Change at a bounded rate: what a cluster does all day, and what a benchmark wants it to do."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Final

from promscout.sim.objects import Stored
from promscout.sim.resources import PODS, JsonObject
from promscout.sim.status import Refusal
from promscout.sim.store import ObjectStore

_SYSTEM: Final = frozenset({"kube-system"})


class Churn:
    """Pods come and go, restart and are relabelled, ``rate`` times a second. The same seed does the same.

    Scaling keeps the number of pods within a fifth of what it was at the start. Pods without an owner are left alone.
    """

    def __init__(self, store: ObjectStore, *, rate: float = 0.5, seed: int = 0) -> None:
        self._store = store
        self._pause = 1 / rate
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._names = 0
        self._usual = len(store.list(PODS))

    async def run(self, steps: int | None = None) -> None:
        """Change one pod after the other until cancelled, or ``steps`` times."""
        done = 0
        while steps is None or done < steps:
            self.step()
            done += 1
            await asyncio.sleep(self._pause)

    def step(self) -> str:
        """Make one change and say what it was; empty when there was nothing to change."""
        pods = [one for one in self._store.list(PODS) if self._is_fair_game(one)]
        if not pods:
            return ""
        chosen = self._random.choice(pods)
        actions: list[Callable[[Stored], str]] = [self._replace, self._restart, self._restart, self._relabel]
        if len(pods) < self._usual * 1.2:
            actions.append(self._scale_up)
        if len(pods) > self._usual * 0.8:
            actions.append(self._scale_down)
        try:
            return self._random.choice(actions)(chosen)
        except Refusal:
            return ""  # somebody else deleted it in between

    @staticmethod
    def _is_fair_game(stored: Stored) -> bool:
        return stored.namespace not in _SYSTEM and b'"ownerReferences"' in stored.body

    def _replace(self, stored: Stored) -> str:
        self._scale_down(stored)
        return f"replaced {stored.name} by {self._sibling(stored)}"

    def _scale_up(self, stored: Stored) -> str:
        return f"added {self._sibling(stored)}"

    def _scale_down(self, stored: Stored) -> str:
        self._store.delete(PODS, *stored.key)
        return f"deleted {stored.name}"

    def _sibling(self, stored: Stored) -> str:
        """Create another pod of the same owner and return its name."""
        obj = stored.decode()
        kept = ("namespace", "labels", "annotations", "ownerReferences")
        metadata = {key: obj["metadata"][key] for key in kept if key in obj["metadata"]}
        self._names += 1
        metadata["name"] = f"{stored.name.rpartition('-')[0]}-n{self._names:04d}"
        obj["spec"].pop("nodeName", None)
        pending = {"phase": "Pending", "qosClass": "Burstable"}
        return self._store.create(PODS, {"metadata": metadata, "spec": obj["spec"], "status": pending}).name

    def _restart(self, stored: Stored) -> str:
        def restarted(obj: JsonObject) -> JsonObject:
            for one in obj["status"].get("containerStatuses") or []:
                one["restartCount"] = one.get("restartCount", 0) + 1
                one["state"] = {"running": {"startedAt": self._store.now()}}
            return obj

        self._store.patch(PODS, *stored.key, restarted)
        return f"restarted {stored.name}"

    def _relabel(self, stored: Stored) -> str:
        version = f"v{self._random.randint(1, 9)}"
        set_label(self._store, stored, "version", version)
        return f"labelled {stored.name} version={version}"


def set_label(store: ObjectStore, stored: Stored, name: str, value: str) -> None:
    """Give a pod a label."""

    def labelled(obj: JsonObject) -> JsonObject:
        obj["metadata"].setdefault("labels", {})[name] = value
        return obj

    store.patch(stored.resource, *stored.key, labelled)


async def bench_churn(store: ObjectStore, *, rate: float, seconds: float, seed: int = 0) -> int:
    """Patch pods ``rate`` times a second for ``seconds``: nine of ten a status field that no label shows.

    Returns how many patches were made. Keeps to the rate on average; falls behind rather than bursting for long.
    """
    chance, loop = random.Random(seed), asyncio.get_running_loop()  # noqa: S311 - repeatable, not secret
    pods = store.list(PODS)
    start, done = loop.time(), 0
    while done < int(rate * seconds):
        due = min(int((loop.time() - start) * rate) + 1, int(rate * seconds))
        while done < due:
            stored = chance.choice(pods)
            if done % 10 == 9:
                set_label(store, stored, "churn", str(done))
            else:
                store.patch(PODS, *stored.key, partial(_noted, note=f"patch {done}"))
            done += 1
        await asyncio.sleep(1 / rate)
    return done


def _noted(obj: JsonObject, *, note: str) -> JsonObject:
    obj["status"]["message"] = note
    return obj
