"""The page that plots series of the local store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Self, TypeAlias
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from promscout.errors import InvalidValueError
from promscout.model.clock import Clock
from promscout.store.child import plot_in_child
from promscout.store.order import Plot, PlotMatcher, PlotOrder
from promscout.web.pages.chart import COLUMNS, HEIGHT, WIDTH, Chart, draw
from promscout.web.pages.frame import page
from promscout.web.selector import Matcher, Selector
from promscout.web.view import VIEW

RANGES: Final = {"15m": 900_000, "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000}
"""What can be chosen, in milliseconds."""

MAX_SERIES: Final = 20
MAX_WAITING: Final = 8
"""Requests for plots that may be under way or wait; one is computed at a time."""

_DEFAULT_RANGE: Final = "1h"

Plotting: TypeAlias = Callable[[PlotOrder], Awaitable[Plot]]


class GraphQuery(msgspec.Struct, frozen=True):
    """What the page was asked for. ``error`` says why ``selector`` is none; without a selector nothing is plotted."""

    text: str = ""
    range: str = _DEFAULT_RANGE
    selector: Selector | None = None
    error: str = ""

    @classmethod
    def parse(cls, text: str, range_name: str) -> Self:
        """From the URL's parameters; an unknown range is the default one."""
        text, span = text.strip(), range_name if range_name in RANGES else _DEFAULT_RANGE
        if not text:
            return cls(range=span)
        try:
            selector = Selector.parse(text)
        except InvalidValueError as error:
            return cls(text, span, error=str(error))
        return cls(text, span, selector)

    def url(self, range_name: str) -> str:
        """The page's URL with another range."""
        return f"/graph?{urlencode({'match': self.text, 'range': range_name})}"


class Grapher:
    """Plots, one after the other: what a plot costs is never more than one process at a time."""

    def __init__(self, clock: Clock, plot: Plotting = plot_in_child) -> None:
        self._clock = clock
        self._plot = plot
        self._free = asyncio.Lock()
        self._waiting = 0

    async def chart(self, root: str, query: GraphQuery) -> tuple[Chart | None, Plot]:
        """The picture that ``query`` asks for, of the store in ``root``; None where there is nothing to plot."""
        if query.selector is None:
            return None, Plot()
        if self._waiting >= MAX_WAITING:
            return None, Plot(error="too many plots are asked for at once")
        stop = self._clock.now_ms()
        start = stop - RANGES[query.range]
        order = PlotOrder(
            root=root,
            matchers=tuple(_plot_matcher(one) for one in query.selector.matchers),
            start_ms=start,
            stop_ms=stop,
            columns=COLUMNS,
            limit=MAX_SERIES,
        )
        self._waiting += 1
        try:
            async with self._free:
                plot = await self._plot(order)
        finally:
            self._waiting -= 1
        return (None if plot.error else draw(plot.series, start, stop)), plot


def _plot_matcher(matcher: Matcher) -> PlotMatcher:
    wanted = matcher.wanted
    if isinstance(wanted, str):
        return PlotMatcher(matcher.name, wanted, negated=matcher.negated)
    return PlotMatcher(matcher.name, wanted.text, regex=True, negated=matcher.negated)


GRAPHER: Final = web.AppKey("GRAPHER", Grapher)
"""Who plots."""


async def graph(request: web.Request) -> web.StreamResponse:
    """Series of the last hours. Query: ``match`` (a selector), ``range``."""
    query = GraphQuery.parse(request.query.get("match", ""), request.query.get("range", ""))
    store = request.app[VIEW].store
    chart, plot = (None, Plot()) if store is None else await request.app[GRAPHER].chart(str(store.path), query)
    return await page(
        request,
        "graph.html",
        query=query,
        ranges=list(RANGES),
        store=store.status() if store is not None else None,
        chart=chart,
        plot=plot,
        width=WIDTH,
        height=HEIGHT,
    )


def add_routes(app: web.Application, clock: Clock) -> None:
    """Register the page with ``app``."""
    app[GRAPHER] = Grapher(clock)
    app.router.add_get("/graph", graph, allow_head=False)
