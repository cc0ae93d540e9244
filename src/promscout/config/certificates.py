"""What is wrong with certificates and keys, before a connection needs them."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from promscout.errors import InvalidValueError
from promscout.httpclient.tls import TLSConfig

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)


def read_certificates(text: str) -> tuple[x509.Certificate, ...]:
    """The certificates of a PEM text, at least one.

    Raises:
        InvalidValueError: there is none, or one is broken; the message counts them and gives lines.
    """
    found = []
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match[1] not in ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"):
            continue
        try:
            found.append(x509.load_der_x509_certificate(base64.b64decode("".join(match[2].split()), validate=True)))
        except ValueError:
            raise InvalidValueError(f"the certificate in line {line} is broken") from None
    if found:
        return tuple(found)
    if "-----BEGIN" in text and not _BLOCK.search(text):
        raise InvalidValueError("the PEM block has no end, or another one than its beginning")
    kinds = sorted({match[1].lower() for match in _BLOCK.finditer(text)})
    raise InvalidValueError(f"no PEM certificate{f', but {chr(39).join(kinds)}' if kinds else ''}")


def check_pair(certificates: tuple[x509.Certificate, ...], key: str) -> None:
    """Refuse a private key that cannot be used with the first of the certificates.

    Raises:
        InvalidValueError: it is not a PEM key, encrypted, or another certificate's. No message quotes the key.
    """
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except TypeError:
        raise InvalidValueError("the key is encrypted, and there is no option for its password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidValueError("not a PEM private key") from None
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    try:
        matches = private.public_key().public_bytes(*form) == certificates[0].public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        return  # an algorithm that only OpenSSL knows
    if not matches:
        raise InvalidValueError("the key does not belong to the certificate")


def check_usable(config: TLSConfig) -> None:
    """Let OpenSSL have its opinion of a client certificate and its key (it refuses short keys, for example).

    Raises:
        OSError, ValueError: they cannot be used.
    """
    from promscout.httpclient.tls_context import load_client_certificate  # noqa: PLC0415 - it imports aiohttp

    load_client_certificate(ssl.create_default_context(), config)


def concerns(certificates: tuple[x509.Certificate, ...], now: datetime | None = None) -> Iterator[str]:
    """What people should know about certificates that can be read: those that are not valid now."""
    now = now or datetime.now(UTC)
    for certificate in certificates:
        name = certificate.subject.rfc4514_string() or "without a subject"
        if certificate.not_valid_after_utc < now:
            yield f"the certificate {name} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
        elif certificate.not_valid_before_utc > now:
            yield f"the certificate {name} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d}"
