"""Which of several servers a target belongs to."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

import msgspec

from promscout.errors import InvalidValueError

MOST_SHARDS: Final = 1024
"""Servers that share a job's targets, at most."""

_FACTOR: Final = 2862933555777941757
_64_BITS: Final = (1 << 64) - 1


class Shard(msgspec.Struct, frozen=True):
    """One of ``count`` parts of a job's targets, which are disjoint and together all of them. Numbers start at 0.

    Raises:
        InvalidValueError: there is no such part, or there are more than ``MOST_SHARDS``.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MOST_SHARDS:
            raise InvalidValueError(f"the number of shards must be from 1 to {MOST_SHARDS}")
        if not 0 <= self.index < self.count:
            raise InvalidValueError(f"shards are numbered from 0: there is no {self.index} of {self.count}")

    def __contains__(self, place: str) -> bool:
        """Whether the targets at this place, a URL or an address, are in this part.

        Not their labels decide: a target that gets others stays with its server.
        """
        return self.count == 1 or shard_of(digest_of(place), self.count) == self.index


def digest_of(place: str) -> int:
    """64 bits that are the same in every process."""
    return int.from_bytes(blake2b(place.encode(), digest_size=8).digest())


def shard_of(digest: int, count: int) -> int:
    """The shard, from 0 to ``count`` - 1, of what has this digest, 64 bits.

    With one shard more, a share of 1 / (``count`` + 1) of the targets moves, all of them to the new one.

    Source: Lamping and Veach, A Fast, Minimal Memory, Consistent Hash Algorithm, 2014.
    """
    chosen, following = 0, 0
    while following < count:
        chosen = following
        digest = (digest * _FACTOR + 1) & _64_BITS
        following = int((chosen + 1) * ((1 << 31) / ((digest >> 33) + 1)))
    return chosen
