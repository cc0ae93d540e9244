"""Lists of targets, made when they are asked for and kept while nothing changes."""

from __future__ import annotations

import asyncio
import hashlib
import weakref
from collections import OrderedDict
from typing import Final, TypeAlias

import msgspec
from isal import isal_zlib

from promscout.downstream.availability import Discovered, UnavailableError, pool_of, settled_pool_of
from promscout.downstream.entries import pieces
from promscout.downstream.shards import Shard
from promscout.httpclient.single_flight import SingleFlight
from promscout.scrape.pool import ScrapePool

MOST_KEPT: Final = 64 << 20
"""Compressed bytes of all lists that are kept."""

PATIENCE: Final = 5.0
"""Seconds that a large change may take before whoever asks is told to come again."""

CHUNK: Final = 32 << 10
"""Compressed bytes that a list is sent in, or little more."""

_POLL: Final = 0.02  # seconds
_GZIP_LEVEL: Final = 1  # labels repeat so much that more effort saves little
_GZIP_FORMAT: Final = 31  # zlib's number for a gzip header and trailer


class ListingKey(msgspec.Struct, frozen=True):
    """Which list of a job is meant."""

    shard: Shard = Shard()
    raw: bool = False


class Listing(msgspec.Struct, frozen=True):
    """A list as it is sent.

    ``digest`` follows from the content; ``size`` is the bytes of the JSON text, which ``chunks`` are, compressed by
    gzip. ``revision`` is the pool's.
    """

    digest: str
    targets: int
    size: int
    chunks: tuple[bytes, ...]
    revision: int

    @property
    def compressed_size(self) -> int:
        """The bytes of all chunks."""
        return sum(map(len, self.chunks))


_Key: TypeAlias = tuple[str, ListingKey]


class _Kept(msgspec.Struct, frozen=True):
    """A list, and the pool that it was made of, by which it does not outlive that."""

    pool: weakref.ref[ScrapePool]
    listing: Listing


class Listings:
    """Makes lists of jobs' targets, and keeps the latest.

    Guarantees: there is no list of a job before all of its providers have found out what there is; a list is that of
    one moment at which everything discovered was built, never a mixture; it is made once for all who ask meanwhile, and
    not again while nothing changes; one list is made at a time, in short slices; at most ``most_kept`` compressed bytes
    of lists are kept, those asked for last.

    ``made`` counts lists, ``kept_bytes`` the compressed bytes that are kept now.
    """

    def __init__(self, agent: Discovered, most_kept: int = MOST_KEPT) -> None:
        self.made = 0
        self.kept_bytes = 0
        self._agent = agent
        self._most_kept = most_kept
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._flights: dict[_Key, SingleFlight[Listing]] = {}
        self._turn = asyncio.Lock()

    async def get(self, job: str, wanted: ListingKey) -> Listing:
        """The list as of now, or of a moment since it was asked for.

        Raises:
            NoSuchJobError: there is no such job.
            UnavailableError: not everything is known, or nothing has been settled for ``PATIENCE`` seconds.
        """
        pool = pool_of(self._agent, job)
        key = (job, wanted)
        kept = self._kept.get(key)
        if kept is not None and kept.pool() is pool and kept.listing.revision == pool.revision:
            self._kept.move_to_end(key)
            return kept.listing
        flight = self._flights.setdefault(key, SingleFlight(f"list of {job}"))
        try:
            return await flight.run(lambda: self._make(key))
        finally:
            if not flight.is_running and self._flights.get(key) is flight:
                del self._flights[key]

    async def close(self) -> None:
        """Give up what is being made."""
        for flight in tuple(self._flights.values()):
            await flight.close()
        self._flights.clear()

    async def _make(self, key: _Key) -> Listing:
        job, wanted = key
        for _ in range(round(PATIENCE / _POLL)):
            async with self._turn:
                pool = settled_pool_of(self._agent, job)
                if pool is not None:
                    listing = await _compressed(pool, wanted)
                    self.made += 1
                    self._keep(key, _Kept(weakref.ref(pool), listing))
                    return listing
            await asyncio.sleep(_POLL)
        raise UnavailableError(f"the targets of {job} are changing")

    def _keep(self, key: _Key, kept: _Kept) -> None:
        self._drop(key)
        for other in [key for key in self._kept if key[0] not in self._agent.scrape.pools]:
            self._drop(other)
        self._kept[key] = kept
        self.kept_bytes += kept.listing.compressed_size
        while self.kept_bytes > self._most_kept:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> None:
        dropped = self._kept.pop(key, None)
        if dropped is not None:
            self.kept_bytes -= dropped.listing.compressed_size


async def _compressed(pool: ScrapePool, wanted: ListingKey) -> Listing:
    revision, targets, size = pool.revision, 0, 0
    digest = hashlib.blake2b(digest_size=16)
    compressor = isal_zlib.compressobj(_GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT)
    chunks: list[bytes] = []
    chunk = bytearray()
    async for piece in pieces(pool, wanted.shard, raw=wanted.raw):
        digest.update(piece.text)
        targets += piece.targets
        size += len(piece.text)
        chunk += compressor.compress(piece.text)
        if len(chunk) >= CHUNK:
            chunks.append(bytes(chunk))
            chunk.clear()
    chunk += compressor.flush()
    chunks.append(bytes(chunk))
    return Listing(digest.hexdigest(), targets, size, tuple(chunks), revision)
