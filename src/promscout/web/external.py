"""The address that users know the server by, and what follows from it for other addresses."""

from __future__ import annotations

import re
from typing import Final, Self
from urllib.parse import SplitResult, urlsplit

import msgspec

from promscout.errors import InvalidValueError
from promscout.httpclient.secret import split_http_url

_PREFIX: Final = re.compile(r"(/[A-Za-z0-9_~.-]+)*")
_LOCALHOST: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Source: prometheus v3.x web/api/v1 LocalhostRepresentations."""


class ExternalURL(msgspec.Struct, frozen=True):
    """Scheme, ``host[:port]`` and path under which users reach the server, and the port that it really listens on."""

    scheme: str
    netloc: str
    listen_port: int
    # Empty, or with a slash at its beginning and none at its end.
    path: str = ""

    @classmethod
    def parse(cls, text: str, listen_port: int) -> Self:
        """From what a user gave.

        Raises:
            InvalidValueError: no absolute http or https URL, one with a password, or with more than a path.

        Source: prometheus v3.x cmd/prometheus/main.go computeExternalURL.
        """
        parts = split_http_url(text)
        if "@" in parts.netloc:
            raise InvalidValueError("it must not have a user or password: everybody sees it")
        if parts.query or parts.fragment:
            raise InvalidValueError("it must end with the path")
        return cls(parts.scheme, parts.netloc, listen_port, url_prefix(parts.path))

    def globalize(self, url: str) -> str:
        """``url`` as it can be opened from another machine.

        A target on localhost gets the external host name: a good guess. One that is this very server gets the whole
        external address. Anything else, also a URL that cannot be taken apart, stays as it is.

        Source: prometheus v3.x web/api/v1/api.go getGlobalURL.
        """
        # Nearly all: taking a URL apart is a third of what an answer with many targets costs.
        authority = url.partition("://")[2].partition("/")[0].lower()
        if not any(name in authority for name in _LOCALHOST):
            return url
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return url
        if parts.hostname not in _LOCALHOST:
            return url
        if port == self.listen_port:
            return parts._replace(scheme=self.scheme, netloc=self.netloc).geturl()
        return parts._replace(netloc=self._with_port(parts)).geturl()

    @property
    def hostname(self) -> str:
        """The external host name without port and brackets."""
        return urlsplit(f"//{self.netloc}").hostname or ""

    def _with_port(self, parts: SplitResult) -> str:
        host = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return host if parts.port is None else f"{host}:{parts.port}"


def url_prefix(path: str) -> str:
    """``path`` as what URLs begin with: no slash at its end, one before everything else, or nothing at all.

    Raises:
        InvalidValueError: it has other characters than letters, digits, ``/``, ``_``, ``~``, ``.`` and ``-``, or parts
            that mean a directory.
    """
    prefix = f"/{path.strip('/')}".rstrip("/")
    if not _PREFIX.fullmatch(prefix) or {".", ".."} & set(prefix.split("/")):
        raise InvalidValueError("a path may have letters, digits, /, _, ~, . and -, and no parts . and ..")
    return prefix
