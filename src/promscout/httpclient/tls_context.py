"""SSL contexts made from TLS options, made anew when a certificate file changes."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from tempfile import NamedTemporaryFile
from typing import Final

import aiohttp
import msgspec

from promscout.httpclient.credentials import Credential
from promscout.httpclient.files import Version, version_of
from promscout.httpclient.reading import check_regular, read_small
from promscout.httpclient.secret import Secret
from promscout.httpclient.tls import TLSConfig, TLSVersion

_VERSIONS: Final = {
    TLSVersion.TLS10: ssl.TLSVersion.TLSv1,
    TLSVersion.TLS11: ssl.TLSVersion.TLSv1_1,
    TLSVersion.TLS12: ssl.TLSVersion.TLSv1_2,
    TLSVersion.TLS13: ssl.TLSVersion.TLSv1_3,
}


HTTP1: Final = ("http/1.1",)
HTTP2: Final = ("h2", "http/1.1")
"""What is offered to servers (ALPN), in order of preference."""


def make_context(config: TLSConfig, protocols: Sequence[str] = HTTP1) -> ssl.SSLContext:
    """A client context that trusts and presents what ``config`` says, and offers ``protocols``.

    Raises:
        OSError, ValueError: a certificate or key cannot be read or used; the message names which.
    """
    context = ssl.create_default_context(cadata=_trusted(config)) if config.ca or config.ca_file else _system()
    # As in Go, a certificate trusted by the user needs no issuer and none of the extensions that RFC 5280 asks for:
    # cluster certificates are often made by hand.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(list(protocols))
    if config.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if config.min_version:
        context.minimum_version = _VERSIONS[config.min_version]
    if config.max_version:
        context.maximum_version = _VERSIONS[config.max_version]
    if config.cert or config.cert_file:
        load_client_certificate(context, config)
    return context


@cache
def _default(protocols: tuple[str, ...]) -> ssl.SSLContext:
    """One for all: the system's certificates take half a megabyte and milliseconds to load."""
    return make_context(TLSConfig(), protocols)


def _system() -> ssl.SSLContext:
    return ssl.create_default_context()


def _trusted(config: TLSConfig) -> str:
    text = config.ca or read_small(config.ca_file)
    if "-----BEGIN" not in text:
        raise ValueError(f"unable to use specified CA cert{_named(config.ca_file)}: it holds no PEM certificate")
    return text


def load_client_certificate(context: ssl.SSLContext, config: TLSConfig) -> None:
    """Make ``context`` present the client certificate of ``config``.

    Raises:
        OSError, ValueError: it, or its key, cannot be read or used; the message names which.
    """
    # OpenSSL reads chains and keys from files only; text is put into files that only this user can read.
    with ExitStack() as stack:
        paths = []
        for path, text in ((config.cert_file, config.cert), (config.key_file, config.key.reveal())):
            if path:
                check_regular(os.stat(path), path)  # noqa: PTH116 - names the file, which load_cert_chain does not
                paths.append(path)
                continue
            file = stack.enter_context(NamedTemporaryFile("w", prefix="promscout-", suffix=".pem"))
            file.write(text)
            file.flush()
            paths.append(file.name)
        try:
            # An empty password makes an encrypted key an error instead of a question on the terminal.
            context.load_cert_chain(paths[0], paths[1], password="")
        except ssl.SSLError as error:
            raise ValueError(
                f"unable to use specified client cert{_named(config.cert_file)} & key{_named(config.key_file)}: "
                f"{error.reason or 'not PEM'}"
            ) from error


def _named(path: str) -> str:
    return f" ({path})" if path else ""


class TLSContext:
    """The context for one set of options, current at each call of :meth:`get`."""

    def __init__(self, config: TLSConfig, protocols: Sequence[str] = HTTP1) -> None:
        self._config = config
        self._protocols = tuple(protocols)
        self._files = tuple(path for path in (config.ca_file, config.cert_file, config.key_file) if path)
        self._default = config in (TLSConfig(), TLSConfig(server_name=config.server_name))
        self._made_of: tuple[tuple[Version, ...], str, Secret] | None = None
        self._context: ssl.SSLContext | None = None

    def get(self, credential: Credential) -> ssl.SSLContext | bool:
        """The context to use now, or True for the process-wide default one. Costs a ``stat`` per file.

        The certificate of ``credential``, where it has one, is presented in place of a configured one. A changed
        certificate gives another context, and so other connections.

        Raises:
            aiohttp.ClientError: a certificate or key cannot be read or used.
        """
        if self._default and not credential.cert:
            return True
        try:
            made_of = tuple(version_of(path) for path in self._files), credential.cert, credential.key
            if self._context is None or made_of != self._made_of:
                self._context = make_context(self._with(credential), self._protocols)
                self._made_of = made_of
        except (OSError, ValueError) as error:
            raise aiohttp.ClientError(f"unable to set up TLS: {error}") from error
        return self._context

    def context(self, credential: Credential) -> ssl.SSLContext:
        """As :meth:`get`, with the process-wide default context itself in place of True."""
        context = self.get(credential)
        return _default(self._protocols) if isinstance(context, bool) else context

    def _with(self, credential: Credential) -> TLSConfig:
        if not credential.cert:
            return self._config
        return msgspec.structs.replace(
            self._config, cert=credential.cert, cert_file="", key=credential.key, key_file=""
        )
