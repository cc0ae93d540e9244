"""The targets of a pool as Prometheus's list of target groups."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache, partial
from itertools import islice
from typing import Final, TypeAlias
from zlib import crc32

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
_encode_sorted: Final = msgspec.json.Encoder(order="deterministic").encode

_Order: TypeAlias = tuple[int, str, tuple[str, ...], int]
"""Where an entry stands: a number of 32 bits that follows from the text after it, then more, should that be equal."""

_Entry: TypeAlias = tuple[_Order, Callable[[], bytes], int]
"""Order, what makes the group's text, and how many targets it has."""


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
                buckets[entry[0][0] >> 24].append(entry)
        await pause()
    separator = b"["
    for bucket in buckets:
        bucket.sort(key=_order_of)
        for start in range(0, len(bucket), _PER_PIECE):
            texts: list[bytes] = []
            part = bucket[start : start + _PER_PIECE]
            for first in range(0, len(part), _AT_ONCE):
                texts += [make() for _, make, _ in part[first : first + _AT_ONCE]]
                await pause()
            yield Piece(separator + b",\n".join(texts), sum(targets for _, _, targets in part))
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


def _order_of(entry: _Entry) -> _Order:
    return entry[0]


def _targets(pool: ScrapePool, shard: Shard) -> Iterator[_Entry | None]:
    """An item for each active target, None for one of another shard."""
    # At once: what comes and goes while the list is made must not be missing in both.
    active = [target for target, active in pool.active.items() if active.places]
    usual = defaulted(pool.config)
    for target in active:
        url = target.url
        if url in shard:
            yield (crc32(url.encode()), url, target.names + target.values, 0), partial(_final, target, usual), 1
        else:
            yield None


class _Layout(msgspec.Struct, frozen=True):
    """The text of a target with certain label names, ``%b`` for each value; ``place`` is that of the address."""

    template: bytes
    place: int


@lru_cache(maxsize=512)
def _layout(labels: tuple[str, ...], usual: frozenset[str]) -> _Layout:
    """Made once for all targets that differ in values only: a third of what encoding a dict takes."""
    place = labels.index(names.ADDRESS)
    fields = [_quoted(name) + b":%b" for name in (*labels[:place], *labels[place + 1 :])]
    fields += [_quoted(WITHOUT + name) + b':"true"' for name in sorted(usual.difference(labels))]
    return _Layout(b'{"targets":[%b],"labels":{' + b",".join(fields) + b"}}", place)


def _quoted(name: str) -> bytes:
    return _encode(name).replace(b"%", b"%%")


def _final(target: Target, usual: frozenset[str]) -> bytes:
    layout = _layout(target.names, usual)
    values = list(map(_encode, target.values))
    values.insert(0, values.pop(layout.place))
    return layout.template % tuple(values)


def _groups(pool: ScrapePool, shard: Shard) -> Iterator[_Entry | None]:
    """An item for the targets of a group that have the same labels, None for a target that makes none."""
    number = 0
    for (_, source), group, _ in pool.groups():
        alike: dict[tuple[tuple[str, str], ...], tuple[int, list[str]]] = {}
        for position, row in enumerate(group.targets):
            address = row.as_dict().get(names.ADDRESS, "")
            if address in shard:
                labels = tuple(_discovered(group, position).items()) if len(group.targets) > 1 else ()
                alike.setdefault(labels, (position, []))[1].append(address)
            yield None
        for position, addresses in alike.values():
            number += 1
            order = crc32(addresses[0].encode()), addresses[0], (source,), number
            yield order, partial(_raw, group, position, addresses), len(addresses)


def _raw(group: TargetGroup, position: int, addresses: list[str]) -> bytes:
    return _encode_sorted({"targets": addresses, "labels": _discovered(group, position)})


def _discovered(group: TargetGroup, position: int) -> dict[str, str]:
    """The labels of a target but its address; an empty one is none."""
    labels = group.labels_of(position)
    labels.pop(names.ADDRESS, None)
    return {name: value for name, value in labels.items() if value} if "" in labels.values() else labels
