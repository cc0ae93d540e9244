"""Which names and origins a request may give: what keeps other sites from using a browser as their way in."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec


class Origins(msgspec.Struct, frozen=True):
    """What the server is called.

    ``external`` is ``host[:port]`` under which users know it. ``own_names_only`` refuses every other name: nobody but
    this machine can reach the server, and a foreign name that leads here is an attack on its browsers (DNS rebinding).
    """

    external: str
    own_names_only: bool

    def host_refusal(self, host: str) -> str:
        """Why requests for ``host`` (of the header, or of an absolute URL) are refused; empty: they are not."""
        if not self.own_names_only or self.is_own(host):
            return ""
        return "the Host is not a name of this server"

    def is_own(self, host: str) -> bool:
        """Whether ``host``, with or without a port, is a name that no attacker can point here."""
        name = hostname(host)
        if name in ("localhost", hostname(self.external)) or name.endswith(".localhost"):
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True  # an address is not looked up, so nobody can point it elsewhere

    def cross_site_refusal(self, host: str, origin: str | None, site: str | None) -> str:
        """Why a request that changes something is refused, when a browser sent it; empty: it is not.

        ``origin`` and ``site`` are the headers Origin, which browsers send with every POST and PUT, and
        Sec-Fetch-Site.
        """
        if site not in (None, "same-origin", "none"):
            return "it comes from another site"
        if origin is None:
            return ""
        sender = origin.partition("://")[2]
        if sender == self.external or (sender == host and self.is_own(host)):
            return ""
        return "it comes from another origin, or from a page of a name that is not this server's"


def hostname(netloc: str) -> str:
    """The name or address in ``host[:port]``, small letters, no brackets; empty where there is none."""
    try:
        return (urlsplit(f"//{netloc}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_loopback(address: str) -> bool:
    """Whether it is an address of this machine alone."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def only(values: Sequence[str]) -> str | None:
    """The only one of them; None where there is none, an empty text, which nothing accepts, where there are more."""
    if not values:
        return None
    return values[0] if len(values) == 1 else ""
