"""The command line of ``promscout run`` as the options of the agent's parts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from promscout.downstream.files import FileSDOptions
from promscout.model.byte_size import ByteSize
from promscout.model.duration import Duration
from promscout.store.layout import STORE
from promscout.store.local import StoreOptions
from promscout.store.order import Retention
from promscout.web import WebOptions
from promscout.write.buffers import Buffers
from promscout.write.spool import BufferLimits


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What was given, a field for each option, and ``flags``: all of them as texts by their names without dashes."""

    config: Path
    listen: tuple[str, int]
    data_dir: Path
    flush_interval: Duration
    buffer_max_size: ByteSize
    buffer_max_age: Duration
    discovery_interval: Duration
    strict_discovery: bool
    auto_reload: Duration | None
    store_retention: Duration
    store_max_size: ByteSize
    log_level: str
    log_format: str
    file_sd_dir: Path | None
    file_sd_shards: int | None
    web_config_file: Path | None
    web_external_url: str
    web_route_prefix: str
    web_enable_lifecycle: bool
    web_enable_admin_api: bool
    web_cors_origin: str
    web_page_title: str
    web_max_connections: int
    web_read_timeout: Duration
    flags: Mapping[str, str]

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Self:
        """From what argparse made of the command line: option name with ``_`` for ``-`` → value."""
        fields = {name.replace(".", "_"): value for name, value in given.items()}
        return cls(**fields, flags={name.replace("_", "-"): _text(value) for name, value in given.items()})  # type: ignore[arg-type]  # argparse has checked every type

    def web(self) -> WebOptions:
        """The web server's."""
        host, port = self.listen
        return WebOptions(
            host=host,
            port=port,
            config_file=self.web_config_file,
            external_url=self.web_external_url,
            route_prefix=self.web_route_prefix,
            enable_lifecycle=self.web_enable_lifecycle,
            enable_admin_api=self.web_enable_admin_api,
            cors_origin=self.web_cors_origin,
            page_title=self.web_page_title,
            max_connections=self.web_max_connections,
            read_timeout=float(self.web_read_timeout),
            flags=self.flags,
        )

    def buffers(self) -> Buffers:
        """The durable buffers' of remote write."""
        limits = BufferLimits(float(self.flush_interval), int(self.buffer_max_size), float(self.buffer_max_age))
        return Buffers(self.data_dir, limits)

    def file_sd(self) -> FileSDOptions | None:
        """The target files'; None if there are none."""
        return FileSDOptions(self.file_sd_dir, self.file_sd_shards) if self.file_sd_dir is not None else None

    def store(self) -> StoreOptions:
        """The local store's."""
        retention = Retention(self.store_retention.milliseconds, int(self.store_max_size))
        return StoreOptions(self.data_dir / STORE, retention, float(self.flush_interval))


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ":".join(map(str, value))
    return str(value)
