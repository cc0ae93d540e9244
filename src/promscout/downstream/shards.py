"""Which of several servers a target belongs to."""

from __future__ import annotations

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

    def __contains__(self, digest: int) -> bool:
        """Whether the target with this digest, 64 bits, is in this part."""
        return self.count == 1 or shard_of(digest, self.count) == self.index


def shard_of(digest: int, count: int) -> int:
    """The shard, from 0 to ``count`` - 1, of the target with this digest, 64 bits; the same in every process.

    With one shard more, a share of 1 / (``count`` + 1) of the targets moves, all of them to the new one.

    Source: Lamping and Veach, A Fast, Minimal Memory, Consistent Hash Algorithm, 2014.
    """
    chosen, following = 0, 0
    while following < count:
        chosen = following
        digest = (digest * _FACTOR + 1) & _64_BITS
        following = int((chosen + 1) * ((1 << 31) / ((digest >> 33) + 1)))
    return chosen
