"""The cluster's state: objects under one revision counter, their recent history, and who wants to know of changes.

Guarantees:

- Every write takes the next revision; a refused write takes none.
- ``state_at(revision)`` is exact for every revision since the last compaction.
- Subscribers hear of every change after they subscribe, in order, synchronously, before the write returns.

Pure: no I/O and no event loop. Time stamps come from the clock passed in, uids from a seeded generator.
"""

from __future__ import annotations

import bisect
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from promscout.model.clock import Clock, SystemClock
from promscout.sim import status
from promscout.sim.objects import Change, ObjectKey, Stored, encode, sort_key
from promscout.sim.resources import PODS, JsonObject, Resource, of_object

Subscriber = Callable[[Change], None]


@dataclass(slots=True)
class _Table:
    """The current objects of one resource; ``keys`` stays sorted by :func:`sort_key`."""

    objects: dict[ObjectKey, Stored] = field(default_factory=dict)
    keys: list[ObjectKey] = field(default_factory=list)

    def put(self, stored: Stored) -> None:
        if stored.key not in self.objects:
            bisect.insort(self.keys, stored.key, key=sort_key)
        self.objects[stored.key] = stored

    def drop(self, key: ObjectKey) -> None:
        del self.objects[key]
        del self.keys[bisect.bisect_left(self.keys, sort_key(key), key=sort_key)]


