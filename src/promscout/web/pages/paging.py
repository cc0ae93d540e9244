"""One page of many things, which come one after the other and of which the others are not kept."""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Some of ``found`` things; pages count from 1."""

    items: tuple[T, ...] = ()
    found: int = 0
    number: int = 1
    size: int = 1

    @property
    def pages(self) -> int:
        """How many pages there are, at least 1."""
        return max(1, -(-self.found // self.size))

    @property
    def first(self) -> int:
        """Number of the page's first thing, from 1."""
        return (self.number - 1) * self.size + 1

    @property
    def last(self) -> int:
        """Number of the page's last thing."""
        return min(self.found, self.first + self.size - 1)


class Paging(Generic[T]):
    """Takes things and keeps those of the page that is asked for, or of the last one where there is none as late."""

    def __init__(self, number: int, size: int) -> None:
        self.found = 0
        self._number = number
        self._size = size
        self._stop = number * size
        self._current: list[T] = []  # of the page that is being filled, up to the one that is asked for

    def add(self, item: T) -> None:
        """Take the next one."""
        at, self.found = self.found, self.found + 1
        if at < self._stop:
            if at % self._size == 0:
                self._current = []
            self._current.append(item)

    def page(self) -> Page[T]:
        """The page of all that came."""
        pages = max(1, -(-self.found // self._size))
        return Page(tuple(self._current), self.found, min(self._number, pages), self._size)
