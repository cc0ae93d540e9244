"""Which proxy a request goes through."""

from __future__ import annotations

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import yarl

from promscout.httpclient.config import ProxyConfig


class NoProxy:
    """The hosts that ``NO_PROXY`` or ``no_proxy`` names.

    Entries, separated by commas: an address, a CIDR range, a domain (itself and all below it), a domain with a
    leading dot (only those below it), each with an optional port; ``*`` for everything. Loopback and ``localhost``
    are always named.

    Source: golang.org/x/net/http/httpproxy Config.
    """

    def __init__(self, text: str) -> None:
        self._everything = False
        self._networks: list[tuple[IPv4Network | IPv6Network, int | None]] = []
        self._domains: list[tuple[str, bool, int | None]] = []
        for entry in text.lower().split(","):
            self._add(entry.strip())

    def _add(self, entry: str) -> None:
        if not entry:
            return
        if entry == "*":
            self._everything = True
            return
        host, port = entry, None
        head, colon, tail = entry.rpartition(":")
        if colon and tail.isdigit() and (":" not in head or head.startswith("[")):
            host, port = head, int(tail)
        try:
            self._networks.append((ip_network(host.strip("[]"), strict=False), port))
        except ValueError:
            only_below = host.startswith((".", "*."))
            self._domains.append((host.removeprefix("*").removeprefix("."), only_below, port))

    def covers(self, host: str, port: int | None) -> bool:
        """Whether requests to ``host`` and ``port`` go directly."""
        host = host.lower().rstrip(".")
        if self._everything or host == "localhost":
            return True
        try:
            address = ip_address(host)
        except ValueError:
            return any(
                wanted in (None, port) and (host.endswith(f".{domain}") or (host == domain and not only_below))
                for domain, only_below, wanted in self._domains
            )
        return address.is_loopback or any(
            wanted in (None, port) and address in network for network, wanted in self._networks
        )


class ProxyChoice:
    """Chooses the proxy of a request as the options, or the environment at construction, say."""

    def __init__(self, config: ProxyConfig, environment: Mapping[str, str] = os.environ) -> None:
        url = config.proxy_url.reveal()
        self._by_scheme = {"http": url, "https": url}
        self._exceptions: NoProxy | None = NoProxy(config.no_proxy) if config.no_proxy else None
        if config.proxy_from_environment:
            self._by_scheme = {scheme: _from(environment, f"{scheme}_proxy") for scheme in ("http", "https")}
            self._exceptions = NoProxy(environment.get("NO_PROXY") or environment.get("no_proxy") or "")

    def __call__(self, url: yarl.URL) -> yarl.URL | None:
        """The proxy for ``url``, or None to go directly."""
        proxy = self._by_scheme.get(url.scheme, "")
        if not proxy or (self._exceptions and self._exceptions.covers(url.host or "", url.port)):
            return None
        return yarl.URL(proxy)


def _from(environment: Mapping[str, str], name: str) -> str:
    proxy = environment.get(name.upper()) or environment.get(name) or ""
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy
