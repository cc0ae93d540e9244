"""What a pod's exporter says: a page of metrics whose numbers follow from the time and the number of scrapes. Pure."""

from __future__ import annotations

import math
from typing import Final

from promscout.sim.population import hash_text

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ROUTES: Final = (("200", "GET", "/"), ("200", "GET", "/api/items"), ("200", "POST", "/api/items"), ("404", "GET", "/"))
_BUCKETS: Final = (("0.005", 0.31), ("0.01", 0.52), ("0.05", 0.83), ("0.1", 0.91), ("0.5", 0.98), ("1", 0.995))
_BASE: Final = 1 + len(_ROUTES) + len(_BUCKETS) + 3 + 4 + 1  # build info, requests, histogram, process, scrapes
_PER_FAMILY: Final = 20  # filler series in one metric family


class MetricsPage:
    """The metrics of one exporter in the text format 0.0.4.

    Counters only grow while the page lives and are exact functions of ``now`` and ``scrapes``; two pages of the same
    name and start say the same. ``series`` is the number of samples on the page, at least those of a small web
    service (19); the rest are counters ``app_work_NN_total`` of 20 series each, of which every second one is at rest.
    """

    def __init__(self, name: str, started: float, series: int = 0) -> None:
        self._started = started
        seed = hash_text(name)
        self._rates = [1 + (seed >> shift) % 50 for shift in range(0, 4 * len(_ROUTES), 4)]
        self._base_memory = 40_000_000 + seed % 60_000_000
        self._head = (
            "# HELP app_build_info A constant 1, labelled with the version.\n# TYPE app_build_info gauge\n"
            f'app_build_info{{app="{name}",version="1.{seed % 10}.{seed // 10 % 10}"}} 1\n'
        )
        self._filler = self._filler_prefixes(max(0, series - _BASE))

    @staticmethod
    def _filler_prefixes(count: int) -> list[tuple[str, str, int]]:
        """Header (for the first of a family), the sample up to its value, and its growth per second."""
        made = []
        for number in range(count):
            family, member = divmod(number, _PER_FAMILY)
            name = f"app_work_{family:02d}_total"
            header = "" if member else f"# HELP {name} Units of work done.\n# TYPE {name} counter\n"
            labels = f'queue="queue-{member:02d}",shard="{number % 7}",region="eu"'
            made.append((header, f"{name}{{{labels}}} ", number % 2 * (1 + number % 13)))
        return made

    def render(self, now: float, scrapes: int) -> bytes:
        """The page at ``now`` (seconds since the epoch) to the scrape of number ``scrapes``, counted from 1."""
        uptime = max(0.0, now - self._started)
        lines = [self._head, *self._requests(uptime), *self._process(uptime, now)]
        lines.append("# HELP app_scrapes_total Times that this page was served.\n# TYPE app_scrapes_total counter\n")
        lines.append(f"app_scrapes_total {scrapes}\n")
        lines += [f"{header}{prefix}{int(1000 + uptime * rate)}\n" for header, prefix, rate in self._filler]
        return "".join(lines).encode()

    def _requests(self, uptime: float) -> list[str]:
        counts = [int(uptime * rate) for rate in self._rates]
        lines = ["# HELP http_requests_total Requests served.\n# TYPE http_requests_total counter\n"]
        for (code, method, path), count in zip(_ROUTES, counts, strict=True):
            lines.append(f'http_requests_total{{code="{code}",method="{method}",path="{path}"}} {count}\n')
        total, name = sum(counts), "http_request_duration_seconds"
        lines.append(f"# HELP {name} Time to answer a request.\n# TYPE {name} histogram\n")
        lines += [f'{name}_bucket{{le="{bound}"}} {int(total * share)}\n' for bound, share in _BUCKETS]
        lines.append(f'{name}_bucket{{le="+Inf"}} {total}\n{name}_sum {total * 0.042!r}\n{name}_count {total}\n')
        return lines

    def _process(self, uptime: float, now: float) -> list[str]:
        memory = int(self._base_memory * (1 + 0.1 * math.sin(now / 60)))
        rows = (
            ("process_cpu_seconds_total", "counter", "CPU time spent in seconds.", repr(round(uptime * 0.02, 2))),
            ("process_open_fds", "gauge", "Number of open file descriptors.", str(10 + int(now) % 7)),
            ("process_resident_memory_bytes", "gauge", "Resident memory in bytes.", f"{memory:.6e}"),
            ("process_start_time_seconds", "gauge", "Start time since the epoch.", repr(round(self._started, 2))),
        )
        return [f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}\n" for name, kind, text, value in rows]


def sample(page: bytes, series: str) -> float:
    """The value of one series on a page; ``series`` is written as the page writes it, labels included.

    Raises:
        LookupError: the page has no such series.
    """
    prefix = f"{series} ".encode()
    for line in page.splitlines():
        if line.startswith(prefix):
            return float(line[len(prefix) :])
    raise LookupError(f"no series {series} on the page")