class ObjectStore:
    """All objects of a simulated cluster.

    ``history_limit`` is how many changes are kept for watches and exact lists; older ones are compacted away.
    ``seed`` makes uids and generated names repeatable.
    """

    def __init__(self, *, clock: Clock | None = None, history_limit: int = 10_000, seed: int = 0) -> None:
        self.revision = 1
        self.compacted = 0
        self._clock = clock or SystemClock()
        self._history: deque[Change] = deque()
        self._history_limit = history_limit
        self._random = random.Random(seed)  # noqa: S311 - repeatable names, not secrets
        self._tables: dict[Resource, _Table] = {}
        self._subscribers: dict[int, Subscriber] = {}
        self._last_subscriber = 0

    # Reading

    def get(self, resource: Resource, namespace: str, name: str) -> Stored:
        """The current version of an object.

        Raises:
            Refusal: 404.
        """
        stored = self._table(resource).objects.get((namespace, name))
        if stored is None:
            raise status.not_found(resource, name)
        return stored

    def list(self, resource: Resource, namespace: str = "") -> Sequence[Stored]:
        """The current objects of a resource, of all namespaces or of one, in the server's order."""
        table = self._table(resource)
        return [table.objects[key] for key in table.keys if not namespace or key[0] == namespace]

    def state_at(self, resource: Resource, revision: int) -> Sequence[Stored]:
        """The objects of a resource as they were at ``revision``, in the server's order.

        Raises:
            Refusal: 410 when the history does not reach back that far.
        """
        if revision < self.compacted:
            raise status.list_expired()
        table = self._table(resource)
        undone: dict[ObjectKey, Stored | None] = {}
        for change in self._backwards(resource, revision):
            undone[change.key] = change.before
        if not undone:
            return [table.objects[key] for key in table.keys]
        objects = {**table.objects, **undone}
        return [stored for key in sorted(objects, key=sort_key) if (stored := objects[key]) is not None]

    def changes(self, resource: Resource, after: int) -> Sequence[Change]:
        """What happened to objects of a resource since revision ``after``, oldest first.

        Raises:
            Refusal: 410 when the history does not reach back that far.
        """
        if after < self.compacted:
            raise status.watch_expired(after, self.compacted)
        return list(self._backwards(resource, after))[::-1]

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` for every change from now on; the returned function ends that."""
        self._last_subscriber += 1
        number = self._last_subscriber
        self._subscribers[number] = subscriber

        def unsubscribe() -> None:
            self._subscribers.pop(number, None)

        return unsubscribe

    # Writing

    def create(self, resource: Resource, obj: JsonObject, namespace: str = "") -> Stored:
        """Store a new object; it gets a uid, a creation time and, where it has only a generateName, a name.

        The caller's ``obj`` is left alone. ``namespace`` fills in a missing one.

        Raises:
            Refusal: 409 when it exists, 422 without a name, 400 when the namespaces disagree.
        """
        metadata = dict(obj.get("metadata") or {})
        if resource.namespaced:
            own = metadata.setdefault("namespace", namespace or "default")
            if namespace and own != namespace:
                raise status.bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
        else:
            metadata.pop("namespace", None)
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = metadata["generateName"] + self._suffix()
        name = metadata.get("name")
        if not name:
            raise status.invalid(resource, "", "metadata.name: Required value: name or generateName is required")
        if (metadata.get("namespace", ""), name) in self._table(resource).objects:
            raise status.already_exists(resource, name)
        metadata["uid"] = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        metadata["creationTimestamp"] = self.now()
        if resource.counts_generations:
            metadata["generation"] = 1
        return self._commit(resource, None, {**obj, "metadata": metadata})

    def add(self, obj: JsonObject) -> Stored:
        """:meth:`create` for an object that carries its ``apiVersion`` and ``kind``."""
        return self.create(of_object(obj), obj)

    def load(self, resource: Resource, objects: Iterable[JsonObject], revision: int = 0) -> None:
        """Put objects in as they are, with their metadata and resource versions, as if restored from a backup.

        The counter moves to ``revision`` or the largest resource version seen, and the history begins there.
        """
        table = self._table(resource)
        for obj in objects:
            stored = encode(resource, dict(obj), int(obj["metadata"]["resourceVersion"]))
            table.put(stored)
            revision = max(revision, stored.revision)
        self.revision = max(self.revision, revision)
        self.compact()

    def replace(self, resource: Resource, namespace: str, name: str, obj: JsonObject) -> Stored:
        """Put ``obj`` in place of the stored one. An unchanged object keeps its revision, as in the real server.

        Where ``obj`` carries a resource version it must be the current one. Identity (uid, creation time, deletion
        time) stays the stored object's. A deleted object whose last finalizer is gone disappears.

        Raises:
            Refusal: 404, 409 conflict, 400 when the name differs.
        """
        old = self.get(resource, namespace, name)
        return self._put(old, obj)

    def patch(
        self, resource: Resource, namespace: str, name: str, change: Callable[[JsonObject], JsonObject]
    ) -> Stored:
        """Replace the stored object by what ``change`` makes of a copy of it (without kind and apiVersion)."""
        old = self.get(resource, namespace, name)
        return self._put(old, change(old.decode()))

    def delete(self, resource: Resource, namespace: str, name: str) -> Stored:
        """Delete an object and return its last version.

        Pods and objects with finalizers are first marked (one change with a deletion time); the latter stay until
        their finalizers are removed.

        Raises:
            Refusal: 404.
        """
        stored = self.get(resource, namespace, name)
        obj = stored.decode()
        metadata = obj["metadata"]
        if (resource is PODS or metadata.get("finalizers")) and "deletionTimestamp" not in metadata:
            metadata["deletionTimestamp"] = self.now()
            metadata["deletionGracePeriodSeconds"] = 0
            if resource.counts_generations:
                metadata["generation"] = metadata.get("generation", 0) + 1
            stored = self._commit(resource, stored, obj)
        if metadata.get("finalizers"):
            return stored
        return self._remove(stored)

    def compact(self, revision: int | None = None) -> None:
        """Forget the history up to ``revision`` (default: all of it): older watches and exact lists answer 410."""
        self.compacted = max(self.compacted, self.revision if revision is None else min(revision, self.revision))
        while self._history and self._history[0].revision <= self.compacted:
            self._history.popleft()

    def now(self) -> str:
        """The time as objects carry it, for example ``2026-01-02T03:04:05Z``."""
        return datetime.fromtimestamp(self._clock.now_ms() // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    # The machinery

    def _table(self, resource: Resource) -> _Table:
        return self._tables.setdefault(resource, _Table())

    def _backwards(self, resource: Resource, revision: int) -> Iterable[Change]:
        for change in reversed(self._history):
            if change.revision <= revision:
                return
            if change.resource is resource:
                yield change

    def _suffix(self) -> str:
        return "".join(self._random.choices("bcdfghjklmnpqrstvwxz2456789", k=5))

    def _put(self, old: Stored, obj: JsonObject) -> Stored:
        before = old.decode()
        kept = before["metadata"]
        metadata = dict(obj.get("metadata") or {})
        if metadata.get("name", old.name) != old.name:
            raise status.bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({old.name})"
            )
        if metadata.get("resourceVersion") not in (None, "", "0", str(old.revision)):
            raise status.conflict(old.resource, old.name)
        for key in ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "generation"):
            metadata.pop(key, None)
            if key in kept:
                metadata[key] = kept[key]
        metadata["resourceVersion"] = kept["resourceVersion"]
        after = {**obj, "metadata": {key: value for key, value in metadata.items() if value not in (None, "", {}, [])}}
        after.pop("kind", None)
        after.pop("apiVersion", None)
        if after == before:
            return old
        if old.resource.counts_generations and _desired(after) != _desired(before):
            after["metadata"]["generation"] = kept.get("generation", 0) + 1
        stored = self._commit(old.resource, old, after)
        if "deletionTimestamp" in metadata and not metadata.get("finalizers"):
            return self._remove(stored)
        return stored

    def _commit(self, resource: Resource, before: Stored | None, obj: JsonObject) -> Stored:
        stored = encode(resource, obj, self.revision + 1)
        self._table(resource).put(stored)
        self._record(Change(stored.revision, before, stored))
        return stored

    def _remove(self, stored: Stored) -> Stored:
        self._table(stored.resource).drop(stored.key)
        self._record(Change(self.revision + 1, stored, None))
        return stored

    def _record(self, change: Change) -> None:
        self.revision = change.revision
        self._history.append(change)
        if len(self._history) > self._history_limit:
            self.compacted = self._history.popleft().revision
        for subscriber in list(self._subscribers.values()):
            subscriber(change)


def _desired(obj: JsonObject) -> JsonObject:
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
