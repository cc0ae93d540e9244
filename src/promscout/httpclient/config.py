"""HTTP client options as configuration: authentication, TLS, proxies, headers.

A struct that has these options inline in its YAML mapping (a scrape config, a Kubernetes SD config, a remote write
config) inherits from ``HTTPClientConfig``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec.structs import force_setattr

from promscout.errors import InvalidValueError
from promscout.httpclient.secret import URL, Secret, split_http_url
from promscout.httpclient.tls import TLSConfig, join_directory
from promscout.model.frozendict import FrozenDict

__all__ = [
    "RESERVED_HEADERS",
    "URL",
    "Authorization",
    "BasicAuth",
    "HTTPClientConfig",
    "Header",
    "OAuth2",
    "ProxyConfig",
    "Secret",
    "TLSConfig",
]

RESERVED_HEADERS: Final = frozenset(
    {
        "authorization",
        "host",
        "content-encoding",
        "content-length",
        "content-type",
        "user-agent",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "www-authenticate",
        "accept-encoding",
        "x-prometheus-remote-write-version",
        "x-prometheus-remote-read-version",
        "x-prometheus-scrape-timeout-seconds",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-content-sha256",
    }
)
"""Headers that the protocol or another option sets. Source: prometheus/common config/headers.go ReservedHeaders."""

CLIENT_CREDENTIALS: Final = "client_credentials"
"""The OAuth 2.0 grant type that there is."""

_EXCLUSIVE: Final = "at most one of basic_auth, oauth2 & authorization must be configured"


class BasicAuth(msgspec.Struct, frozen=True, kw_only=True):
    """A user name and password; either may come from a file, which is read again when it changes."""

    username: str = ""
    username_file: str = ""
    password: Secret = Secret()
    password_file: str = ""

    def __post_init__(self) -> None:
        if self.username and self.username_file:
            raise InvalidValueError(
                "at most one of basic_auth username & username_file must be configured", key="username_file"
            )
        if self.password and self.password_file:
            raise InvalidValueError(
                "at most one of basic_auth password & password_file must be configured", key="password_file"
            )


class Authorization(msgspec.Struct, frozen=True, kw_only=True):
    """An Authorization header: a type and credentials, which may come from a file, read again when it changes."""

    type: str = "Bearer"
    credentials: Secret = Secret()
    credentials_file: str = ""

    def __post_init__(self) -> None:
        force_setattr(self, "type", self.type.strip() or "Bearer")
        if self.credentials and self.credentials_file:
            raise InvalidValueError(
                "at most one of authorization credentials & credentials_file must be configured",
                key="credentials_file",
            )
        if self.type.lower() == "basic":
            raise InvalidValueError('authorization type cannot be set to "basic", use "basic_auth" instead', key="type")


class ProxyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Which proxy to use.

    Source: prometheus/common config/http_config.go ProxyConfig.
    """

    # An http or https proxy for every request except those that no_proxy names.
    proxy_url: URL = URL()
    # Hosts, domains, addresses and CIDR ranges reached directly, separated by commas.
    no_proxy: str = ""
    # Take HTTP_PROXY, HTTPS_PROXY and NO_PROXY from the environment instead.
    proxy_from_environment: bool = False
    # Headers for the proxy's CONNECT requests.
    proxy_connect_header: FrozenDict[str, tuple[Secret, ...]] = FrozenDict()

    def __post_init__(self) -> None:
        if self.proxy_connect_header and not (self.proxy_from_environment or self.proxy_url):
            raise InvalidValueError(
                "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
                key="proxy_connect_header",
            )
        if self.proxy_from_environment and self.proxy_url:
            raise InvalidValueError(
                "if proxy_from_environment is configured, proxy_url must not be configured", key="proxy_url"
            )
        if self.proxy_from_environment and self.no_proxy:
            raise InvalidValueError(
                "if proxy_from_environment is configured, no_proxy must not be configured", key="no_proxy"
            )
        if self.no_proxy and not self.proxy_url:
            raise InvalidValueError("if no_proxy is configured, proxy_url must also be configured", key="no_proxy")


