"""A store as a database to ask: its files and its journal together."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Final

import duckdb
import numpy as np

from promscout.errors import PromscoutError
from promscout.store.columns import Collector, Columns, DayRows, Span, series_columns
from promscout.store.layout import EXEMPLARS, HISTOGRAMS, SAMPLES, SERIES, Layout
from promscout.store.tables import TABLES, connect, last_number, quoted, read_ids
from promscout.write.record import KnownTemplates
from promscout.write.segment import SUFFIX, SegmentFile

_ROWS_AT_ONCE: Final = 2_000_000
_ALWAYS: Final = Span(0, 253_402_300_799_999)  # to the end of the year 9999

_VIEWS: Final = (
    f"""CREATE VIEW metrics AS
    SELECT timestamp, name, job, instance, value, labels, series_id, date
    FROM {SAMPLES} JOIN by_day.{SERIES} USING (series_id, date)""",
    "CREATE VIEW up AS SELECT timestamp, job, instance, value FROM metrics WHERE name = 'up'",
)


class NoStoreError(PromscoutError):
    """There is no store in a directory, or it cannot be read; the message says which and why."""


@contextmanager
def open_store(root: Path, *, memory: str = "80%", threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory with views of the store below ``root``, as it is at this moment.

    Guarantees: the store is only read; it may be written and folded meanwhile by an agent. Every sample that was in
    the journal or in a file when this was called is there once.

    | view | columns |
    | --- | --- |
    | ``samples`` | series_id, timestamp, value (NULL: the series ends), date |
    | ``series`` | series_id, name, job, instance, labels, type, help, unit |
    | ``metrics`` | both: timestamp, name, job, instance, value, labels, series_id, date |
    | ``up`` | timestamp, job, instance, value |
    | ``exemplars`` | series_id, timestamp, value, labels, date |
    | ``histograms`` | series_id, timestamp, count, sum, schema, gauge, buckets, date |

    Raises:
        NoStoreError: there is none, or its files cannot be read.
    """
    layout = Layout(root)
    if not any(path.is_dir() for path in (layout.journal, root / SAMPLES)):
        raise NoStoreError(f"{root}: no local store")
    with tempfile.TemporaryDirectory(prefix="promscout-") as temporary:
        connection = connect(memory, Path(temporary), threads or os.cpu_count() or 1)
        reading = _Reading(layout, connection)
        try:
            try:
                reading.begin()
            except OSError as error:
                raise NoStoreError(f"{error.filename or root}: {error.strerror}") from error
            yield connection
        finally:
            connection.close()


class _Reading:
    """Makes the views.

    The order is what makes them right: first the journal, then the list of files. What gets from one into the other in
    between is in both; the number in the newest file tells up to which record it is.
    """

    def __init__(self, layout: Layout, connection: duckdb.DuckDBPyConnection) -> None:
        self._layout = layout
        self._connection = connection

    def begin(self) -> None:
        """Read the journal and make the views."""
        self._run("CREATE SCHEMA pending; CREATE SCHEMA by_day")
        for table in TABLES.values():
            self._run(f"CREATE TABLE pending.{table.name} ({table.schema}, date DATE, number BIGINT)")
        collector = Collector(_ALWAYS)
        days = self._read_journal(collector)
        for name in (SAMPLES, EXEMPLARS, HISTOGRAMS):
            self._make_view(name, name, self._files(name, days))
        series = self._files(SERIES, days)
        self._add_series(collector, days, series)
        self._make_view(f"by_day.{SERIES}", SERIES, series)
        self._run(
            f"CREATE VIEW {SERIES} AS SELECT DISTINCT ON (series_id) * EXCLUDE (date) "
            f"FROM by_day.{SERIES} ORDER BY series_id, date DESC"
        )
        for view in _VIEWS:
            self._run(view)

    def _read_journal(self, collector: Collector) -> dict[date, DayRows]:
        """Rows of the journal into the tables of ``pending``; of each day, what series there are."""
        days: dict[date, DayRows] = {}
        templates = KnownTemplates()
        for path in self._segments():
            # One that is gone is in a file by now, and the files are listed later.
            with suppress(FileNotFoundError), SegmentFile(path, templates) as segment:
                for record in segment.records():
                    collector.add(record)
                    if collector.rows >= _ROWS_AT_ONCE:
                        self._store(collector, days)
        self._store(collector, days)
        return days

    def _segments(self) -> list[Path]:
        try:
            return sorted(path for path in self._layout.journal.iterdir() if path.suffix == SUFFIX)
        except FileNotFoundError:
            return []

    def _store(self, collector: Collector, days: dict[date, DayRows]) -> None:
        for day, rows in collector.days.items():
            for name in rows.chunks:
                self._insert(name, day, rows.columns(name))
            known = days.setdefault(day, DayRows())
            known.templates |= rows.templates
        collector.clear()

    def _insert(self, name: str, day: date, columns: Columns) -> None:
        self._connection.register("rows", columns)
        self._run(f"INSERT INTO pending.{name} SELECT {TABLES[name].expressions}, DATE '{day}', number FROM rows")
        self._connection.unregister("rows")

    def _files(self, table: str, pending: Iterable[date]) -> dict[date, list[Path]]:
        """The files of a table by day; rows of ``pending`` that are in them are deleted there."""
        found = {day: self._layout.files(table, day) for day in self._layout.days(table)}
        for day in pending:
            paths = found.get(day)
            if paths:
                last = last_number(self._connection, paths[-1])
                self._run(f"DELETE FROM pending.{table} WHERE date = DATE '{day}' AND number <= {last}")
        return found

    def _add_series(
        self, collector: Collector, days: Mapping[date, DayRows], files: Mapping[date, Sequence[Path]]
    ) -> None:
        """The series of the journal that are in no file of their day."""
        for day, rows in days.items():
            columns = series_columns(rows, collector, read_ids(self._connection, files.get(day, ())))
            if columns:
                self._insert(SERIES, day, columns | {"number": np.zeros(len(columns["series_id"]), dtype=np.int64)})

    def _make_view(self, view: str, table: str, files: Mapping[date, Sequence[Path]]) -> None:
        parts = [f"SELECT * EXCLUDE (number) FROM pending.{table}"]
        names = ", ".join(quoted(path) for paths in files.values() for path in paths)
        if names:
            parts.append(
                f"SELECT * FROM read_parquet([{names}], hive_partitioning = true, hive_types = {{'date': DATE}})"
            )
        self._run(f"CREATE VIEW {view} AS {' UNION ALL BY NAME '.join(parts)}")

    def _run(self, statement: str) -> None:
        self._connection.execute(statement).fetchall()
