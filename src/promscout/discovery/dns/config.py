"""The ``dns_sd_configs`` section."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Self

import msgspec

from promscout.discovery.config import check_refresh_interval
from promscout.errors import InvalidValueError
from promscout.model.duration import Duration


class RecordType(StrEnum):
    """Which records of a name are asked for."""

    A = "A"
    AAAA = "AAAA"
    MX = "MX"
    NS = "NS"
    SRV = "SRV"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The type of that name, in any case.

        Raises:
            InvalidValueError: no such type, or one that names no targets.
        """
        try:
            return cls(text.upper())
        except ValueError:
            raise InvalidValueError(
                f'invalid DNS-SD records type "{text}", expected one of: {", ".join(cls)}'
            ) from None


class DNSSDConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Names whose records are targets.

    Source: prometheus v3.x discovery/dns/dns.go SDConfig, UnmarshalYAML.

    Raises:
        InvalidValueError: no name, or no port where the records have none.
    """

    mechanism: ClassVar[str] = "dns"

    names: tuple[str, ...] = ()
    type: RecordType = RecordType.SRV
    # Of the targets; SRV records have their own.
    port: int = 0
    refresh_interval: Duration = Duration(30)

    def __post_init__(self) -> None:
        if not self.names:
            raise InvalidValueError("DNS-SD config must contain at least one SRV record name")
        if self.type is not RecordType.SRV:
            if not self.port:
                raise InvalidValueError("a port is required in DNS-SD configs for all record types except SRV")
            if not 0 < self.port <= 0xFFFF:
                raise InvalidValueError(f"a port is a number from 1 to 65535, got {self.port}", key="port")
        check_refresh_interval(self.refresh_interval)

    def with_directory(self, directory: Path) -> Self:  # noqa: ARG002 - part of the protocol
        """The same value: it names no files."""
        return self
