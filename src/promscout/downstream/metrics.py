"""Lists for other servers in promscout's own metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from promscout.downstream.availability import Discovered
from promscout.downstream.clients import ClientTable
from promscout.downstream.listings import Listings


class HTTPSDMetrics(Collector):
    """What is served by ``/sd/http``. Jobs that do not exist are counted as one, with the empty name."""

    def __init__(self, agent: Discovered, listings: Listings, clients: ClientTable, now_ms: Callable[[], int]) -> None:
        self._agent = agent
        self._listings = listings
        self._clients = clients
        self._now_ms = now_ms
        self._requests: Counter[tuple[str, int]] = Counter()

    def count(self, job: str, code: int) -> None:
        """Count a request for the list of ``job`` that was answered with ``code``."""
        self._requests[job if job in self._agent.scrape.pools else "", code] += 1

    def collect(self) -> Iterator[Metric]:
        """The families at this moment."""
        requests = CounterMetricFamily(
            "promscout_sd_http_requests_total", "Requests for lists of targets.", labels=("job", "code")
        )
        for job, code in [key for key in self._requests if key[0] and key[0] not in self._agent.scrape.pools]:
            del self._requests[job, code]
        for (job, code), number in sorted(self._requests.items()):
            requests.add_metric((job, str(code)), number)
        yield requests
        yield CounterMetricFamily(
            "promscout_sd_http_lists_made_total",
            "Lists of targets that were made, because none was kept that is still true.",
            value=self._listings.made,
        )
        yield GaugeMetricFamily(
            "promscout_sd_http_kept_bytes", "Compressed bytes of the lists that are kept.", self._listings.kept_bytes
        )
        now_ms = self._now_ms()
        visits = [visit for _, visit in self._clients.known(now_ms)]
        yield GaugeMetricFamily("promscout_sd_http_clients", "Clients that ask for lists of targets.", len(visits))
        yield GaugeMetricFamily(
            "promscout_sd_http_late_clients",
            "Clients that have not asked for twice the refresh interval that they say they have.",
            sum(visit.is_late(now_ms) for visit in visits),
        )
