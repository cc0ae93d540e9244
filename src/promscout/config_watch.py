"""Finds out that configuration files have changed."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from promscout.config.source import read_source
from promscout.config.tree import Mapping, Scalar, Sequence, parse_tree
from promscout.config.values import Config
from promscout.discovery.file.pattern import expand
from promscout.errors import ConfigError, InvalidValueError
from promscout.logs import EventLog

LEAST_INTERVAL: Final = 1.0
"""Seconds between two looks, however often one is asked for: as in Prometheus."""

QUIET_SECONDS: Final = 1.0
"""How long files must stay as they are before they are loaded: a file that is half written can be a valid one."""

SECTIONS: Final = ("rule_files", "scrape_config_files")
"""Lists of patterns of further files."""

_log = EventLog("promscout.config")


class ConfigWatch:
    """Loads a configuration, and knows whether its files are as they were when they were last loaded.

    What counts is the content of the main file and of every file that its ``scrape_config_files`` and ``rule_files``
    match, and which these are. Content that was refused is not loaded again before something changes.

    Source: prometheus v3.x config/reload.go GenerateChecksum, cmd/prometheus/main.go.
    """

    def __init__(self, path: Path, load: Callable[[], Config]) -> None:
        self._path = path
        self._load = load
        self._loaded = b""
        self._patterns: tuple[bytes, tuple[str, ...]] = (b"", ())  # of a main file, and what it is

    def load(self) -> Config:
        """Load the files as they are now.

        Raises:
            ConfigError: they are refused.
        """
        # First: what is written between the two is noticed later.
        self._loaded = self.checksum()
        return self._load()

    async def run(self, reload: Callable[[], Awaitable[None]], interval: float) -> None:
        """Look every ``interval`` seconds, and call ``reload`` when the files have changed and come to rest.

        It runs until cancelled. ``reload`` is expected to call ``load``, and to tell the user what a ``ConfigError``
        says.
        """
        while True:
            await asyncio.sleep(max(interval, LEAST_INTERVAL))
            found = await asyncio.to_thread(self.checksum)
            while found != self._loaded:
                await asyncio.sleep(QUIET_SECONDS)
                before, found = found, await asyncio.to_thread(self.checksum)
                if found == before != self._loaded:
                    _log.info("configuration files have changed", file=str(self._path))
                    await self._reload(reload)

    async def _reload(self, reload: Callable[[], Awaitable[None]]) -> None:
        try:
            await reload()
        except ConfigError:
            return

    def checksum(self) -> bytes:
        """Says what the files contain. Every reason why one cannot be read counts as a content."""
        main = _content(str(self._path))
        total = sha256(main)
        for pattern in self._patterns_of(main):
            for file in _matching(pattern):
                content = _content(file)
                total.update(f"\0{file}\0{len(content)}\0".encode(errors="surrogateescape") + content)
        return total.digest()

    def _patterns_of(self, main: bytes) -> tuple[str, ...]:
        content = sha256(main).digest()
        if content != self._patterns[0]:
            directory = self._path.parent
            patterns = tuple(os.path.join(directory, one) for one in _patterns(main, str(self._path)))  # noqa: PTH118 - as written
            self._patterns = (content, patterns)
        return self._patterns[1]


def _content(file: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):  # noqa: PTH116 - what a pipe gives can be read only once
            return b"\0not a file"
        return read_source(file).encode()
    except (OSError, ConfigError) as error:
        return f"\0{error}".encode(errors="replace")


def _patterns(main: bytes, file: str) -> list[str]:
    """The patterns of further files that a main file has; none while it is not YAML."""
    try:
        root = parse_tree(main.decode(), file)
    except ConfigError:
        return []
    if not isinstance(root, Mapping):
        return []
    lists = [value for key, value in root.entries if isinstance(key, Scalar) and key.text in SECTIONS]
    return [
        item.text
        for value in lists
        if isinstance(value, Sequence)
        for item in value.items
        if isinstance(item, Scalar) and item.text
    ]


def _matching(pattern: str) -> list[str]:
    try:
        return expand(pattern)
    except (OSError, InvalidValueError):
        return []
