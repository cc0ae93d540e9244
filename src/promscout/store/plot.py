"""What a plot shows. As a program: a ``PlotOrder`` as JSON on standard input, a ``Plot`` on standard output."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import duckdb
import msgspec

from promscout.model.labels import METRIC_NAME
from promscout.store.database import NoStoreError, open_store
from promscout.store.layout import day_of
from promscout.store.order import Plot, PlotMatcher, PlotOrder, PlotPoint, PlotSeries

_MEMORY: Final = "256MB"
_NICE: Final = 5  # less than scrapes, before folding: somebody waits

_SERIES: Final = """
CREATE TEMP TABLE found AS
SELECT series_id, any_value(name) AS name, any_value(labels) AS labels FROM by_day.series
WHERE date BETWEEN $first AND $last AND {conditions} GROUP BY series_id
"""

_POINTS: Final = """
SELECT series_id, (epoch_ms(timestamp) - $start) * $columns // ($stop - $start) AS col,
    min(value) FILTER (isfinite(value)), max(value) FILTER (isfinite(value)),
    arg_max(value, timestamp) FILTER (isfinite(value)),
    arg_max(value IS NULL, timestamp)
FROM samples
WHERE date BETWEEN $first AND $last AND series_id IN (SELECT series_id FROM shown)
    AND timestamp >= make_timestamp_ms($start)::TIMESTAMPTZ AND timestamp < make_timestamp_ms($stop)::TIMESTAMPTZ
GROUP BY ALL ORDER BY ALL
"""


def plot(order: PlotOrder) -> Plot:
    """What ``order`` asks for. What goes wrong is told in it, not raised."""
    try:
        with open_store(Path(order.root), memory=_MEMORY, threads=1) as database:
            return _plot(database, order)
    except (NoStoreError, duckdb.Error) as error:
        return Plot(error=str(error).strip().partition("\n")[0])


def _plot(database: duckdb.DuckDBPyConnection, order: PlotOrder) -> Plot:
    days = {"first": day_of(order.start_ms), "last": day_of(order.stop_ms)}
    conditions, values = _conditions(order.matchers)
    database.execute(_SERIES.format(conditions=conditions), {**days, **values}).fetchall()
    database.execute(
        "CREATE TEMP TABLE shown AS SELECT * FROM found ORDER BY name, labels::VARCHAR LIMIT $limit",
        {"limit": order.limit},
    ).fetchall()
    times = {"start": order.start_ms, "stop": order.stop_ms, "columns": order.columns}
    points = defaultdict(list)
    for series_id, column, low, high, last, ends in database.execute(_POINTS, {**days, **times}).fetchall():
        if low is not None:
            points[series_id].append(PlotPoint(column, low, high, last, bool(ends)))
        elif ends and points[series_id]:
            # The end of what the column before has.
            points[series_id][-1] = msgspec.structs.replace(points[series_id][-1], ends=True)
    ((found,),) = database.execute("SELECT count(*) FROM found").fetchall()
    shown = database.execute("SELECT series_id, name, labels FROM shown").fetchall()
    series = [PlotSeries({METRIC_NAME: name} | labels, points[number]) for number, name, labels in shown]
    return Plot(series, found)


def _conditions(matchers: tuple[PlotMatcher, ...]) -> tuple[str, dict[str, Any]]:
    """The matchers as SQL, and the values of its parameters."""
    conditions, values = ["true"], {}
    for index, matcher in enumerate(matchers):
        values[f"wanted{index}"] = matcher.wanted
        label = "name"
        if matcher.name != METRIC_NAME:
            values[f"label{index}"] = matcher.name
            label = f"coalesce(labels[$label{index}], '')"
        # As in Prometheus, a dot matches a line feed.
        accepted = f"regexp_full_match({label}, $wanted{index}, 's')" if matcher.regex else f"{label} = $wanted{index}"
        conditions.append(f"NOT {accepted}" if matcher.negated else accepted)
    return " AND ".join(conditions), values


def main() -> None:
    """Do what the order says."""
    os.nice(_NICE)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=PlotOrder)
    sys.stdout.buffer.write(msgspec.json.encode(plot(order)))


if __name__ == "__main__":
    main()
