"""A store of objects by key, with change handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeAlias, TypeVar, cast

from promscout.kube.objects import KubeObject

T = TypeVar("T", bound=KubeObject)
V = TypeVar("V")

Handler: TypeAlias = Callable[[str, T | None, T | None], None]
"""Called with the key, the object before (None: added) and the object now (None: deleted)."""


class Store(Generic[T]):
    """The objects of one collection as last seen, each under its key.

    Guarantees: handlers run synchronously, in the order of subscription, after the store shows the change; a handler is
    called only for a real change (equal objects are stored silently); ``replace`` reports exactly the difference
    between old and new contents.
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
        self._objects[key] = obj
        if before != obj:
            self._changed(key, before, obj)

    def delete(self, key: str) -> None:
        """Forget the object under ``key``, if there is one."""
        before = self._objects.pop(key, None)
        if before is not None:
            self._changed(key, before, None)

    def replace(self, objects: Mapping[str, T]) -> None:
        """Make ``objects`` the whole contents."""
        for key in [key for key in self._objects if key not in objects]:
            self.delete(key)
        for key, obj in objects.items():
            self.put(key, obj)

    def _changed(self, key: str, before: T | None, now: T | None) -> None:
        for memo in self._derived.values():
            memo.pop(key, None)
        for handler in tuple(self._handlers):
            handler(key, before, now)
