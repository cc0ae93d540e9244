"""A target: something that can be scraped."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from typing import TypeAlias

import msgspec

from promscout.model.duration import Duration
from promscout.model.labels import LabelSet


class Target(msgspec.Struct, frozen=True, gc=False):
    """Something to scrape: all labels that relabelling left, meta labels excepted, and the URL they make.

    ``names`` are sorted and without duplicates, ``values`` are theirs, none of them empty. ``interval`` is the time
    between two scrapes and ``timeout`` the longest that one may take, as the labels say. Equality is identity: targets
    with equal labels and URL are one target, wherever they were found.
    """

    names: tuple[str, ...]
    values: tuple[str, ...]
    url: str
    interval: Duration
    timeout: Duration

    @property
    def all_labels(self) -> LabelSet:
        """Labels that start with ``__`` included."""
        return tuple(zip(self.names, self.values, strict=True))

    @property
    def labels(self) -> LabelSet:
        """The labels that its samples carry: those that do not start with ``__``."""
        # They are sorted: those with the prefix stand together, and "_`" is the first name that could follow them.
        first, after = bisect_left(self.names, "__"), bisect_left(self.names, "_`")
        pairs = self.all_labels
        return pairs[:first] + pairs[after:]

    @property
    def digest(self) -> int:
        """64 bits that are the same for the same identity in every process."""
        text = "\xff".join((*self.names, *self.values, self.url))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class Refused(msgspec.Struct, frozen=True):
    """A target that survived relabelling but cannot be scraped, and why."""

    reason: str


Built: TypeAlias = Target | Refused | None
"""What becomes of one target of a group; None when relabelling dropped it."""
