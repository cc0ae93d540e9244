"""A dict that never changes, so that configuration values can be compared, hashed and shared."""

from __future__ import annotations

from typing import NoReturn, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenDict(dict[K, V]):
    """An immutable dict, hashable when its values are. Equal to any dict with the same items, in any order."""

    __slots__ = ()

    def __hash__(self) -> int:  # type: ignore[override]  # dict is unhashable only because it can change
        return hash(frozenset(self.items()))

    def __repr__(self) -> str:
        return f"FrozenDict({dict.__repr__(self)})"

    def _refuse(self, *_args: object, **_options: object) -> NoReturn:
        raise TypeError("a FrozenDict cannot be changed")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def copy(self) -> FrozenDict[K, V]:
        """The same object: a copy of something that cannot change is itself."""
        return self

    def __reduce__(self) -> tuple[type[FrozenDict[K, V]], tuple[dict[K, V]]]:
        return type(self), (dict(self),)
