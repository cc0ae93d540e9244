"""The address that users know the server by, and what follows from it for other addresses."""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

_LOCALHOST: Final = frozenset({"127.0.0.1", "localhost", "::1"})
"""Source: prometheus v3.x web/api/v1 LocalhostRepresentations."""


class ExternalURL(msgspec.Struct, frozen=True):
    """Scheme and ``host[:port]`` under which users reach the server, and the port that it really listens on."""

    scheme: str
    netloc: str
    listen_port: int

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
