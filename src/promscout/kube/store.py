"""A store of objects by key, with change handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

from promscout.kube.objects import KubeObject

T = TypeVar("T", bound=KubeObject)
V = TypeVar("V")

Handler: TypeAlias = Callable[[str, T | None, T | None], None]
"""Called with the key, the object before (None: added) and the object now (None: deleted)."""

SLICE: Final = 1000
"""Objects compared, or changes reported, in one step of a replacement: a few milliseconds."""


class Store(Generic[T]):
    """The objects of one collection as last seen, each under its key.

    Guarantees: handlers run synchronously, in the order of subscription, after the store shows the change; a handler is
    called only for a real change, and in place of an object that is equal to the stored one the stored one stays;
    ``replace`` changes everything at once and reports exactly the difference between old and new contents.
    """

    def __init__(self) -> None:
        self._objects: dict[str, T] = {}
        self._handlers: list[Handler[T]] = []
        self._derived: dict[Callable[[T], Any], dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __contains__(self, key: str) -> bool:
        return key in self._objects

    def get(self, key: str) -> T | None:
        """The object under ``key``, or None."""
        return self._objects.get(key)

    def derived(self, key: str, function: Callable[[T], V]) -> V | None:
        """``function`` of the object under ``key``, computed once for all who ask; None without such an object.

        It is forgotten when the object changes. Nobody changes what it gives.
        """
        memo = self._derived.setdefault(function, {})
        if key not in memo:
            obj = self._objects.get(key)
            if obj is None:
                return None
            memo[key] = function(obj)
        return cast("V", memo[key])

    def subscribe(self, handler: Handler[T]) -> Callable[[], None]:
        """Call ``handler`` at every change from now on; calling the result ends that."""
        self._handlers.append(handler)
        return lambda: self._handlers.remove(handler)

    def put(self, key: str, obj: T) -> None:
        """Store ``obj`` under ``key``."""
        before = self._objects.get(key)
        if before != obj:
            self._objects[key] = obj
            self._forget(key)
            self._report(key, before, obj)

    def delete(self, key: str) -> None:
        """Forget the object under ``key``, if there is one."""
        before = self._objects.pop(key, None)
        if before is not None:
            self._forget(key)
            self._report(key, before, None)

    def replace(self, objects: dict[str, T]) -> None:
        """Make ``objects`` the whole contents; the dict is the store's from now on."""
        for _ in self.replacing(objects):
            pass

    def replacing(self, objects: dict[str, T]) -> Iterator[None]:
        """``replace`` in steps, so that others get a turn between them; nobody may change the store meanwhile."""
        before = self._objects
        changes: list[tuple[str, T | None, T | None]] = [
            (key, obj, None) for key, obj in before.items() if key not in objects
        ]
        for steps, (key, obj) in enumerate(objects.items() if before else (), 1):
            old = before.get(key)
            if old != obj:
                changes.append((key, old, obj))
            elif old is not None:
                objects[key] = old
            if steps % SLICE == 0:
                yield
        self._objects = objects
        for key, _, _ in changes:
            self._forget(key)
        reports = iter(changes) if before else ((key, None, obj) for key, obj in objects.items())
        while part := tuple(islice(reports, SLICE)):
            for key, old, now in part:
                self._report(key, old, now)
            yield

    def _forget(self, key: str) -> None:
        for memo in self._derived.values():
            memo.pop(key, None)

    def _report(self, key: str, before: T | None, now: T | None) -> None:
        for handler in tuple(self._handlers):
            handler(key, before, now)
