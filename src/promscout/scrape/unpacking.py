"""Bodies unpacked, however well they are packed, within a limit."""

from __future__ import annotations

import asyncio
import zlib
from typing import Final

from isal import igzip_lib, isal_zlib

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_PACKED_SLICE: Final = 1 << 20
_GZIP_START: Final = b"\x1f\x8b\x08"
_SMALL_PACKED: Final = 16 << 10
"""Bytes of which deflate, which packs no better than 1 to 1032, can make at most 16 MiB: some milliseconds."""

_SLICE: Final = 4 << 20  # bytes unpacked before others have their turn: some milliseconds


class BodyTooLargeError(Exception):
    """The body has at least as many bytes as the limit says."""


async def unpack(body: bytes, encoding: str, limit: int, deadline: float) -> bytes:
    """The body without its ``encoding``: ``gzip``, the one that is asked for; any other is left alone.

    Memory stays within ``limit`` and the packed body. Others have their turn while a large one is unpacked.

    Raises:
        BodyTooLargeError: it has ``limit`` bytes or more.
        TimeoutError: ``deadline`` (loop time) was reached.
        ValueError: it is not what ``encoding`` says, or is cut short.
    """
    unpacked = body
    if encoding == "gzip":
        unpacked = _gunzip_small(body) or await _gunzip(body, limit, deadline)
    if len(unpacked) >= limit:
        raise BodyTooLargeError
    return unpacked


def _gunzip_small(body: bytes) -> bytes:
    """A body of one member that cannot be large, at half the cost; empty where it is anything else."""
    if len(body) > _SMALL_PACKED or body.find(_GZIP_START, 1) > 0:
        return b""
    try:
        unpacked = isal_zlib.decompress(body, wbits=_GZIP_WINDOW)
    except igzip_lib.IsalError:  # type: ignore[misc]  # its stub makes an instance of the class
        return b""
    # What it ends with tells its size, and so whether anything follows.
    return unpacked if int.from_bytes(body[-4:], "little") == len(unpacked) else b""


async def _gunzip(body: bytes, limit: int, deadline: float) -> bytes:
    chunks: list[bytes] = []
    size = taken = 0
    pending: memoryview | bytes = b""
    while pending or taken < len(body) or not chunks:  # once for each member of the file; nearly always there is one
        member = isal_zlib.decompressobj(wbits=_GZIP_WINDOW)
        while not member.eof:
            if not pending:
                pending = memoryview(body)[taken : taken + _PACKED_SLICE]
                taken += len(pending)
            try:
                chunk = member.decompress(pending, min(_SLICE, limit - size))
            except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub makes an instance of the class
                raise ValueError(f"body is not gzip: {error}") from None
            pending = member.unconsumed_tail
            size += len(chunk)
            chunks.append(chunk)
            if size >= limit:
                raise BodyTooLargeError
            if not (member.eof or chunk or pending or taken < len(body)):
                raise ValueError("gzip body is cut short")
            if not member.eof or member.unused_data or taken < len(body):
                await _others_turn(deadline)
        pending = member.unused_data
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _others_turn(deadline: float) -> None:
    await asyncio.sleep(0)
    if asyncio.get_running_loop().time() > deadline:
        raise TimeoutError
