"""TLS options."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.httpclient.secret import Secret


class TLSVersion(StrEnum):
    """A version of TLS, as Prometheus names it."""

    TLS10 = "TLS10"
    TLS11 = "TLS11"
    TLS12 = "TLS12"
    TLS13 = "TLS13"

    @classmethod
    def parse(cls, text: str) -> TLSVersion | None:
        """Read a version; the empty text is none.

        Raises:
            InvalidValueError: not a known version.
        """
        if not text:
            return None
        if text not in cls.__members__:
            raise InvalidValueError(f"unknown TLS version: {text}")
        return cls(text)


class TLSConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to connect over TLS.

    Source: prometheus/common config/http_config.go TLSConfig.
    """

    # Certificates trusted as issuers, PEM; when neither is given, the system's.
    ca: str = ""
    ca_file: str = ""
    # The client's own certificate chain and key, PEM.
    cert: str = ""
    cert_file: str = ""
    key: Secret = Secret()
    key_file: str = ""
    # The name that the certificate must have and that is sent as SNI; empty: the URL's host.
    server_name: str = ""
    insecure_skip_verify: bool = False
    # None: the library's limits (TLS 1.2 and newer).
    min_version: TLSVersion | None = None
    max_version: TLSVersion | None = None

    def __post_init__(self) -> None:
        if self.ca and self.ca_file:
            raise InvalidValueError("at most one of ca & ca_file must be configured", key="ca_file")
        if self.cert and self.cert_file:
            raise InvalidValueError("at most one of cert & cert_file must be configured", key="cert_file")
        if self.key and self.key_file:
            raise InvalidValueError("at most one of key and key_file must be configured", key="key_file")
        has_cert, has_key = bool(self.cert or self.cert_file), bool(self.key or self.key_file)
        if has_cert and not has_key:
            raise InvalidValueError(
                "exactly one of key or key_file must be configured when a client certificate is configured"
            )
        if has_key and not has_cert:
            raise InvalidValueError(
                "exactly one of cert or cert_file must be configured when a client key is configured"
            )
        if self.min_version and self.max_version and self.min_version > self.max_version:
            raise InvalidValueError("min_version must not be above max_version", key="min_version")

    def with_directory(self, directory: Path) -> Self:
        """The same options with relative file names taken from ``directory``."""
        return msgspec.structs.replace(
            self,
            ca_file=join_directory(directory, self.ca_file),
            cert_file=join_directory(directory, self.cert_file),
            key_file=join_directory(directory, self.key_file),
        )


def join_directory(directory: Path, path: str) -> str:
    """``path`` inside ``directory``; an empty or absolute path stays as it is.

    Source: prometheus/common config/config.go JoinDir.
    """
    return str(directory / path) if path else path
