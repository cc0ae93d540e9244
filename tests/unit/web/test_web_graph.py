"""The page that plots."""

from __future__ import annotations

import asyncio
import re

import pytest

from promscout.store.fold import fold
from promscout.store.local import LocalStore, StoreOptions
from promscout.store.order import Plot, PlotMatcher, PlotPoint, PlotSeries, Retention
from promscout.store.plot import plot
from promscout.web.pages import chart, graph
from promscout.web.pages.chart import COLUMNS, HEIGHT, draw, number_text, value_ticks
from promscout.web.pages.graph import GRAPHER, Grapher, GraphQuery
from unit.store.store_data import DAY_MS, Filler, samples, series
from unit.web.agent_view import NOW_MS, FixedClock

pytestmark = pytest.mark.real_time

EVIL = "\"'><script>alert(1)</script>"
HOUR_MS = 3_600_000


@pytest.fixture
def plotting(site, tmp_path, monkeypatch):
    """Give the site's agent a store, and plot in this process; where to fill it."""

    async def here(order):
        return plot(order)

    async def folding(order):
        return fold(order)

    site.view.store = LocalStore(StoreOptions(tmp_path / "store", Retention(15 * DAY_MS)), FixedClock(), folding)
    site.view.store.active = True
    monkeypatch.setattr(site.server._runner.app[GRAPHER], "_plot", here)
    return Filler(tmp_path / "store")


async def test_series_of_the_store_are_drawn(site, plotting):
    table = series({"__name__": "load", "job": "node", "instance": "a"}, {"__name__": "load", "job": "other"})
    for minute in range(50):
        plotting.append(samples(table, [minute, 1], NOW_MS - HOUR_MS + minute * 60_000))
    text = await site.text("/graph", match='load{job="node"}', range="1h")
    assert text.count('class="line line-0" d="M68') == 1
    assert "line-1" not in text
    assert '<span class="name">instance</span>=<span class="value">"a"' in text.replace("&#34;", '"')
    assert '<td class="number" data-title="Last">49</td>' in text


async def test_what_users_and_labels_say_is_escaped(site, plotting):
    plotting.append(samples(series({"__name__": "x", "evil": EVIL}), [1], NOW_MS - 1000))
    for match in ("x", '{evil=~".*script.*"}', EVIL, f'{{a="{EVIL}'):
        text = await site.text("/graph", match=match, range=EVIL)
        assert "<script>alert" not in text
        assert "alert(1)" in text


async def test_a_selector_that_is_none_is_told_with_its_place(site, plotting):
    assert "1:3: parse error" in await site.text("/graph", match="{x")


async def test_series_that_are_not_there_are_told(site, plotting):
    plotting.append(samples(series({"__name__": "x"}), [1], NOW_MS - 1000))
    assert "No series has these labels" in await site.text("/graph", match="y")
    plotting.append(samples(series({"__name__": "old"}), [1], NOW_MS - 2 * HOUR_MS))
    assert "no samples in this time" in await site.text("/graph", match="old", range="1h")


async def test_more_series_than_are_drawn_are_counted(site, plotting):
    table = series(*({"__name__": "x", "n": str(number)} for number in range(30)))
    plotting.append(samples(table, range(30), NOW_MS - 1000))
    assert "20 of 30 series are shown" in await site.text("/graph", match="x")


async def test_without_a_store_the_page_says_how_to_get_one(site, plotting):
    site.view.store.active = False
    assert "while the\nconfiguration has no remote_write" in await site.text("/graph")
    site.view.store = None
    assert "no data directory" in await site.text("/graph", match="up")


async def test_plots_are_made_one_at_a_time_and_not_too_many_wait(site):
    running, most, release = 0, 0, asyncio.Event()

    async def slow(order):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await release.wait()
        running -= 1
        return Plot()

    grapher = Grapher(FixedClock(), slow)
    query = GraphQuery.parse("up", "1h")
    tasks = [asyncio.create_task(grapher.chart("root", query)) for _ in range(graph.MAX_WAITING)]
    await asyncio.sleep(0)
    assert (await grapher.chart("root", query))[1].error == "too many plots are asked for at once"
    release.set()
    await asyncio.gather(*tasks)
    assert most == 1
    assert (await grapher.chart("root", query))[1].error == ""


async def test_the_order_has_the_matchers_and_the_time(site):
    orders = []

    async def record(order):
        orders.append(order)
        return Plot()

    await Grapher(FixedClock(), record).chart("root", GraphQuery.parse('x{a!="b",c=~"d|e"}', "6h"))
    (order,) = orders
    assert order.matchers == (
        PlotMatcher("__name__", "x"),
        PlotMatcher("a", "b", negated=True),
        PlotMatcher("c", "d|e", regex=True),
    )
    assert (order.start_ms, order.stop_ms, order.columns) == (NOW_MS - 6 * HOUR_MS, NOW_MS, COLUMNS)


def lines(*points):
    """How often the line of these points begins."""
    (line,) = draw([PlotSeries({}, [PlotPoint(*point) for point in points])], 0, HOUR_MS).lines
    return len(re.findall(r"M\d+ [\d.]+h1", line.path))


def test_a_line_breaks_where_a_series_ends_and_where_nothing_came_for_long():
    gap = chart.LOOKBACK_MS * COLUMNS // HOUR_MS
    assert lines((0, 1, 1, 1, False), (1, 2, 2, 2, False), (gap, 3, 3, 3, False)) == 1
    assert lines((0, 1, 1, 1, True), (1, 2, 2, 2, False)) == 2
    assert lines((0, 1, 1, 1, False), (gap + 5, 2, 2, 2, False)) == 2


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (5, 5), (0, 0), (-3, 17), (1e-9, 2e-9), (-1.7e308, 1.7e308), (1e18, 1e18), (0, 5e-324), (1e15, 1e15 + 1)],
)
def test_ticks_are_few_and_hold_everything(low, high):
    ticks = value_ticks(low, high)
    assert 2 <= len(ticks) <= 9
    assert ticks == sorted(ticks)
    picture = draw([PlotSeries({}, [PlotPoint(0, low, high, high, ends=False)])], 0, HOUR_MS)
    heights = [float(number) for number in re.findall(r"(?:M\d+ |L\d+ |V)(-?[\d.]+)", picture.lines[0].path)]
    assert heights
    assert all(0 <= height <= HEIGHT for height in heights)


def test_numbers_are_short():
    values = [0, 1, 0.25, 1500, 2_500_000, 3.2e13, -12_345, 1e-9, 1e30]
    assert [number_text(value) for value in values] == [
        "0", "1", "0.25", "1.5k", "2.5M", "32T", "-12.35k", "1e-09", "1e+30",
    ]  # fmt: skip
