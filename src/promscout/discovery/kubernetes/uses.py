"""Which objects each group was built from."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeAlias

Dependency: TypeAlias = Hashable
"""Names an object that a group shows, or would show if it existed."""


class Uses:
    """Remembers, for each key, what its group looked up when it was last built.

    Guarantees: ``users`` of a dependency are exactly the keys whose last build recorded it, so a change of that object
    touches those groups and no other; looking up what does not exist counts, so its creation touches them as well.
    """

    def __init__(self) -> None:
        self._used: dict[str, tuple[Dependency, ...]] = {}
        self._users: dict[Dependency, dict[str, None]] = {}
        self._recording: dict[Dependency, None] = {}

    def record(self, dependency: Dependency) -> None:
        """The build under way looks ``dependency`` up."""
        self._recording[dependency] = None

    def begin(self) -> None:
        """A build starts."""
        self._recording = {}

    def end(self, key: str) -> None:
        """The build that started last was that of ``key``."""
        now, before = tuple(self._recording), self._used.get(key, ())
        if now == before:
            return
        for dependency in before:
            if dependency not in self._recording:
                users = self._users[dependency]
                del users[key]
                if not users:
                    del self._users[dependency]
        for dependency in now:
            self._users.setdefault(dependency, {})[key] = None
        if now:
            self._used[key] = now
        else:
            del self._used[key]

    def users(self, dependency: Dependency) -> Iterable[str]:
        """The keys whose groups show ``dependency``."""
        return tuple(self._users.get(dependency, ()))
