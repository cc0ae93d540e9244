"""Segments of the journal become Parquet."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Final

import duckdb

from promscout.store.columns import FUTURE_MS, Collector, DayRows, Span, series_columns
from promscout.store.layout import SAMPLES, SERIES, Layout
from promscout.store.layout import TABLES as TABLE_NAMES
from promscout.store.order import Folded, Order
from promscout.store.retention import apply_retention, clear_temporary, first_kept
from promscout.store.tables import TABLES, Partition, connect
from promscout.write.record import KnownTemplates
from promscout.write.segment import SegmentFile

MEMORY: Final = "512MB"
"""What DuckDB may take to sort; rows beyond that wait on disk."""

ROWS_AT_ONCE: Final = 3_000_000
"""Rows of which a file is made, about: what bounds the memory for them at some 300 MB."""

_LOCK_SECONDS: Final = 30.0
_LOCK_POLL: Final = 0.1


class StoreBusyError(Exception):
    """Another process changes the store's files."""


def fold(order: Order) -> Folded:
    """Turn segments into Parquet and delete what is no longer kept.

    The segments stay; whoever wrote them deletes them. When that did not come about because of a crash, and they are
    given again, nothing of them gets into the files twice. What has an error is told, not raised.
    """
    done = Folded()
    layout = Layout(Path(order.root))
    try:
        layout.root.mkdir(parents=True, exist_ok=True)
        with _alone(layout):
            clear_temporary(layout)
            connection = connect(MEMORY, layout.temporary / "spilled", threads=1)
            try:
                _Fold(layout, connection, order, done).run()
            finally:
                connection.close()
                done.usage = apply_retention(layout, order.retention, order.now_ms)
    except (OSError, duckdb.Error, StoreBusyError) as error:
        done.error = _reason(error)
    return done


class _Fold:
    def __init__(self, layout: Layout, connection: duckdb.DuckDBPyConnection, order: Order, done: Folded) -> None:
        self._layout = layout
        self._connection = connection
        self._order = order
        self._done = done
        self._collector = Collector(Span(first_kept(order.retention, order.now_ms), order.now_ms + FUTURE_MS))

    def run(self) -> None:
        templates = KnownTemplates()
        for path in map(Path, self._order.segments):
            try:
                with SegmentFile(path, templates) as segment:
                    for record in segment.records():
                        self._collector.add(record)
                        if self._collector.rows >= ROWS_AT_ONCE:
                            self._write()
                    self._done.damaged += [
                        f"{path.name}, bytes {one.start} to {one.stop}: {one.reason}" for one in segment.damage
                    ]
            except FileNotFoundError:
                continue  # folded before, and deleted meanwhile
        self._write()

    def _write(self) -> None:
        collector, done = self._collector, self._done
        for day, rows in sorted(collector.days.items()):
            self._write_series(day, rows)
            for table in TABLE_NAMES:
                if table in rows.chunks:
                    self._write_rows(table, day, rows)
        for reason, number in collector.dropped.items():
            done.dropped[reason] = done.dropped.get(reason, 0) + number
        collector.clear()

    def _write_series(self, day: date, rows: DayRows) -> None:
        partition = self._partition(SERIES, day)
        columns = series_columns(rows, self._collector, partition.ids())
        if columns:
            partition.add(columns, self._collector.last)
            self._done.series += len(columns["series_id"])

    def _write_rows(self, table: str, day: date, rows: DayRows) -> None:
        partition = self._partition(table, day)
        columns = rows.columns(table, after=partition.last_number)
        if columns:
            partition.add(columns, self._collector.last)
            if table == SAMPLES:
                self._done.samples += len(columns["series_id"])

    def _partition(self, table: str, day: date) -> Partition:
        partition = Partition(self._connection, self._layout, TABLES[table], day)
        self._done.damaged += [f"{path.name} of {table}, {day}: set aside" for path in partition.damaged]
        return partition


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """While no other process changes files: one may be left of an agent that was killed.

    Raises:
        StoreBusyError: the other one does not end in time.
    """
    lock = os.open(layout.lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
    try:
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise StoreBusyError("another process changes the store") from None
            time.sleep(_LOCK_POLL)
        yield
    finally:
        os.close(lock)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    return str(error).strip().partition("\n")[0]
