"""Which targets a request asks for."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final, Self

import msgspec
from multidict import MultiMapping

from promscout.errors import InvalidValueError
from promscout.model.labels import RESERVED_PREFIX, LabelSet
from promscout.scrape.pool import ActiveTarget
from promscout.scrape.target import Target
from promscout.web.search import Search
from promscout.web.selector import Selector

HEALTHS: Final = ("up", "down", "unknown")
"""Source: prometheus v3.x scrape/target.go TargetHealth."""

_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)
_OURS: Final = frozenset({"match", "match[]", "search", "q", "health", "limit", "offset"})


class TargetFilter(msgspec.Struct, frozen=True):
    """Which targets are asked for. Source of the first three: prometheus v3.x web/api/v1/api.go targets.

    One of ``selectors`` has to accept the labels that the answer shows of a target: the discovered ones of a dropped
    target, as it has no others. Dropped targets have no health. ``paged`` says whether anything was asked for that
    Prometheus does not have; then it is told how many match, whether within ``offset`` and ``limit`` or not.
    """

    active: bool = True
    dropped: bool = True
    pool: str = ""
    selectors: tuple[Selector, ...] = ()
    search: Search = Search()
    healths: frozenset[str] = frozenset()
    offset: int = 0
    limit: int = 0  # 0: none
    paged: bool = False

    @classmethod
    def from_query(cls, query: MultiMapping[str]) -> Self:
        """What the URL's parameters ask for; an empty one is as good as none.

        An unknown state selects nothing and is no error, as in Prometheus.

        Raises:
            InvalidValueError: one of the parameters that Prometheus does not have cannot be understood.
        """
        given = [(name, value) for name, value in query.items() if value]
        state = query.get("state", "").lower()
        health = frozenset(value for name, value in given if name == "health")
        if wrong := sorted(health.difference(HEALTHS)):
            raise _invalid("health", f'"{wrong[0]}" is none of {", ".join(HEALTHS)}')
        return cls(
            active=state in ("", "any", "active"),
            dropped=state in ("", "any", "dropped") and not health,
            pool=query.get("scrapePool", ""),
            selectors=tuple(_selectors(given)),
            search=Search.parse(" ".join(value for name, value in given if name in ("search", "q"))),
            healths=health,
            offset=_number("offset", query.get("offset", "")),
            limit=_number("limit", query.get("limit", "")),
            paged=any(name in _OURS for name, _ in given),
        )

    @property
    def takes_all(self) -> bool:
        """Whether no target needs to be looked at to know whether it is asked for, unless for its health."""
        return not self.selectors and not self.search

    def accepts_active(self, active: ActiveTarget, health: str) -> bool:
        """Whether an active target of the pools that are asked for is asked for itself."""
        if self.healths and health not in self.healths:
            return False
        if self.takes_all:
            return True
        target = active.loop.target
        return self._selects(partial(_label, target)) and self.search.finds_active(active)

    def accepts_dropped(self, discovered: LabelSet) -> bool:
        """Whether a dropped target of the pools that are asked for is asked for itself."""
        labels = dict(discovered)
        return self._selects(lambda name: labels.get(name, "")) and (
            not self.search or self.search.finds("\n".join([f"{name}={value}" for name, value in discovered]))
        )

    def _selects(self, value_of: Callable[[str], str]) -> bool:
        return not self.selectors or any(selector.accepts_values(value_of) for selector in self.selectors)


class Window:
    """Counts what is found, and says what of it lies between ``offset`` and ``offset`` + ``limit``."""

    def __init__(self, wanted: TargetFilter) -> None:
        self.found = 0
        self._start = wanted.offset
        self._stop = wanted.offset + wanted.limit if wanted.limit else None

    @property
    def is_past(self) -> bool:
        """Whether nothing more is to be shown, whatever is found."""
        return self._stop is not None and self.found >= self._stop

    def takes(self) -> bool:
        """Count one more; whether it is to be shown."""
        position = self.found
        self.found += 1
        return position >= self._start and (self._stop is None or position < self._stop)


def _label(target: Target, name: str) -> str:
    """A label that samples carry, empty where the target has none: found faster than all labels are listed."""
    names = target.names
    place = bisect_left(names, name)
    if place == len(names) or names[place] != name or name.startswith(RESERVED_PREFIX):
        return ""
    return target.values[place]


def _selectors(given: Iterable[tuple[str, str]]) -> Iterator[Selector]:
    for name, text in given:
        if name in ("match", "match[]"):
            try:
                yield Selector.parse(text)
            except InvalidValueError as error:
                raise _invalid(name, str(error)) from error


def _number(name: str, text: str) -> int:
    if not text:
        return 0
    if _NUMBER.fullmatch(text) is None:
        raise _invalid(name, "it must be a number that is not negative")
    return int(text)


def _invalid(name: str, reason: str) -> InvalidValueError:
    return InvalidValueError(f'invalid parameter "{name}": {reason}')
