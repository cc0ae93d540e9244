"""A store of objects by key, with indexes and change handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Generic, TypeAlias, TypeVar

from promscout.kube.objects import KubeObject

T = TypeVar("T", bound=KubeObject)

Handler: TypeAlias = Callable[[str, T | None, T | None], None]
"""Called with the key, the object before (None: added) and the object now (None: deleted)."""

IndexFunction: TypeAlias = Callable[[T], Iterable[str]]


class Store(Generic[T]):
    """The objects of one collection as last seen, each under its key.

    Guarantees: handlers run synchronously, in the order of subscription, after store and indexes show the change; a
    handler is called only for a real change (equal objects are stored silently); ``replace`` reports exactly the
    difference between old and new contents; ``by_index`` equals a full scan at all times.
    """

    def __init__(self) -> None:
        self._objects: dict[str, T] = {}
        self._handlers: list[Handler[T]] = []
        self._index_functions: dict[str, IndexFunction[T]] = {}
        self._indexes: dict[str, dict[str, set[str]]] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __contains__(self, key: str) -> bool:
        return key in self._objects

    def get(self, key: str) -> T | None:
        """The object under ``key``, or None."""
        return self._objects.get(key)

    def subscribe(self, handler: Handler[T]) -> Callable[[], None]:
        """Call ``handler`` at every change from now on; calling the result ends that."""
        self._handlers.append(handler)
        return lambda: self._handlers.remove(handler)

    def add_index(self, name: str, function: IndexFunction[T]) -> None:
        """Keep an index ``name`` of the values ``function`` gives for an object. The first function given stays."""
        if name in self._index_functions:
            return
        self._index_functions[name] = function
        index = self._indexes[name] = {}
        for key, obj in self._objects.items():
            for value in function(obj):
                index.setdefault(value, set()).add(key)

    def by_index(self, name: str, value: str) -> tuple[str, ...]:
        """The keys of all objects for which index ``name`` has ``value``, sorted."""
        return tuple(sorted(self._indexes[name].get(value, ())))

    def put(self, key: str, obj: T) -> None:
        """Store ``obj`` under ``key``."""
        before = self._objects.get(key)
        self._objects[key] = obj
        if before == obj:
            return
        self._reindex(key, before, obj)
        self._notify(key, before, obj)

    def delete(self, key: str) -> None:
        """Forget the object under ``key``, if there is one."""
        before = self._objects.pop(key, None)
        if before is not None:
            self._reindex(key, before, None)
            self._notify(key, before, None)

    def replace(self, objects: Mapping[str, T]) -> None:
        """Make ``objects`` the whole contents."""
        for key in [key for key in self._objects if key not in objects]:
            self.delete(key)
        for key, obj in objects.items():
            self.put(key, obj)

    def _reindex(self, key: str, before: T | None, now: T | None) -> None:
        for name, function in self._index_functions.items():
            old = set(function(before)) if before is not None else set()
            new = set(function(now)) if now is not None else set()
            index = self._indexes[name]
            for value in old - new:
                index[value].discard(key)
                if not index[value]:
                    del index[value]
            for value in new - old:
                index.setdefault(value, set()).add(key)

    def _notify(self, key: str, before: T | None, now: T | None) -> None:
        for handler in tuple(self._handlers):
            handler(key, before, now)
