"""How the web server speaks TLS: options, and the context that they make.

Source: prometheus/exporter-toolkit web/tls_config.go TLSConfig, ConfigToTLSConfig.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from promscout.errors import InvalidValueError
from promscout.httpclient.reading import read_small
from promscout.httpclient.secret import Secret
from promscout.httpclient.tls import join_directory


class ServerTLSVersion(StrEnum):
    """A version of TLS, as Prometheus names it."""

    TLS10 = "TLS10"
    TLS11 = "TLS11"
    TLS12 = "TLS12"
    TLS13 = "TLS13"

    @classmethod
    def parse(cls, text: str) -> ServerTLSVersion:
        """Read a version.

        Raises:
            InvalidValueError: not a known version, or one that is not safe.
        """
        if text not in cls.__members__:
            raise InvalidValueError(f"unknown TLS version: {text}")
        if text in ("TLS10", "TLS11"):
            raise InvalidValueError(f"{text} is not supported, it is not safe: TLS12 or TLS13")
        return cls(text)


class ClientAuth(StrEnum):
    """What is asked of clients. Source: Go crypto/tls ClientAuthType."""

    NONE = "NoClientCert"
    REQUEST = "RequestClientCert"
    REQUIRE_ANY = "RequireAnyClientCert"
    REQUIRE = "RequireClientCert"
    VERIFY_IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRE_AND_VERIFY = "RequireAndVerifyClientCert"


class Curve(StrEnum):
    """A curve for the exchange of keys, as Go names it."""

    P256 = "CurveP256"
    P384 = "CurveP384"
    P521 = "CurveP521"
    X25519 = "X25519"


_UNCHECKED: Final = (ClientAuth.REQUEST, ClientAuth.REQUIRE_ANY, ClientAuth.REQUIRE)
_MODES: Final = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.VERIFY_IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRE_AND_VERIFY: ssl.CERT_REQUIRED,
}
_VERSIONS: Final = {
    ServerTLSVersion.TLS12: ssl.TLSVersion.TLSv1_2,
    ServerTLSVersion.TLS13: ssl.TLSVersion.TLSv1_3,
}
_CURVES: Final = {
    Curve.P256: "prime256v1",
    Curve.P384: "secp384r1",
    Curve.P521: "secp521r1",
    Curve.X25519: "X25519",
}
_CIPHERS: Final = {
    # Those of TLS 1.3 are always on, as in Go.
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""Go's name → OpenSSL's. Source: Go crypto/tls CipherSuites."""


class CipherSuite(str):
    """A cipher suite, as Go names it."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name.

        Raises:
            InvalidValueError: Go does not have it, or has it among the insecure ones.
        """
        if text not in _CIPHERS:
            raise InvalidValueError(f"unknown cipher: {text}")
        return cls(text)


class TLSServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How the server speaks TLS; as it is by default: not at all."""

    cert: str = ""
    cert_file: str = ""
    key: Secret = Secret()
    key_file: str = ""
    client_auth_type: ClientAuth = ClientAuth.NONE
    # Certificates trusted as issuers of those of clients, PEM.
    client_ca: str = ""
    client_ca_file: str = ""
    # Names, addresses or URIs of which a client's certificate must have one; None: any certificate will do.
    client_allowed_sans: tuple[str, ...] | None = None
    # None: TLS 1.2, and the newest there is.
    min_version: ServerTLSVersion | None = None
    max_version: ServerTLSVersion | None = None
    # For TLS 1.2; none: OpenSSL's.
    cipher_suites: tuple[CipherSuite, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[Curve, ...] = ()

    def __post_init__(self) -> None:
        for one, other in (("cert", "cert_file"), ("key", "key_file"), ("client_ca", "client_ca_file")):
            if getattr(self, one) and getattr(self, other):
                raise InvalidValueError(f"at most one of {one} and {other} must be configured", key=other)
        if self._is_empty():
            return
        if not (self.cert or self.cert_file):
            raise InvalidValueError("missing one of cert or cert_file")
        if not (self.key or self.key_file):
            raise InvalidValueError("missing one of key or key_file")
        self._check_clients()
        if self.min_version and self.max_version and self.min_version > self.max_version:
            raise InvalidValueError("min_version must not be above max_version", key="min_version")
        if len(self.curve_preferences) > 1:
            raise InvalidValueError("OpenSSL is given one curve or none, not several", key="curve_preferences")

    def _is_empty(self) -> bool:
        return all(getattr(self, name) == default for name, default in _DEFAULTS.items())

    def _check_clients(self) -> None:
        kind = self.client_auth_type
        if kind in _UNCHECKED:
            raise InvalidValueError(
                f"{kind} is not supported, nobody would check the certificate: "
                f"{ClientAuth.VERIFY_IF_GIVEN} or {ClientAuth.REQUIRE_AND_VERIFY}",
                key="client_auth_type",
            )
        has_issuers = bool(self.client_ca or self.client_ca_file)
        if kind is ClientAuth.NONE and has_issuers:
            raise InvalidValueError("client CA's have been configured without a Client Auth Policy")
        if kind is not ClientAuth.NONE and not has_issuers:
            raise InvalidValueError(
                f"{kind} needs client_ca or client_ca_file: every public CA would be trusted without",
                key="client_auth_type",
            )
        if self.client_allowed_sans is not None and kind is not ClientAuth.REQUIRE_AND_VERIFY:
            raise InvalidValueError(
                f"client_allowed_sans needs client_auth_type: {ClientAuth.REQUIRE_AND_VERIFY}",
                key="client_allowed_sans",
            )

    @property
    def enabled(self) -> bool:
        """Whether the server speaks TLS."""
        return bool(self.cert or self.cert_file)

    @property
    def requires_certificate(self) -> bool:
        """Whether nobody without a certificate gets in."""
        return self.client_auth_type is ClientAuth.REQUIRE_AND_VERIFY

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it names."""
        return tuple(file for file in (self.cert_file, self.key_file, self.client_ca_file) if file)

    def with_directory(self, directory: Path) -> Self:
        """The same options with relative file names taken from ``directory``."""
        return msgspec.structs.replace(
            self,
            cert_file=join_directory(directory, self.cert_file),
            key_file=join_directory(directory, self.key_file),
            client_ca_file=join_directory(directory, self.client_ca_file),
        )

    def allows(self, certificate: Any) -> bool:  # noqa: ANN401 - what ssl gives: a dict of nested tuples, or None
        """Whether a client with this certificate, which is verified, may come in.

        Source: exporter-toolkit web/tls_config.go VerifyPeerCertificate.
        """
        if self.client_allowed_sans is None:
            return True
        names = {_canonical(kind, name) for kind, name in (certificate or {}).get("subjectAltName", ())}
        return not names.isdisjoint(self.client_allowed_sans)


