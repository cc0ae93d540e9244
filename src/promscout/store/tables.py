"""Parquet files, written and replaced as a whole."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.store.columns import Columns
from promscout.store.layout import (
    EXEMPLARS,
    HISTOGRAMS,
    SAMPLES,
    SERIES,
    Layout,
    file_name,
    file_number,
    sync_directory,
)

LAST_NUMBER: Final = "promscout.last_number"
"""The key in a file's metadata under which stands the highest number of a record that is in it."""

_TIME: Final = "make_timestamp_ms(ms)::TIMESTAMPTZ AS timestamp"


class Table(msgspec.Struct, frozen=True):
    """How columns of the journal become rows of a table.

    ``expressions`` are over the columns of ``Columns``. A file with fewer than ``grows_to`` rows is replaced by a
    larger one when more come.
    """

    name: str
    expressions: str
    schema: str
    order: str
    grows_to: int


TABLES: Final = {
    table.name: table
    for table in (
        Table(
            SAMPLES,
            f"series_id, {_TIME}, CASE WHEN nan THEN 'nan'::DOUBLE ELSE value END AS value",
            "series_id BIGINT, timestamp TIMESTAMPTZ, value DOUBLE",
            "series_id, timestamp",
            500_000,
        ),
        Table(
            SERIES,
            "series_id, name, job, instance, from_json(labels, '\"MAP(VARCHAR, VARCHAR)\"') AS labels, "
            "type, help, unit",
            "series_id BIGINT, name VARCHAR, job VARCHAR, instance VARCHAR, labels MAP(VARCHAR, VARCHAR), "
            "type VARCHAR, help VARCHAR, unit VARCHAR",
            "name, job, instance, series_id",
            50_000,
        ),
        Table(
            EXEMPLARS,
            f"series_id, {_TIME}, (json->>'value')::DOUBLE AS value, "
            "from_json(json->'labels', '\"MAP(VARCHAR, VARCHAR)\"') AS labels",
            "series_id BIGINT, timestamp TIMESTAMPTZ, value DOUBLE, labels MAP(VARCHAR, VARCHAR)",
            "series_id, timestamp",
            50_000,
        ),
        Table(
            HISTOGRAMS,
            f"series_id, {_TIME}, (json->>'count')::DOUBLE AS count, (json->>'sum')::DOUBLE AS sum, "
            "(json->>'schema')::INTEGER AS schema, (json->>'gauge')::BOOLEAN AS gauge, "
            'from_json(json->\'buckets\', \'[{"lower": "DOUBLE", "upper": "DOUBLE", "count": "DOUBLE"}]\') AS buckets',
            "series_id BIGINT, timestamp TIMESTAMPTZ, count DOUBLE, sum DOUBLE, schema INTEGER, gauge BOOLEAN, "
            "buckets STRUCT(lower DOUBLE, upper DOUBLE, count DOUBLE)[]",
            "series_id, timestamp",
            50_000,
        ),
    )
}

# Plain values compress to two thirds of what dictionaries of them do, and every reader knows them (decision 0013).
_FORMAT: Final = "FORMAT parquet, COMPRESSION zstd, DICTIONARY_SIZE_LIMIT 1"
_TEXT_FORMAT: Final = "FORMAT parquet, COMPRESSION zstd"


def connect(memory: str, temporary: Path, threads: int) -> duckdb.DuckDBPyConnection:
    """A database in memory that loads nothing from anywhere. What exceeds ``memory`` goes to ``temporary``."""
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory,
            "temp_directory": str(temporary),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    return connection


class Partition:
    """The files of one table and day.

    A file is whole or not there, and is only ever replaced by one that has its rows and more; so whoever lists and
    reads the files at any moment finds each row at most once, and misses none that was there when it began.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, layout: Layout, table: Table, day: date) -> None:
        self._connection = connection
        self._layout = layout
        self._table = table
        self._day = day
        self.damaged: list[Path] = []
        """Files that were set aside, since they cannot be read."""
        self._newest = self._readable()

    def _readable(self) -> tuple[Path, int, int] | None:
        """The newest file that can be read, the last number in it, and how many rows it has."""
        for path in reversed(self._layout.files(self._table.name, self._day)):
            try:
                return path, last_number(self._connection, path), self._count(path)
            except (duckdb.Error, ValueError):
                self._set_aside(path)
        return None

    @property
    def last_number(self) -> int:
        """The highest number of a record whose rows are in the files; -1 when there is none."""
        return -1 if self._newest is None else self._newest[1]

    def ids(self) -> NDArray[np.int64]:
        """The ``series_id`` of all rows."""
        files = self._layout.files(self._table.name, self._day)
        if not files:
            return np.empty(0, dtype=np.int64)
        found = self._connection.execute("SELECT series_id FROM read_parquet(?)", [[str(file) for file in files]])
        ids: NDArray[np.int64] = np.asarray(found.fetchnumpy()["series_id"], dtype=np.int64)
        return ids

    def add(self, columns: Columns, last: int) -> None:
        """Add rows, of records up to number ``last``; they are on disk when it returns.

        Raises:
            OSError, duckdb.Error: nothing was added.
        """
        partition = self._layout.partition(self._table.name, self._day)
        known = self._layout.files(self._table.name, self._day)
        number, old = file_number(known[-1]) + 1 if known else 1, None
        if self._newest is not None and self._newest[2] < self._table.grows_to:
            old, number = self._newest[0], file_number(self._newest[0])
        temporary = self._layout.temporary / f"{self._table.name}.parquet"
        try:
            self._write(columns, old, temporary, last)
            partition.mkdir(parents=True, exist_ok=True)
            path = partition / file_name(number)
            temporary.rename(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_directory(partition)
        rows = len(columns["series_id"]) + (self._newest[2] if old is not None and self._newest is not None else 0)
        self._newest = path, last, rows

    def _write(self, columns: Columns, old: Path | None, temporary: Path, last: int) -> None:
        table, connection = self._table, self._connection
        connection.register("rows", columns)
        try:
            select = f"SELECT {table.expressions} FROM rows"
            if old is not None:
                select = f"FROM read_parquet({quoted(old)}, hive_partitioning = false) UNION ALL BY NAME {select}"
            style = _FORMAT if table.name == SAMPLES else _TEXT_FORMAT
            connection.execute(
                f"COPY (FROM ({select}) ORDER BY {table.order}) TO {quoted(temporary)} "
                f"({style}, KV_METADATA {{'{LAST_NUMBER}': '{last}'}})"
            ).fetchall()
        finally:
            connection.unregister("rows")
        file = os.open(temporary, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def _count(self, path: Path) -> int:
        ((rows,),) = self._connection.execute(
            "SELECT sum(num_rows) FROM parquet_file_metadata(?)", [str(path)]
        ).fetchall()
        return int(rows)

    def _set_aside(self, path: Path) -> None:
        self._layout.damaged.mkdir(exist_ok=True)
        path.rename(self._layout.damaged / f"{self._table.name}-{self._day.isoformat()}-{path.name}")
        self.damaged.append(path)


def last_number(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """The highest number of a record that is in a file of ``Partition``.

    Raises:
        duckdb.Error: it is no Parquet file.
        ValueError: it is none of ``Partition``.
    """
    for key, value in connection.execute("SELECT key, value FROM parquet_kv_metadata(?)", [str(path)]).fetchall():
        if key == LAST_NUMBER.encode():
            return int(value)
    raise ValueError(f"no {LAST_NUMBER}")


def quoted(path: Path) -> str:
    """A path as a string literal of SQL."""
    return "'" + str(path).replace("'", "''") + "'"
