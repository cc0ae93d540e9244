"""Configuration files as text: read within bounds of time and size, whatever kind of file it is."""

from __future__ import annotations

import errno
import os
import select
import stat
import time
from typing import Final

from promscout.errors import ConfigError, ConfigUnreadable, Problem

MAX_SIZE: Final = 64 << 20
"""Bytes of a file; real ones of big installations have a few million."""

SILENCE: Final = 2.0
"""Seconds for which a pipe may give nothing: enough for a program that has been started to write into it."""

PATIENCE: Final = 20.0
"""Seconds for all of a pipe."""

_CHUNK: Final = 1 << 20


def read_source(file: str) -> str:
    """The text of a file, or of what a program writes into a pipe (``/dev/stdin``, ``<(program)``).

    Raises:
        ConfigUnreadable: it cannot be read, or is a pipe that nobody writes into.
        ConfigError: it is too large, or not UTF-8.
    """
    try:
        data = _read(file)
    except (OSError, ValueError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
        raise ConfigUnreadable((Problem(file, 0, 0, "", f"cannot read the file: {reason}"),)) from error
    return decode_source(data, file)


def decode_source(data: bytes, file: str) -> str:
    """The text of a file's content.

    Raises:
        ConfigError: it is too large, or not UTF-8.
    """
    if len(data) > MAX_SIZE:
        raise ConfigError((Problem(file, 0, 0, "", f"larger than {MAX_SIZE} bytes"),))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError((Problem(file, 1, 1, "", "not valid UTF-8: this is UTF-16, save the file as UTF-8"),))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise ConfigError((Problem(file, line, column, "", "not valid UTF-8"),)) from None


def _read(file: str) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # opening a pipe would wait for its writer
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            return _read_regular(descriptor)
        return _read_pipe(descriptor)
    finally:
        os.close(descriptor)


def _read_regular(descriptor: int) -> bytes:
    parts, size = [], 0
    while size <= MAX_SIZE and (part := os.read(descriptor, _CHUNK)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _read_pipe(descriptor: int) -> bytes:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    parts, size, end = [], 0, time.monotonic() + PATIENCE
    while size <= MAX_SIZE:
        if not poll.poll(SILENCE * 1000) or time.monotonic() > end:
            raise TimeoutError(errno.ETIMEDOUT, "it is a pipe or a terminal, and nobody writes into it")
        part = os.read(descriptor, _CHUNK)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)
