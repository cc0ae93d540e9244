"""Words that all must occur, in whatever case, in the labels of a target or beside them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Self

import msgspec

from promscout.model import labels as names
from promscout.model.labels import LabelRow
from promscout.scrape.pool import ActiveTarget

MOST_WORDS: Final = 20
"""Words of one search; further ones are not looked at."""


class Search(msgspec.Struct, frozen=True):
    """What is looked for. A label is found by ``name=value`` or a part of that; without words everything is found."""

    words: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """The words of ``text``. Quotes are left out: ``app="web"`` finds ``app=web``."""
        return cls(tuple(text.lower().replace('"', "").split()[:MOST_WORDS]))

    def __bool__(self) -> bool:
        return bool(self.words)

    def finds(self, text: str) -> bool:
        """Whether all words occur in ``text``."""
        text = text.lower()
        return all(word in text for word in self.words)

    def finds_active(self, active: ActiveTarget) -> bool:
        """Whether all words occur in the URL, the last error and the labels of a target, reserved ones left out."""
        if not self.words:
            return True
        target, last = active.loop.target, active.loop.last
        first, after, layout = _visible(target.names)
        values = target.values
        text = layout % (target.url, last.error if last is not None else "", *values[:first], *values[after:])
        return self.finds(text)

    def finds_rows(self, rows: Iterable[LabelRow]) -> bool:
        """Whether all words occur in discovered labels; ``rows`` is what they consist of."""
        return not self.words or self.finds("\n".join([_lines(row.names) % row.values for row in rows]))


@lru_cache(maxsize=1024)
def _visible(label_names: tuple[str, ...]) -> tuple[int, int, str]:
    """For sorted names: where the reserved ones begin and end, and a text into which the values of the others fit."""
    reserved = [place for place, name in enumerate(label_names) if name.startswith(names.RESERVED_PREFIX)]
    first, after = (reserved[0], reserved[-1] + 1) if reserved else (0, 0)
    return first, after, f"%s\n%s\n{_lines(label_names[:first] + label_names[after:])}"


@lru_cache(maxsize=4096)
def _lines(label_names: tuple[str, ...]) -> str:
    return "\n".join(f"{name.replace('%', '%%')}=%s" for name in label_names)
