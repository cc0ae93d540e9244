"""Discovers what name servers list."""

from __future__ import annotations

import asyncio
import ipaddress
from typing import Final

from dns.rdata import Rdata
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.SRV import SRV
from prometheus_client import Counter

from promscout.discovery.discoverer import Publish
from promscout.discovery.dns.config import DNSSDConfig
from promscout.discovery.dns.lookup import Lookup, LookupFailed
from promscout.discovery.mechanism import DiscoveryContext
from promscout.discovery.refresh import Refresher, RefreshFailed, RefreshMetrics
from promscout.logs import EventLog
from promscout.model.address import join_host_port
from promscout.model.group import TargetGroup
from promscout.model.labels import ADDRESS

MAX_LOOKUPS: Final = 64
"""Lookups of one configuration under way at a time."""

NAME: Final = "__meta_dns_name"
SRV_TARGET: Final = "__meta_dns_srv_record_target"
SRV_PORT: Final = "__meta_dns_srv_record_port"
MX_TARGET: Final = "__meta_dns_mx_record_target"
NS_TARGET: Final = "__meta_dns_ns_record_target"

_log = EventLog("promscout.discovery.dns")


class DNSFactory:
    """Makes DNS discoverers that share metrics, and the way to the name servers."""

    def __init__(self, context: DiscoveryContext, lookup: Lookup | None = None) -> None:
        self._refresh = context.refresh
        self._metrics = DNSMetrics(context)
        self._lookup = lookup or Lookup()

    def __call__(self, config: DNSSDConfig) -> DNSDiscoverer:
        """The discoverer of ``config``."""
        return DNSDiscoverer(config, self._lookup, self._refresh, self._metrics)


class DNSMetrics:
    """How lookups go; one that tries several servers or domains counts once.

    Source: prometheus v3.x discovery/dns/metrics.go.
    """

    def __init__(self, context: DiscoveryContext) -> None:
        self.lookups = Counter("prometheus_sd_dns_lookups", "The number of DNS-SD lookups.", registry=context.registry)
        self.failures = Counter(
            "prometheus_sd_dns_lookup_failures", "The number of DNS-SD lookup failures.", registry=context.registry
        )


class DNSDiscoverer:
    """Looks all names up at every refresh; a name is the source of one group with a target for each record.

    Guarantees: a name that cannot be looked up keeps its targets, whatever becomes of the others; one that does not
    exist has none. A refresh in which no lookup succeeds has failed. Records are sorted: their order in an answer means
    nothing.

    Source: prometheus v3.x discovery/dns/dns.go Discovery.refresh, refreshOne.
    """

    def __init__(self, config: DNSSDConfig, lookup: Lookup, refresh: RefreshMetrics, metrics: DNSMetrics) -> None:
        self._config = config
        self._names = tuple(dict.fromkeys(config.names))
        self._lookup = lookup
        self._refresher = Refresher(config.mechanism, config.refresh_interval, refresh)
        self._metrics = metrics
        self._groups: dict[str, TargetGroup] = {}

    @property
    def last_error(self) -> str:
        """Why the last refresh failed; empty after one that did not."""
        return self._refresher.last_error

    async def run(self, publish: Publish) -> None:
        """Publish groups until cancelled."""
        await self._refresher.run(self._refresh, publish)

    async def _refresh(self) -> list[TargetGroup]:
        places = asyncio.Semaphore(MAX_LOOKUPS)
        async with asyncio.TaskGroup() as tasks:
            lookups = [tasks.create_task(self._look_up(name, places), name=f"DNS {name}") for name in self._names]
        if not any(lookup.result() for lookup in lookups):
            raise RefreshFailed("no lookup succeeded")
        return list(self._groups.values())

    async def _look_up(self, name: str, places: asyncio.Semaphore) -> bool:
        """Bring the group of ``name`` up to date; False if that is not possible."""
        async with places:
            self._metrics.lookups.inc()
            try:
                records = await self._lookup.records(name, self._config.type)
            except LookupFailed as error:
                self._metrics.failures.inc()
                _log.error("lookup failed, its targets stay", name=name, type=self._config.type, error=str(error))
                return False
        targets = [labels for record in records if (labels := _labels(record, name, self._config.port))]
        self._groups[name] = TargetGroup.of(name, sorted(targets, key=lambda labels: tuple(labels.values())))
        return True


def _labels(record: Rdata, name: str, port: int) -> dict[str, str]:
    """The labels of the target that a record names; none for one that names none, such as an alias on the way."""
    match record:
        case SRV():
            target = record.target.to_text()
            address = join_host_port(target.rstrip("."), record.port)
            return {ADDRESS: address, NAME: name, SRV_TARGET: target, SRV_PORT: str(record.port)}
        case MX():
            target = record.exchange.to_text()
            return {ADDRESS: join_host_port(target.rstrip("."), port), NAME: name, MX_TARGET: target}
        case NS():
            target = record.target.to_text()
            return {ADDRESS: join_host_port(target.rstrip("."), port), NAME: name, NS_TARGET: target}
        case A():
            return {ADDRESS: join_host_port(record.address, port), NAME: name}
        case AAAA():
            number = ipaddress.IPv6Address(record.address)
            return {ADDRESS: join_host_port(str(number.ipv4_mapped or number), port), NAME: name}
        case _:
            return {}
