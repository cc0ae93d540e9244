"""Live exporters: each on a loopback address and port of its own, all served by one application.

A handler knows which exporter it is by the address that the client connected to. Exporters bind addresses in
127.0.0.0/8 and nothing else.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from aiohttp import web

from promscout.model.clock import Clock, SystemClock
from promscout.sim.metrics import CONTENT_TYPE, MetricsPage, sample
from promscout.sim.objects import ObjectKey
from promscout.sim.streaming import gzipped

Failure: TypeAlias = Literal["", "500", "hang", "garbage", "truncated", "abort"]
FAILURES: Final[tuple[Failure, ...]] = ("", "500", "hang", "garbage", "truncated", "abort")

_HANG: Final = 300.0  # seconds; longer than any scrape time-out in use
_GARBAGE: Final = b"<html>{{{ this is = not \x00 a metrics page\n" * 10
_PREFIX: Final = "sim.promscout/"


@dataclass(slots=True)
class Behaviour:
    """How an exporter answers; may be changed at any time.

    ``latency`` is seconds before an answer. ``failure`` applies to every ``failure_every``-th request (1: to all).
    ``body``, when set, is served instead of the generated page, under ``content_type``.
    """

    latency: float = 0.0
    failure: Failure = ""
    failure_every: int = 1
    body: bytes | None = None
    content_type: str = CONTENT_TYPE

    @classmethod
    def from_annotations(cls, annotations: Mapping[str, str]) -> Behaviour:
        """Read ``sim.promscout/latency``, ``…/failure`` and ``…/failure-every``.

        Raises:
            ValueError: one of them makes no sense.
        """
        wanted = annotations.get(_PREFIX + "failure", "")
        failure = next((one for one in FAILURES if one == wanted), None)
        if failure is None:
            raise ValueError(f"{_PREFIX}failure: {wanted!r} is none of {', '.join(filter(None, FAILURES))}")
        every = int(annotations.get(_PREFIX + "failure-every", "1"))
        return cls(float(annotations.get(_PREFIX + "latency", "0")), failure, max(1, every))


def series_wanted(annotations: Mapping[str, str]) -> int:
    """How many series the page should have: the annotation ``sim.promscout/series``, else 0 for the basic ones."""
    return int(annotations.get(_PREFIX + "series", "0"))


@dataclass(frozen=True, slots=True)
class Served:
    """A page as it was served, before compression; ``at_ms`` is milliseconds since the epoch."""

    body: bytes
    at_ms: int

    def value(self, series: str) -> float:
        """The value of a series, written as on the page: ``http_requests_total{code="200",…}``."""
        return sample(self.body, series)


@dataclass(slots=True)
class Exporter:
    """One exporter. ``last`` is the newest page that was served in full, ``requests`` counts all that came."""

    address: str
    port: int
    path: str
    page: MetricsPage
    behaviour: Behaviour
    settings: Mapping[str, str]
    requests: int = 0
    last: Served | None = None
    site: web.TCPSite | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Where it is scraped."""
        return f"http://{self.address}:{self.port}{self.path}"


class Exporters:
    """All exporters of a cluster, by the key of their pod or, with an empty namespace, of their node."""

    def __init__(self, *, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._by_key: dict[ObjectKey, Exporter] = {}
        self._by_socket: dict[tuple[str, int], Exporter] = {}
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Get ready to open exporters."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()

    async def stop(self) -> None:
        """Close all exporters."""
        self._by_key.clear()
        self._by_socket.clear()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[ObjectKey]:
        return iter(list(self._by_key))

    def __contains__(self, key: ObjectKey) -> bool:
        return key in self._by_key

    def __getitem__(self, key: ObjectKey) -> Exporter:
        """The exporter of a pod: ``exporters["shop", "frontend-1"]``.

        Raises:
            KeyError: it has none.
        """
        return self._by_key[key]

    async def open(
        self, key: ObjectKey, address: str, port: int, *, path: str = "/metrics", annotations: Mapping[str, str]
    ) -> None:
        """Have an exporter for ``key`` at this place; its annotations set its behaviour and number of series.

        One that is there already goes on when the place is the same: other annotations change its behaviour, equal
        ones leave alone what a test may have set. Otherwise it is replaced.

        Raises:
            ValueError: the address is not a loopback address, or an annotation makes no sense.
            OSError: the address and port are in use.
        """
        if not ipaddress.ip_address(address).is_loopback:
            raise ValueError(f"{address} is not a loopback address")
        if self._runner is None:
            raise RuntimeError("exporters are opened after start()")
        settings = {name: value for name, value in annotations.items() if name.startswith(_PREFIX)}
        there = self._by_key.get(key)
        if there is not None:
            place = (there.address, there.port, there.path, series_wanted(there.settings))
            if place == (address, port, path, series_wanted(settings)):
                if settings != there.settings:
                    there.behaviour, there.settings = Behaviour.from_annotations(settings), settings
                return
            await self.close(key)
        page = MetricsPage("/".join(key), self._clock.now_ms() / 1000, series_wanted(settings))
        exporter = Exporter(address, port, path, page, Behaviour.from_annotations(settings), settings)
        exporter.site = web.TCPSite(self._runner, address, port)
        await exporter.site.start()
        self._by_key[key] = self._by_socket[address, port] = exporter

    async def close(self, key: ObjectKey) -> None:
        """Stop the exporter of ``key``, if there is one: its address refuses connections again."""
        exporter = self._by_key.pop(key, None)
        if exporter is None or exporter.site is None:
            return
        del self._by_socket[exporter.address, exporter.port]
        await exporter.site.stop()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        local = request.transport.get_extra_info("sockname") if request.transport is not None else None
        exporter = self._by_socket.get((local[0], local[1])) if local else None
        if exporter is None:  # a kept-alive connection to an exporter that is gone
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=503)
        if request.path != exporter.path:
            return web.Response(status=404, text="404 page not found\n")
        exporter.requests += 1
        if exporter.behaviour.latency:
            await asyncio.sleep(exporter.behaviour.latency)
        if exporter.behaviour.failure and exporter.requests % exporter.behaviour.failure_every == 0:
            return await self._fail(request, exporter)
        served = self._serve(exporter)
        exporter.last = served
        return _answer(request, served.body, exporter.behaviour.content_type)

    def _serve(self, exporter: Exporter) -> Served:
        now = self._clock.now_ms()
        fixed = exporter.behaviour.body
        return Served(exporter.page.render(now / 1000, exporter.requests) if fixed is None else fixed, now)

    async def _fail(self, request: web.Request, exporter: Exporter) -> web.StreamResponse:
        match exporter.behaviour.failure:
            case "hang":
                await asyncio.sleep(_HANG)
            case "garbage":
                return _answer(request, _GARBAGE, CONTENT_TYPE)
            case "abort" | "truncated" as how:
                response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
                if how == "truncated":
                    body = self._serve(exporter).body
                    response.content_length = len(body)
                    await response.prepare(request)
                    await response.write(body[: len(body) // 2])
                    if request.transport is not None:
                        request.transport.close()  # what was written still goes out
                elif request.transport is not None:
                    request.transport.abort()
                await asyncio.sleep(_HANG)  # the lost connection cancels this
        return web.Response(status=500, text="simulated failure\n")


def _answer(request: web.Request, body: bytes, content_type: str) -> web.Response:
    headers = {"Content-Type": content_type}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body = b"".join(gzipped(iter((body,))))
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers=headers)