class OAuth2(ProxyConfig, frozen=True, kw_only=True):
    """A token fetched with the OAuth 2.0 client credentials grant and used until it expires."""

    client_id: str = ""
    # Only client_credentials; empty afterwards.
    grant_type: str = ""
    client_secret: Secret = Secret()
    client_secret_file: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()
    # Further parameters of the token request.
    endpoint_params: FrozenDict[str, str] = FrozenDict()
    # For the connection to the token endpoint.
    tls_config: TLSConfig = TLSConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.grant_type not in ("", CLIENT_CREDENTIALS):
            raise InvalidValueError(f"this grant type is not supported, only {CLIENT_CREDENTIALS} is", key="grant_type")
        force_setattr(self, "grant_type", "")
        if not self.client_id:
            raise InvalidValueError("oauth2 client_id must be configured", key="client_id")
        if not self.token_url:
            raise InvalidValueError("oauth2 token_url must be configured", key="token_url")
        if self.client_secret and self.client_secret_file:
            raise InvalidValueError(
                "at most one of oauth2 client_secret & client_secret_file must be configured",
                key="client_secret_file",
            )
        try:
            parts = split_http_url(self.token_url)
        except InvalidValueError as error:
            raise InvalidValueError(str(error), key="token_url") from None
        if parts.password:
            raise InvalidValueError("the password belongs into client_secret, not into the URL", key="token_url")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The values of one header, in this order: plain values, secrets, contents of files."""

    values: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    files: tuple[str, ...] = ()


class HTTPClientConfig(ProxyConfig, frozen=True, kw_only=True):
    """Everything about an HTTP client that a user configures.

    Values are normal: ``bearer_token`` and ``bearer_token_file`` become ``authorization`` and are empty afterwards.
    Equal values make clients that behave alike.

    Source: prometheus/common config/http_config.go HTTPClientConfig, Validate.

    Raises:
        InvalidValueError: options that exclude each other.
    """

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    oauth2: OAuth2 | None = None
    # Deprecated in favour of authorization.
    bearer_token: Secret = Secret()
    bearer_token_file: str = ""
    tls_config: TLSConfig = TLSConfig()
    # Whether HTTP 3xx answers are followed, up to ten in a row.
    follow_redirects: bool = True
    # Whether HTTP/2 is offered over TLS, where an answer is fetched as a whole and without a proxy.
    enable_http2: bool = True
    # Further headers of every request.
    http_headers: FrozenDict[str, Header] = FrozenDict()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_authentication()
        self._normalise_bearer_token()
        for name in self.http_headers:
            if name.lower() in RESERVED_HEADERS:
                raise InvalidValueError(f'setting header "{name}" is not allowed', key="http_headers")

    def _check_authentication(self) -> None:
        token = bool(self.bearer_token or self.bearer_token_file)
        if self.bearer_token and self.bearer_token_file:
            raise InvalidValueError(
                "at most one of bearer_token & bearer_token_file must be configured", key="bearer_token_file"
            )
        if token and (self.basic_auth or self.oauth2):
            raise InvalidValueError(
                "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured"
            )
        if token and self.authorization:
            raise InvalidValueError("authorization is not compatible with bearer_token & bearer_token_file")
        if sum(option is not None for option in (self.basic_auth, self.authorization, self.oauth2)) > 1:
            raise InvalidValueError(_EXCLUSIVE)

    def _normalise_bearer_token(self) -> None:
        if self.bearer_token or self.bearer_token_file:
            authorization = Authorization(credentials=self.bearer_token, credentials_file=self.bearer_token_file)
            force_setattr(self, "authorization", authorization)
            force_setattr(self, "bearer_token", Secret())
            force_setattr(self, "bearer_token_file", "")

    def http_client_config(self) -> HTTPClientConfig:
        """Only the HTTP client options: equal and hashable whatever struct they came from."""
        return HTTPClientConfig(**{name: getattr(self, name) for name in HTTPClientConfig.__struct_fields__})

    def with_directory(self, directory: Path) -> Self:
        """The same options with relative file names taken from ``directory``, the configuration file's."""
        basic, authorization, oauth2 = self.basic_auth, self.authorization, self.oauth2
        replace = msgspec.structs.replace
        return replace(
            self,
            basic_auth=basic
            and replace(
                basic,
                username_file=join_directory(directory, basic.username_file),
                password_file=join_directory(directory, basic.password_file),
            ),
            authorization=authorization
            and replace(authorization, credentials_file=join_directory(directory, authorization.credentials_file)),
            oauth2=oauth2
            and replace(
                oauth2,
                client_secret_file=join_directory(directory, oauth2.client_secret_file),
                tls_config=oauth2.tls_config.with_directory(directory),
            ),
            tls_config=self.tls_config.with_directory(directory),
            http_headers=FrozenDict(
                {
                    name: replace(header, files=tuple(join_directory(directory, file) for file in header.files))
                    for name, header in self.http_headers.items()
                }
            ),
        )
