"""The web server's configuration file: read, checked, and read again when it, or a file that it names, changes."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

import msgspec

from promscout.config.decode import FAILED, Decoder, join
from promscout.config.source import read_source
from promscout.config.tree import Node, Scalar, Sequence, parse_tree
from promscout.errors import ConfigError, InvalidValueError
from promscout.httpclient.files import Version, version_of
from promscout.httpclient.reading import read_small
from promscout.logs import EventLog
from promscout.web.access.config import WebConfig
from promscout.web.access.tls import make_server_context

SHORTEST_TOKEN: Final = 16
"""Characters of a bearer token in a file: a shorter one could be guessed."""

LOOK_SECONDS: Final = 1.0
"""Least time between two looks at the files."""

PATIENCE: Final = 2.0
"""Seconds that a request waits for a look: a disk that hangs must not stop the server."""

_MAX_NODES: Final = 100_000

Versions: TypeAlias = tuple[tuple[str, Version | None], ...]
"""File → its version, None where there is none."""

_Made = TypeVar("_Made")

_log = EventLog("promscout.web")


class WebSetup(msgspec.Struct, frozen=True):
    """What is in force: the configuration, and what its files gave."""

    config: WebConfig = WebConfig()
    # None: plain HTTP.
    context: ssl.SSLContext | None = None
    # The SHA-256 of every bearer token.
    digests: tuple[bytes, ...] = ()
    # What to compare to find out whether all is still as in the files.
    versions: Versions = ()


def load_web_config(path: Path, *, files: bool = True) -> WebSetup:
    """Read the file, and every certificate, key and token that it names; relative names are taken from its directory.

    Without ``files`` nothing is read but the file itself.

    Raises:
        ConfigUnreadable: ``path`` cannot be read.
        ConfigError: with every problem found, each with its place; no message has a secret in it.
    """
    return _Reading(path).run(files)


class _Reading:
    """One reading of the file. Versions are noted before contents are read, so that no change is missed."""

    def __init__(self, path: Path) -> None:
        self._directory = path.parent
        self._versions = _versions((str(path),))
        self._decoder = Decoder(str(path))
        self._root = parse_tree(read_source(str(path)), str(path), _MAX_NODES)

    def run(self, files: bool) -> WebSetup:
        config = self._config()
        if not files:
            return WebSetup(config, versions=self._versions)
        tls = config.tls_server_config
        self._versions += _versions((*tls.files, *config.bearer_token_files))
        context = None
        if tls.enabled:
            context = self._made("tls_server_config", partial(make_server_context, tls))
        digests = [token.digest for token in config.bearer_tokens.values()]
        for index, file in enumerate(config.bearer_token_files):
            digest = self._made("", partial(_token_digest, file, index))
            digests += [] if digest is None else [digest]
        self._raise_problems()
        return WebSetup(config, context, tuple(digests), self._versions)

    def _config(self) -> WebConfig:
        root = self._root
        if root is None or (isinstance(root, Scalar) and root.is_null):
            return WebConfig()
        config = self._decoder.value(WebConfig, root, "")
        self._raise_problems()
        assert config is not FAILED, "a value that failed has a problem"  # noqa: S101 - the decoder's promise
        decoded: WebConfig = config
        return decoded.with_directory(self._directory)

    def _made(self, section: str, make: Callable[[], _Made]) -> _Made | None:
        """What ``make`` gives; a refusal becomes a problem at the option that it names."""
        try:
            return make()
        except InvalidValueError as error:
            path = join(section, error.key) if error.key else section
            self._decoder.refuse(self._node(path), path, str(error))
            return None

    def _node(self, path: str) -> Node | None:
        """The node under a key such as ``tls_server_config.cert_file`` or ``bearer_token_files[1]``."""
        node = self._root
        for part in path.split("."):
            name, _, index = part.rstrip("]").partition("[")
            entries = self._decoder.entries(node, "") if node is not None else None
            if entries is None or name not in entries:
                break
            node = entries[name][1]
            if index and isinstance(node, Sequence):
                node = node.items[int(index)]
        return node

    def _raise_problems(self) -> None:
        if self._decoder.problems:
            raise ConfigError(tuple(sorted(self._decoder.problems, key=lambda one: (one.line, one.column))))


def _versions(files: Iterable[str]) -> Versions:
    found: list[tuple[str, Version | None]] = []
    for file in files:
        try:
            found.append((file, version_of(file)))
        except OSError:
            found.append((file, None))
    return tuple(found)


def _token_digest(file: str, index: int) -> bytes:
    key = f"bearer_token_files[{index}]"
    try:
        token = read_small(file).strip()
    except OSError as error:
        raise InvalidValueError(f"cannot read {file}: {error.strerror}", key=key) from error
    except ValueError as error:
        raise InvalidValueError(str(error), key=key) from error
    if len(token) < SHORTEST_TOKEN:
        raise InvalidValueError(f"{file} has no token of at least {SHORTEST_TOKEN} characters", key=key)
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise InvalidValueError(f"{file} has more than a token: blanks, or characters that can not be sent", key=key)
    return hashlib.sha256(token.encode()).digest()


class WebConfigFile:
    """The file as it is in force.

    Guarantees: ``current`` gives what the files say at most a second later, at the cost of a few ``stat`` a second, in
    a thread, while somebody asks; files that cannot be used leave what was in force, and are told once in the log;
    TLS is neither switched on nor off while the server runs.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        """Read it.

        Raises:
            ConfigError: it cannot be used.
        """
        self._path = path
        self._now = now
        self.in_force = load_web_config(path)
        self._seen = self.in_force.versions  # of what was refused, if that came last
        self._looked = now()
        self._look: asyncio.Task[None] | None = None

    async def current(self) -> WebSetup:
        """What is in force, after a look at the files if the last is a second old."""
        if self._look is None and self._now() - self._looked >= LOOK_SECONDS:
            self._look = asyncio.create_task(self._refresh(), name="web configuration")
        if self._look is not None:
            await asyncio.wait({self._look}, timeout=PATIENCE)
        return self.in_force

    async def close(self) -> None:
        """Wait for the look that is under way."""
        if self._look is not None:
            await asyncio.wait({self._look}, timeout=PATIENCE)

    async def _refresh(self) -> None:
        try:
            await self._reload_if_changed()
        except ConfigError as error:
            for problem in error.problems:
                _log.error("web configuration refused, the one before stays in force", problem=str(problem))
        except Exception:  # noqa: BLE001 - whatever it is, the server goes on
            _log.exception("web configuration cannot be read, the one before stays in force")
        finally:
            self._looked = self._now()
            self._look = None

    async def _reload_if_changed(self) -> None:
        versions = await asyncio.to_thread(_versions, [file for file, _ in self._seen])
        if versions == self._seen:
            return
        self._seen = versions
        setup = await asyncio.to_thread(load_web_config, self._path)
        if (setup.context is None) is not (self.in_force.context is None):
            _log.error("web configuration refused: TLS is switched on and off by a restart only", file=str(self._path))
            return
        self.in_force = setup
        self._seen = setup.versions
        _log.info("web configuration reloaded", file=str(self._path))
