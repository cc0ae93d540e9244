"""Asks name servers for the records of names."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Self, TypeAlias

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import msgspec
from dns.rdata import Rdata

from promscout.discovery.dns.config import RecordType
from promscout.errors import PromscoutError
from promscout.logs import EventLog

RESOLV_CONF: Final = Path("/etc/resolv.conf")

ANSWER_SECONDS: Final = 2.0
"""How long one server has for its answer, as in Prometheus."""

MAX_NDOTS: Final = 15

Records: TypeAlias = list[Rdata]

_log = EventLog("promscout.discovery.dns")


class LookupFailed(PromscoutError):  # noqa: N818 - reads as what it is
    """It cannot be told which records a name has."""


class ResolvConf(msgspec.Struct, frozen=True):
    """Which servers to ask, and which domains to append to names with fewer than ``ndots`` dots before asking as is."""

    servers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    ndots: int = 1

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a resolv.conf(5); what is not understood is ignored, as the C library does."""
        servers: list[str] = []
        search: tuple[str, ...] = ()
        ndots = 1
        for line in text.splitlines():
            keyword, *values = line.split() or [""]
            if keyword == "nameserver" and values:
                servers.append(values[0])
            elif keyword == "domain" and values:
                search = (values[0],)
            elif keyword == "search":
                search = tuple(values)
            elif keyword == "options":
                for option in values:
                    name, _, number = option.partition(":")
                    if name == "ndots" and number.isdecimal():
                        ndots = min(int(number[:3]), MAX_NDOTS)
        return cls(tuple(servers), search, ndots)

    def candidates(self, name: str) -> list[str]:
        """The full names that ``name`` may stand for, in the order in which they are tried.

        Source: github.com/miekg/dns clientconfig.go NameList.
        """
        if name.endswith("."):
            return [name]
        searched = [f"{name}.{domain.strip('.')}." if domain != "." else f"{name}." for domain in self.search]
        if name.count(".") >= self.ndots:
            return [f"{name}.", *searched]
        return [*searched, f"{name}."]


class Lookup:
    """Finds the records of names by the servers and domains that a resolv.conf names, read anew each time.

    Guarantees: a server that answers "no such name" is believed, one that fails is not; an empty list is sure
    knowledge. Answers that do not fit in a datagram are fetched over TCP, forged ones are not looked at.

    Source: prometheus v3.x discovery/dns/dns.go lookupWithSearchPath, lookupFromAnyServer.
    """

    def __init__(
        self, resolv_conf: Path = RESOLV_CONF, *, port: int = 53, answer_seconds: float = ANSWER_SECONDS
    ) -> None:
        self._resolv_conf = resolv_conf
        self._port = port
        self._answer_seconds = answer_seconds

    async def records(self, name: str, record_type: RecordType) -> Records:
        """The records of the first of the names that ``name`` may stand for that exists; none if none of them does.

        Raises:
            LookupFailed: no server could tell for at least one of those names, and no other exists.
        """
        try:
            conf = ResolvConf.parse(self._resolv_conf.read_text(errors="replace"))
        except OSError as error:
            raise LookupFailed(f"could not load {self._resolv_conf}: {error.strerror}") from error
        sure = True
        for candidate in conf.candidates(name):
            try:
                answer = await self._ask_servers(conf.servers, candidate, record_type)
            except LookupFailed:
                sure = False
                continue
            if answer.rcode() == dns.rcode.NOERROR:
                return [record for records in answer.answer for record in records]
        if sure:
            return []
        raise LookupFailed("all servers responded with errors to at least one search domain")

    async def _ask_servers(self, servers: tuple[str, ...], name: str, record_type: RecordType) -> dns.message.Message:
        """The first usable answer about ``name``: its records, or that it does not exist."""
        try:
            query = dns.message.make_query(name, dns.rdatatype.from_text(record_type), use_edns=0)
        except dns.exception.DNSException as error:
            raise LookupFailed(f"not a valid name: {error}") from None
        for server in servers:
            try:
                answer, _ = await dns.asyncquery.udp_with_fallback(
                    query,
                    server,
                    timeout=self._answer_seconds,
                    port=self._port,
                    ignore_unexpected=True,
                    ignore_errors=True,
                )
            except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                _log.warning("name server failed", server=server, name=name, error=str(error) or type(error).__name__)
                continue
            if answer.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                return answer
            _log.warning("name server failed", server=server, name=name, error=dns.rcode.to_text(answer.rcode()))
        raise LookupFailed("no server returned a viable answer")
