"""Parquet files, each written once, as a whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
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

    ``expressions`` are over the columns of ``Columns``.
    """

    name: str
    expressions: str
    schema: str
    order: str


TABLES: Final = {
    table.name: table
    for table in (
        Table(
            SAMPLES,
            f"series_id, {_TIME}, CASE WHEN nan THEN 'nan'::DOUBLE ELSE value END AS value",
            "series_id BIGINT, timestamp TIMESTAMPTZ, value DOUBLE",
            "series_id, timestamp",
        ),
        Table(
            SERIES,
            "series_id, name, job, instance, from_json(labels, '\"MAP(VARCHAR, VARCHAR)\"') AS labels, "
            "type, help, unit",
            "series_id BIGINT, name VARCHAR, job VARCHAR, instance VARCHAR, labels MAP(VARCHAR, VARCHAR), "
            "type VARCHAR, help VARCHAR, unit VARCHAR",
            "name, job, instance, series_id",
        ),
        Table(
            EXEMPLARS,
            f"series_id, {_TIME}, (json->>'value')::DOUBLE AS value, "
            "from_json(json->'labels', '\"MAP(VARCHAR, VARCHAR)\"') AS labels",
            "series_id BIGINT, timestamp TIMESTAMPTZ, value DOUBLE, labels MAP(VARCHAR, VARCHAR)",
            "series_id, timestamp",
        ),
        Table(
            HISTOGRAMS,
            f"series_id, {_TIME}, (json->>'count')::DOUBLE AS count, (json->>'sum')::DOUBLE AS sum, "
            "(json->>'schema')::INTEGER AS schema, (json->>'gauge')::BOOLEAN AS gauge, "
            'from_json(json->\'buckets\', \'[{"lower": "DOUBLE", "upper": "DOUBLE", "count": "DOUBLE"}]\') AS buckets',
            "series_id BIGINT, timestamp TIMESTAMPTZ, count DOUBLE, sum DOUBLE, schema INTEGER, gauge BOOLEAN, "
            "buckets STRUCT(lower DOUBLE, upper DOUBLE, count DOUBLE)[]",
            "series_id, timestamp",
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

    A file is there as a whole or not at all, is never changed, and goes only with retention; no row is in two of them.
    So whoever lists and reads the files at any moment finds each row once.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, layout: Layout, table: Table, day: date) -> None:
        self._connection = connection
        self._layout = layout
        self._table = table
        self._day = day
        self.damaged: list[Path] = []
        """Files that were set aside, since they cannot be read."""
        self._last_number = self._find_last_number()

    def _find_last_number(self) -> int:
        """Numbers ascend from file to file, so the newest that can be read has it."""
        for path in reversed(self._layout.files(self._table.name, self._day)):
            try:
                return last_number(self._connection, path)
            except (duckdb.Error, ValueError):
                self._set_aside(path)
        return -1

    @property
    def last_number(self) -> int:
        """The highest number of a record whose rows are in the files; -1 when there is none."""
        return self._last_number

    def ids(self) -> NDArray[np.int64]:
        """The ``series_id`` of all rows."""
        return read_ids(self._connection, self._layout.files(self._table.name, self._day))

    def add(self, columns: Columns, last: int) -> None:
        """Add rows, of records up to number ``last``; they are on disk when it returns.

        Raises:
            OSError, duckdb.Error: nothing was added.
        """
        partition = self._layout.partition(self._table.name, self._day)
        known = self._layout.files(self._table.name, self._day)
        temporary = self._layout.temporary / f"{self._table.name}.parquet"
        try:
            self._write(columns, temporary, last)
            partition.mkdir(parents=True, exist_ok=True)
            temporary.rename(partition / file_name(file_number(known[-1]) + 1 if known else 1))
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        sync_directory(partition)
        self._last_number = last

    def _write(self, columns: Columns, path: Path, last: int) -> None:
        table, connection = self._table, self._connection
        style = _FORMAT if table.name == SAMPLES else _TEXT_FORMAT
        connection.register("rows", columns)
        try:
            connection.execute(
                f"COPY (SELECT {table.expressions} FROM rows ORDER BY {table.order}) TO {quoted(path)} "
                f"({style}, KV_METADATA {{'{LAST_NUMBER}': '{last}'}})"
            ).fetchall()
        finally:
            connection.unregister("rows")
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def _set_aside(self, path: Path) -> None:
        self._layout.damaged.mkdir(exist_ok=True)
        path.rename(self._layout.damaged / f"{self._table.name}-{self._day.isoformat()}-{path.name}")
        self.damaged.append(path)


def read_ids(connection: duckdb.DuckDBPyConnection, files: Sequence[Path]) -> NDArray[np.int64]:
    """The ``series_id`` of all rows of some files."""
    if not files:
        return np.empty(0, dtype=np.int64)
    found = connection.execute("SELECT series_id FROM read_parquet(?)", [[str(file) for file in files]])
    ids: NDArray[np.int64] = np.asarray(found.fetchnumpy()["series_id"], dtype=np.int64)
    return ids


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