_DEFAULTS: Final = {info.name: info.default for info in msgspec.structs.fields(TLSServerConfig)}


def _canonical(kind: str, name: str) -> str:
    if kind != "IP Address":
        return name
    try:
        return str(ip_address(name))
    except ValueError:
        return name


def make_server_context(config: TLSServerConfig) -> ssl.SSLContext:
    """The context that ``config`` describes, from its files as they are now.

    Raises:
        InvalidValueError: a file cannot be read, or what is in it cannot be used; ``key`` says which option. No message
            quotes what is secret.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    context.minimum_version = _VERSIONS[config.min_version or ServerTLSVersion.TLS12]
    if config.max_version is not None:
        context.maximum_version = _VERSIONS[config.max_version]
    if not config.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.options |= ssl.OP_NO_RENEGOTIATION
    if names := [_CIPHERS[suite] for suite in config.cipher_suites if _CIPHERS[suite]]:
        context.set_ciphers(":".join(names))
    for curve in config.curve_preferences:
        try:
            context.set_ecdh_curve(_CURVES[curve])
        except (ssl.SSLError, ValueError) as error:  # X25519 is no curve to some versions of Python's module
            raise InvalidValueError(f"this Python cannot be told to use {curve}", key="curve_preferences") from error
    _load_pair(context, config)
    context.verify_mode = _MODES[config.client_auth_type]
    if context.verify_mode != ssl.CERT_NONE:
        _load_issuers(context, config)
    return context


def _load_pair(context: ssl.SSLContext, config: TLSServerConfig) -> None:
    cert = config.cert or _read("cert_file", config.cert_file)
    key = config.key.reveal() or _read("key_file", config.key_file)
    with ExitStack() as stack:
        cert_path, key_path = (stack.enter_context(_in_memory(text)) for text in (cert, key))
        try:
            # An empty password makes an encrypted key an error instead of a question on the terminal.
            context.load_cert_chain(cert_path, key_path, password="")
        except ssl.SSLError as error:
            raise _explained(cert, key, error, config) from error


def _explained(cert: str, key: str, error: ssl.SSLError, config: TLSServerConfig) -> InvalidValueError:
    """OpenSSL's refusal in words, for the option that is at fault."""
    from promscout.config.certificates import check_pair, read_certificates  # noqa: PLC0415 - only where it fails

    names = "cert_file" if config.cert_file else "cert", "key_file" if config.key_file else "key"
    try:
        certificates = read_certificates(cert)
    except InvalidValueError as refusal:
        return InvalidValueError(str(refusal), key=names[0])
    try:
        check_pair(certificates, key)
    except InvalidValueError as refusal:
        return InvalidValueError(str(refusal), key=names[1])
    return InvalidValueError(f"OpenSSL refuses it: {error.reason or 'not PEM'}", key=names[0])


def _load_issuers(context: ssl.SSLContext, config: TLSServerConfig) -> None:
    key = "client_ca_file" if config.client_ca_file else "client_ca"
    try:
        context.load_verify_locations(cadata=config.client_ca or _read(key, config.client_ca_file))
    except (ssl.SSLError, ValueError) as error:
        if isinstance(error, InvalidValueError):
            raise
        raise InvalidValueError("it has no usable PEM certificate", key=key) from error
    # As in Go, a certificate trusted by the user needs no issuer and none of the extensions that RFC 5280 asks for.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT


def _read(key: str, path: str) -> str:
    try:
        return read_small(path)
    except OSError as error:
        raise InvalidValueError(f"cannot read {path}: {error.strerror}", key=key) from error
    except ValueError as error:
        raise InvalidValueError(str(error), key=key) from error


@contextmanager
def _in_memory(text: str) -> Iterator[str]:
    """A path under which OpenSSL, which reads chains and keys from files only, finds ``text``; no disk has it."""
    descriptor = os.memfd_create("promscout", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"
