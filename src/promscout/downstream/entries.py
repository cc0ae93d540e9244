"""The targets of a pool as Prometheus's list of target groups."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import Final, TypeAlias

import msgspec

from promscout.downstream.defaults import WITHOUT, defaulted
from promscout.downstream.shards import Shard
from promscout.model import labels as names
from promscout.model.group import TargetGroup
from promscout.scrape.pool import ScrapePool
from promscout.scrape.target import Target

SLICE_SECONDS: Final = 0.003
"""How long the event loop is held at a time."""

_AT_ONCE: Final = 16  # entries between two looks at the time
_PER_PIECE: Final = 128  # entries
_BUCKETS: Final = 256

_encode: Final = msgspec.json.Encoder().encode

_Entry: TypeAlias = tuple[int, Callable[[], dict[str, object]], int]
"""Digest, by which the list is in order, what makes the group, and how many targets it has."""


class Piece(msgspec.Struct, frozen=True):
    """A part of a list, and how many targets stand in it."""

    text: bytes
    targets: int


async def pieces(pool: ScrapePool, shard: Shard, *, raw: bool) -> AsyncIterator[Piece]:
    """The list of a pool's targets as they are when the first piece is asked for, as JSON in parts of bounded size.

    Each target is a group: its address, and as labels all others that relabelling left; a job that changes nothing
    makes the same target of them. With ``raw`` it is what was discovered, before relabelling, without the job's
    defaults; targets of a group with the same labels but for the address are one. The order follows from the content.

    Work is done in slices of ``SLICE_SECONDS``.

    Source: prometheus v3.x docs http_sd.
    """
    found = _groups(pool, shard) if raw else _targets(pool, shard)
    pause = _Pauses()
    buckets: list[list[_Entry]] = [[] for _ in range(_BUCKETS)]
    while some := list(islice(found, _AT_ONCE)):
        for entry in some:
            if entry is not None:
                # Sorting many at once would hold the loop.
                buckets[entry[0] >> 56].append(entry)
        await pause()
    separator = b"["
    for bucket in buckets:
        bucket.sort(key=_digest_of)
        rest = iter(bucket)
        while some := list(islice(rest, _PER_PIECE)):
            texts = []
            for entry in some:
                texts.append(_encode(entry[1]()))
                await pause()
            yield Piece(separator + b",\n".join(texts), sum(entry[2] for entry in some))
            separator = b",\n"
        bucket.clear()
    yield Piece(b"[]\n" if separator == b"[" else b"]\n", 0)


class _Pauses:
    """Lets the event loop go on whenever a slice is over."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_SECONDS

    async def __call__(self) -> None:
        if time.perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + SLICE_SECONDS


def _digest_of(entry: _Entry) -> int:
    return entry[0]


def _targets(pool: ScrapePool, shard: Shard) -> Iterator[_Entry | None]:
    """An item for each active target, None for one of another shard."""
    # At once: what comes and goes while the list is made must not be missing in both.
    active = [target for target, active in pool.active.items() if active.places]
    usual = defaulted(pool.config)
    for target in active:
        yield (target.digest, partial(_final, target, usual), 1) if target.url in shard else None


def _final(target: Target, usual: frozenset[str]) -> dict[str, object]:
    labels = dict(zip(target.names, target.values, strict=True))
    address = labels.pop(names.ADDRESS)
    if not usual <= labels.keys():
        labels |= {WITHOUT + name: "true" for name in sorted(usual - labels.keys())}
    return {"targets": [address], "labels": labels}


def _groups(pool: ScrapePool, shard: Shard) -> Iterator[_Entry | None]:
    """An item for the targets of a group that have the same labels, None for a target of another shard."""
    for _, group, _ in pool.groups():
        alike: dict[bytes, list[tuple[int, str]]] = {}
        for position in range(len(group.targets)):
            labels = _discovered(group, position)
            address = labels.pop(names.ADDRESS, "")
            text = _encode(sorted(labels.items()))
            if address in shard:
                alike.setdefault(text, []).append((position, address))
            yield None
        for text, members in alike.items():
            addresses = [address for _, address in members]
            yield _digest(text, addresses), partial(_raw, group, members[0][0], addresses), len(addresses)


def _raw(group: TargetGroup, position: int, addresses: list[str]) -> dict[str, object]:
    labels = _discovered(group, position)
    labels.pop(names.ADDRESS, None)
    return {"targets": addresses, "labels": dict(sorted(labels.items()))}


def _discovered(group: TargetGroup, position: int) -> dict[str, str]:
    return {name: value for name, value in group.labels_of(position).items() if value}


def _digest(labels: bytes, addresses: Iterable[str]) -> int:
    text = b"\xff".join((labels, *(address.encode() for address in addresses)))
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest())
