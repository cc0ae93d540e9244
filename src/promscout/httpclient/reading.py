"""Small files as text. Imports little, for commands that only look at configurations."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

MAX_SIZE: Final = 1 << 20
"""Bytes; a token, password or certificate bundle is far smaller."""


def check_regular(status: os.stat_result, path: str) -> None:
    """Refuse what is no regular file: reading a pipe would wait for its writer.

    Raises:
        OSError: it is a directory, a pipe, a device or a socket.
    """
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", path)


def read_small(path: str, limit: int = MAX_SIZE) -> str:
    """The text of a file.

    Raises:
        OSError: it cannot be read, or is no regular file.
        ValueError: it is larger than ``limit`` bytes or not UTF-8; the message does not quote the content.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        check_regular(os.fstat(descriptor), path)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise ValueError(f"{path} is larger than {limit} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8") from None
