"""Stores that tests fill by hand."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np

from promscout.model.labels import label_set
from promscout.model.metadata import NO_FAMILIES
from promscout.model.series import STALE_NAN_BITS, ExemplarBatch, HistogramBatch, SampleBatch, SeriesTable
from promscout.store.fold import fold
from promscout.store.layout import Layout
from promscout.store.order import Folded, Order, Retention
from promscout.write.journal import Journal
from promscout.write.record import Record
from promscout.write.templates import Templates

NOW_MS = 1_700_000_000_000
"""2023-11-14T22:13:20Z."""
DAY_MS = 86_400_000
MONTH = Retention(30 * DAY_MS)

STALE = np.array([STALE_NAN_BITS], dtype=np.uint64).view(np.float64)[0]


def series(*labels, stream=1, families=NO_FAMILIES):
    """A table of series with these labels."""
    table = SeriesTable.from_label_sets(stream, [label_set(one) for one in labels])
    return SeriesTable(stream, table.encoded_label_sets(), families)


def numbered(count, name="metric", stream=1):
    return series(*({"__name__": name, "n": str(index), "job": "j", "instance": "i"} for index in range(count)))


def samples(table, values, timestamps=NOW_MS):
    stamps = timestamps if isinstance(timestamps, int) else np.array(timestamps, dtype=np.int64)
    return SampleBatch(table, np.array(values, dtype=np.float64), stamps)


class Filler:
    """What the agent does with a store, step by step."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout(root)
        self.journal = Journal(self.layout.journal)
        self.next = self.journal.open()[0].next_number
        self._templates = Templates({}, ())

    def append(self, *batches: SampleBatch | HistogramBatch | ExemplarBatch) -> None:
        records = []
        for batch in batches:
            if isinstance(batch, SampleBatch):
                portion = self._templates.portion(batch)
            elif isinstance(batch, HistogramBatch):
                portion = self._templates.histograms(batch)
            else:
                portion = self._templates.exemplars(batch)
            records.append(Record(self.next, NOW_MS, portion))
            self.next += 1
        self.journal.append(records)

    def order(self, retention: Retention = MONTH, now_ms: int = NOW_MS) -> Order:
        self.journal.rotate()
        return Order(str(self.root), tuple(map(str, self.journal.closed())), retention, now_ms)

    def discard(self) -> None:
        self.journal.commit()
        for path in self.journal.closed():
            self.journal.remove(path)

    def fold(self, retention: Retention = MONTH, now_ms: int = NOW_MS) -> Folded:
        folded = fold(self.order(retention, now_ms))
        if not folded.error:
            self.discard()
        return folded


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def files(root: Path, table: str = "samples") -> list[str]:
    return sorted(str(path.relative_to(root / table)) for path in (root / table).glob("*/*"))


def read(root: Path) -> Counter:
    """(series, ms, value) → how often it is in the files, as a program that knows nothing of promscout reads them."""
    if not list((root / "samples").glob("*/*.parquet")):
        return Counter()
    connection = duckdb.connect()
    try:
        rows = connection.execute(
            "SELECT series_id, epoch_ms(timestamp), value FROM read_parquet(?, hive_partitioning = true)",
            [f"{root}/samples/*/*.parquet"],
        ).fetchall()
    finally:
        connection.close()
    return Counter(rows)
