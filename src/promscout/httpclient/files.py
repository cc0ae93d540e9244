"""Small files (tokens, passwords, certificates) that are read again when they change."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import aiohttp

from promscout.httpclient.secret import Sensitive

Version: TypeAlias = tuple[int, int, int]
"""Modification time in nanoseconds, size in bytes, inode: differs whenever the content does, also when a mounted
secret is swapped by its symbolic link."""

MAX_SIZE: Final = 1 << 20
"""Bytes; a token, password or certificate bundle is far smaller."""


def version_of(path: str) -> Version:
    """What to compare to find out whether a file changed.

    Raises:
        OSError: there is no such file.
    """
    status = os.stat(path)  # noqa: PTH116 - once per request, and three times as fast as pathlib
    return status.st_mtime_ns, status.st_size, status.st_ino


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


@dataclass(slots=True)
class SecretText:
    """A text that is given directly or in a file; ``what`` names it in errors."""

    text: str | Sensitive
    path: str
    what: str
    _version: Version | None = None
    _cached: str = field(default="", repr=False)

    def read(self) -> str:
        """The text, without surrounding blanks where it comes from a file. Costs one ``stat`` while it is unchanged.

        Raises:
            aiohttp.ClientError: the file cannot be read.
        """
        if not self.path:
            return self.text.reveal() if isinstance(self.text, Sensitive) else self.text
        try:
            version = version_of(self.path)
            if version != self._version:
                self._cached = read_small(self.path).strip()
                self._version = version
        except (OSError, ValueError) as error:
            raise aiohttp.ClientError(f"unable to read {self.what}: {error}") from error
        return self._cached
