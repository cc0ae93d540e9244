"""Small files (tokens, passwords, certificates) that are read again when they change."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TypeAlias

import aiohttp

from promscout.httpclient.reading import read_small
from promscout.httpclient.secret import Sensitive

Version: TypeAlias = tuple[int, int, int]
"""Modification time in nanoseconds, size in bytes, inode: differs whenever the content does, also when a mounted
secret is swapped by its symbolic link."""


def version_of(path: str) -> Version:
    """What to compare to find out whether a file changed.

    Raises:
        OSError: there is no such file.
    """
    status = os.stat(path)  # noqa: PTH116 - once per request, and three times as fast as pathlib
    return status.st_mtime_ns, status.st_size, status.st_ino


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
