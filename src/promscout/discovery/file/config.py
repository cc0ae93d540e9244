"""The ``file_sd_configs`` section."""

from __future__ import annotations

import os.path
import re
from pathlib import Path
from typing import ClassVar, Final, Self

import msgspec

from promscout.discovery.config import check_refresh_interval
from promscout.discovery.file.pattern import check_pattern
from promscout.errors import InvalidValueError
from promscout.model.duration import Duration

_FILE_NAME: Final = re.compile(r"[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)")


class FileSDConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Files that list target groups, by name or pattern.

    Source: prometheus v3.x discovery/file/file.go SDConfig, UnmarshalYAML.

    Raises:
        InvalidValueError: no file, or one whose name has no known ending or a ``*`` before its last part.
    """

    mechanism: ClassVar[str] = "file"

    files: tuple[str, ...] = ()
    # Time after which files are read again although they look the same.
    refresh_interval: Duration = Duration(300)

    def __post_init__(self) -> None:
        if not self.files:
            raise InvalidValueError("file service discovery config must contain at least one path name")
        for name in self.files:
            if _FILE_NAME.fullmatch(name) is None:
                raise InvalidValueError(f'path name "{name}" is not valid for file discovery', key="files")
            try:
                check_pattern(name)
            except InvalidValueError as error:
                raise InvalidValueError(f'path name "{name}": {error}', key="files") from None
        check_refresh_interval(self.refresh_interval)

    def with_directory(self, directory: Path) -> Self:
        """The same files, relative names taken from ``directory`` and written without ``.`` and ``..``."""
        return msgspec.structs.replace(self, files=tuple(_joined(directory, name) for name in self.files))


def _joined(directory: Path, name: str) -> str:
    return name if os.path.isabs(name) else os.path.normpath(directory / name)  # noqa: PTH117 - texts, as written
