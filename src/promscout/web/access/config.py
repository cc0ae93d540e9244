"""The web server's configuration file as values: TLS, headers, who may come in, and how often.

Source: prometheus/exporter-toolkit web/tls_config.go Config; ``bearer_tokens`` and ``bearer_token_files`` are ours.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.httpclient.secret import Sensitive
from promscout.httpclient.tls import join_directory
from promscout.model.frozendict import FrozenDict
from promscout.web.access.tls import TLSServerConfig

HEADERS: Final[dict[str, tuple[str, ...]]] = {
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
    "Content-Security-Policy": (),
}
"""Header that may be configured → its possible values, all where there are none.

Source: exporter-toolkit web/handler.go extraHTTPHeaders."""

MAX_COST: Final = 18
"""The highest cost of a password hash. Each step doubles the time of a check; this one takes some fifteen seconds."""

_BCRYPT: Final = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}")
_DIGEST: Final = re.compile(r"sha256:(?P<digest>[0-9a-f]{64})")
_INTERVAL: Final = re.compile(r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_PART: Final = re.compile(r"([0-9.]+)([a-zµμ]+)")
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class PasswordHash(Sensitive):
    """A password, hashed with bcrypt."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a hash as ``htpasswd -B`` makes it.

        Raises:
            InvalidValueError: no bcrypt hash, or one whose check would take too long. No message quotes it.
        """
        match = _BCRYPT.fullmatch(text)
        if match is None:
            raise InvalidValueError("not a bcrypt hash, as htpasswd -nBC 10 makes them")
        if not 4 <= int(match["cost"]) <= MAX_COST:
            raise InvalidValueError(f"the cost of the bcrypt hash must be from 4 to {MAX_COST}, it is {match['cost']}")
        return cls(text)


class TokenDigest(Sensitive):
    """The SHA-256 of a bearer token: enough for what is long and random, and costs nothing."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take ``sha256:`` and 64 hexadecimal digits.

        Raises:
            InvalidValueError: anything else. No message quotes it.
        """
        if _DIGEST.fullmatch(text) is None:
            raise InvalidValueError('expected "sha256:" and the 64 digits that sha256sum prints for the token')
        return cls(text)

    @property
    def digest(self) -> bytes:
        """The 32 bytes."""
        return bytes.fromhex(self.reveal().partition(":")[2])


class RateInterval(float):
    """The time in which one more request is allowed, in seconds. Source: Go time.ParseDuration."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``1s``, ``1.5h``, ``300ms`` and the like; a number without unit is nanoseconds.

        Raises:
            InvalidValueError: anything else.
        """
        if text.isascii() and text.isdigit():
            return cls(int(text[:30]) / 1e9)
        if not _INTERVAL.fullmatch(text) or len(text) > 60:
            raise InvalidValueError('expected a duration such as "1s" or "250ms"')
        return cls(sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))


class HTTPServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What answers carry."""

    # Accepted because it is the default of others; only HTTP/1.1 is spoken.
    http2: bool = True
    # Header → value. An empty value leaves the header as it is without configuration.
    headers: FrozenDict[str, str] = FrozenDict()

    def __post_init__(self) -> None:
        for name, value in self.headers.items():
            if name not in HEADERS:
                raise InvalidValueError(f'HTTP header "{name}" can not be configured', key="headers")
            if HEADERS[name] and value not in HEADERS[name]:
                allowed = " or ".join(HEADERS[name])
                raise InvalidValueError(f"invalid value for {name}, expected {allowed}", key="headers")
            if not (value.isascii() and value.isprintable()):
                raise InvalidValueError(f"the value of {name} must be printable ASCII on one line", key="headers")


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket of ``burst`` requests, to which one is added every ``interval``; an interval of 0 limits nothing."""

    interval: RateInterval = RateInterval(0)
    burst: int = 0

    def __post_init__(self) -> None:
        if self.interval and self.burst < 1:
            raise InvalidValueError("burst must be at least 1: with less, every request would be refused", key="burst")


class WebConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The whole file."""

    tls_server_config: TLSServerConfig = TLSServerConfig()
    http_server_config: HTTPServerConfig = HTTPServerConfig()
    rate_limit: RateLimit = RateLimit()
    # User → hash of the password.
    basic_auth_users: FrozenDict[str, PasswordHash] = FrozenDict()
    # Name, which says whose it is → hash of the token.
    bearer_tokens: FrozenDict[str, TokenDigest] = FrozenDict()
    # Files with one token each, as they are mounted into containers.
    bearer_token_files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for user in self.basic_auth_users:
            if ":" in user:
                raise InvalidValueError("a user name with a colon can not be sent", key="basic_auth_users")

    @property
    def has_credentials(self) -> bool:
        """Whether requests need a password or a token."""
        return bool(self.basic_auth_users or self.bearer_tokens or self.bearer_token_files)

    @property
    def is_open(self) -> bool:
        """Whether whoever can reach the server may come in."""
        return not (self.has_credentials or self.tls_server_config.requires_certificate)

    def with_directory(self, directory: Path) -> Self:
        """The same configuration with relative file names taken from ``directory``."""
        return msgspec.structs.replace(
            self,
            tls_server_config=self.tls_server_config.with_directory(directory),
            bearer_token_files=tuple(join_directory(directory, file) for file in self.bearer_token_files),
        )
