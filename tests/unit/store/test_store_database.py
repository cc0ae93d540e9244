"""Files and journal as one database."""

from __future__ import annotations

from collections import Counter

import duckdb
import numpy as np
import pytest

from promscout.model.histogram import Exemplar, Histogram
from promscout.model.series import ExemplarBatch, HistogramBatch
from promscout.store import database as database_module
from promscout.store.database import NoStoreError, open_store
from promscout.store.fold import fold
from unit.store.store_data import DAY_MS, NOW_MS, STALE, Filler, numbered, samples, series


@pytest.fixture
def filler(tmp_path):
    return Filler(tmp_path / "store")


def ask(filler, sql):
    with open_store(filler.root) as database:
        return database.execute(sql).fetchall()


def everything(filler):
    return Counter(ask(filler, "SELECT series_id, epoch_ms(timestamp), value, date FROM samples"))


def test_samples_of_the_journal_and_of_files_are_there_once(filler):
    for step in range(4):
        filler.append(samples(numbered(3), [step] * 3, NOW_MS + step))
        if step == 1:
            filler.fold()
    found = everything(filler)
    assert set(found.values()) == {1}
    assert sorted(value for _, _, value, _ in found) == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_segments_that_are_folded_and_not_deleted_yet_are_not_read_twice(filler):
    filler.append(samples(numbered(3), [1, 2, 3]))
    order = filler.order()
    fold(order)
    filler.append(samples(numbered(3), [4, 5, 6], NOW_MS + 1))
    assert list(everything(filler).values()) == [1] * 6


@pytest.mark.parametrize(
    "moment", ["before the journal is read", "before files are listed", "before the views are made"]
)
def test_folding_meanwhile_neither_hides_nor_doubles_samples(filler, monkeypatch, moment):
    midnight = NOW_MS - NOW_MS % DAY_MS + DAY_MS
    filler.append(samples(numbered(3), [1, 2, 3], midnight - 1))
    filler.fold(now_ms=midnight)
    filler.append(samples(numbered(4), [4, 5, 6, 7], [midnight - 1, midnight - 1, midnight + 1, midnight + 1]))
    reading = database_module._Reading
    name = {"before the journal is read": "_read_journal", "before files are listed": "_files"}.get(
        moment, "_make_view"
    )
    step, folded = getattr(reading, name), []

    def folding(self, *arguments):
        if not folded:
            folded.append(filler.fold(now_ms=midnight))
        return step(self, *arguments)

    monkeypatch.setattr(reading, name, folding)
    found = everything(filler)
    assert folded[0].samples == 4
    assert sorted(value for _, _, value, _ in found) == [1, 2, 3, 4, 5, 6, 7]
    assert set(found.values()) == {1}


def test_metrics_have_labels_and_up_has_targets(filler):
    up = {"__name__": "up", "job": "node", "instance": "a:9100", "rack": "7"}
    table = series(up, {"__name__": "load", "job": "node", "instance": "a:9100"})
    filler.append(samples(table, [1, 0.5]))
    filler.fold()
    filler.append(samples(table, [0, STALE], NOW_MS + 1000))
    assert ask(filler, "SELECT epoch_ms(timestamp), job, instance, value FROM up ORDER BY ALL") == [
        (NOW_MS, "node", "a:9100", 1.0),
        (NOW_MS + 1000, "node", "a:9100", 0.0),
    ]
    assert ask(filler, "SELECT column_name FROM (DESCRIBE up)") == [("timestamp",), ("job",), ("instance",), ("value",)]
    assert ask(filler, "SELECT labels['rack'], count(*) FROM metrics WHERE name = 'up' GROUP BY 1") == [("7", 2)]
    assert ask(filler, "SELECT value FROM metrics WHERE name = 'load' ORDER BY timestamp") == [(0.5,), (None,)]


def test_series_of_the_journal_and_of_several_days_are_there_once(filler):
    for days in range(3):
        filler.append(samples(numbered(2 + days), range(2 + days), NOW_MS + days * DAY_MS))
        if days < 2:
            filler.fold(now_ms=NOW_MS + days * DAY_MS)
    assert ask(filler, "SELECT labels['n'], count(*) FROM series GROUP BY 1 ORDER BY 1") == [
        (str(number), 1) for number in range(4)
    ]


def test_exemplars_and_histograms_are_views(filler):
    filler.append(ExemplarBatch(numbered(1), (Exemplar((("trace", "x"),), 0.5, NOW_MS),)))
    filler.append(HistogramBatch(numbered(1), (Histogram(schema=0, count=2, sum=3.0),), np.array([NOW_MS])))
    for _ in range(2):
        assert ask(filler, "SELECT value, labels['trace'] FROM exemplars") == [(0.5, "x")]
        assert ask(filler, "SELECT count, sum, buckets FROM histograms") == [(2.0, 3.0, [])]
        filler.fold()


def test_a_journal_alone_is_a_store(filler):
    filler.append(samples(numbered(1), [1]))
    assert ask(filler, "SELECT name, value FROM metrics") == [("metric", 1.0)]


def test_an_empty_store_has_empty_views(filler):
    for view in ("samples", "series", "metrics", "up", "exemplars", "histograms"):
        assert ask(filler, f"FROM {view}") == []


def test_a_store_is_not_changed_by_reading(filler):
    filler.append(samples(numbered(1), [1]))
    filler.fold()
    filler.append(samples(numbered(1), [2], NOW_MS + 1))
    before = {path: path.stat() for path in filler.root.rglob("*")}
    everything(filler)
    assert {path: path.stat()[:6] for path in filler.root.rglob("*")} == {path: s[:6] for path, s in before.items()}


def test_a_directory_without_a_store_is_told(tmp_path):
    with pytest.raises(NoStoreError, match="no local store"), open_store(tmp_path / "nothing"):
        pass


def test_a_damaged_newest_file_is_told_not_hidden(filler):
    filler.append(samples(numbered(1), [1]))
    filler.fold()
    (path,) = (filler.root / "samples").glob("*/*")
    path.write_bytes(b"no parquet")
    filler.append(samples(numbered(1), [2], NOW_MS + 1))
    with pytest.raises((NoStoreError, duckdb.Error)), open_store(filler.root):
        pass


def test_a_large_journal_is_read_in_pieces(filler, monkeypatch):
    monkeypatch.setattr(database_module, "_ROWS_AT_ONCE", 4)
    for step in range(7):
        filler.append(samples(numbered(3), [step] * 3, NOW_MS + step))
    assert list(everything(filler).values()) == [1] * 21
