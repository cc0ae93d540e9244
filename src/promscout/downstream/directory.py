"""The directory of target files, as the thread sees it that works with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from promscout.downstream.file_names import ENDING

MANIFEST: Final = ".promscout-files.json"
"""Names the files that promscout has written, so that it removes no others."""

_NEW: Final = ".promscout-new"  # no pattern of a reader ends so
_MODE: Final = 0o644  # readers are other users
_BLOCK: Final = 1 << 20  # bytes read at once


class TargetDirectory:
    """Files of lists in one directory, which is made if it is missing when it is looked at first.

    Guarantees: a file is there as a whole or not at all; one that promscout did not write is not removed; no name
    leads out of the directory. Every method may raise ``OSError``, and may take as long as a disk may; none of them is
    for two threads.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._owned: dict[str, str] | None = None  # file → job

    @property
    def owned(self) -> tuple[str, ...]:
        """The files that promscout has written, as of the last look."""
        return tuple(self._owned or ())

    def look(self) -> frozenset[str]:
        """The names of all files that are there."""
        if self._owned is None:
            self._path.mkdir(exist_ok=True)
            self._owned = self._read_manifest()
        names = frozenset(os.listdir(self._path))  # noqa: PTH208 - names only
        if self._owned and MANIFEST not in names:
            # Somebody has removed it, or the directory is another one now.
            self._write_manifest(self._owned)
        return names

    def digest(self, name: str) -> str:
        """The digest of a file's content; empty if there is no such file."""
        total = _digest()
        try:
            with (self._path / name).open("rb") as file:
                while block := file.read(_BLOCK):
                    total.update(block)
        except FileNotFoundError:
            return ""
        return total.hexdigest()

    def write(self, name: str, job: str, texts: Iterable[bytes]) -> None:
        """Put a file with this content in the place of ``name``."""
        owned = self._owned or {}
        if owned.get(name) != job:
            # First: after a crash between the two, one that is not there is told, which harms nobody.
            self._write_manifest(owned | {name: job})
        self._replace(name, texts)

    def remove(self, name: str) -> None:
        """Remove a file that promscout has written; another one stays."""
        owned = dict(self._owned or {})
        if owned.pop(name, None) is not None:
            (self._path / name).unlink(missing_ok=True)
            self._write_manifest(owned)

    def _read_manifest(self) -> dict[str, str]:
        try:
            found = msgspec.json.decode((self._path / MANIFEST).read_bytes(), type=dict[str, str])
        except (FileNotFoundError, msgspec.MsgspecError):
            return {}
        return {name: job for name, job in found.items() if _is_plain(name)}

    def _write_manifest(self, owned: dict[str, str]) -> None:
        self._replace(MANIFEST, [msgspec.json.format(msgspec.json.encode(owned)), b"\n"])
        self._owned = owned

    def _replace(self, name: str, texts: Iterable[bytes]) -> None:
        new = self._path / _NEW
        new.unlink(missing_ok=True)
        try:
            # Never through a link that somebody has put there.
            number = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
            with os.fdopen(number, "wb") as file:
                os.fchmod(number, _MODE)
                file.writelines(texts)
                file.flush()
                os.fsync(number)
            new.replace(self._path / name)
        except OSError:
            new.unlink(missing_ok=True)
            raise


def digest_of(texts: Iterable[bytes]) -> str:
    """The digest of a content, as ``TargetDirectory.digest`` has it."""
    total = _digest()
    for text in texts:
        total.update(text)
    return total.hexdigest()


def _digest() -> hashlib.blake2b:
    return hashlib.blake2b(digest_size=16)


def _is_plain(name: str) -> bool:
    return "/" not in name and "\0" not in name and not name.startswith(".") and name.endswith(ENDING)
