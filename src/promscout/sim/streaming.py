"""Turns a body of many small pieces into a stream of few large ones, compressed where wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from isal import isal_zlib

_CHUNK: Final = 256 * 1024


def in_chunks(parts: Sequence[bytes]) -> Iterator[bytes]:
    """``parts`` joined into pieces of about 256 KiB."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= _CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def gzipped(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """``chunks`` as one gzip stream; at the fastest level, as the real server does it."""
    compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, 31)
    for chunk in chunks:
        packed = compressor.compress(chunk)
        if packed:
            yield packed
    yield compressor.flush()
