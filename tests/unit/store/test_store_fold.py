"""Segments become Parquet: everything in them, once, whatever happens in between."""

from __future__ import annotations

import fcntl
import math
import shutil
import threading
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from promscout.model.histogram import Exemplar, Histogram, Span
from promscout.model.metadata import KnownFamilies, MetricMetadata
from promscout.model.series import ExemplarBatch, HistogramBatch, encode_label_set
from promscout.store import fold as fold_module
from promscout.store import tables as tables_module
from promscout.store.fold import fold
from promscout.store.series_id import series_id
from unit.store.store_data import DAY_MS, MONTH, NOW_MS, STALE, Filler, bits, files, numbered, read, samples, series

ODD_VALUES = [0.0, -0.0, 1.5, -1e300, 5e-324, 0.1, math.inf, -math.inf, math.nan, 2.0**53 + 1, 1.7976931348623157e308]


@pytest.fixture
def filler(tmp_path):
    return Filler(tmp_path / "store")


def known(values):
    """Values as bits; None for NULL."""
    return [None if value is None else bits(value) for value in values]


def test_every_value_is_read_back_bit_for_bit_by_polars_and_pandas(filler):
    table = numbered(1)
    for index, value in enumerate([*ODD_VALUES, STALE]):
        filler.append(samples(table, [value], NOW_MS + index))
    assert filler.fold().error == ""
    expected = [*known(ODD_VALUES), None]
    frame = pl.read_parquet(f"{filler.root}/samples", hive_partitioning=True)
    assert known(frame["value"].to_list()) == expected
    assert frame["timestamp"].dtype == pl.Datetime("us", "UTC")
    assert (frame["timestamp"].dt.epoch("ms") - NOW_MS).to_list() == list(range(len(expected)))
    assert [str(day) for day in frame["date"].unique()] == ["2023-11-14"]
    pandas_frame = pd.read_parquet(f"{filler.root}/samples", dtype_backend="pyarrow")
    values = pandas_frame["value"].array.__arrow_array__().to_pylist()
    assert known(values) == expected
    assert str(pandas_frame["timestamp"].iloc[0]) == "2023-11-14 22:13:20+00:00"


def test_samples_find_their_labels_by_series_and_date(filler):
    node = {"__name__": "node_load1", "job": "node", "instance": "a:9100"}
    families = KnownFamilies({"node_load1": MetricMetadata("gauge", "1m load average.", ""), "x": MetricMetadata()})
    filler.append(samples(series(node, {"__name__": "x_total", "π": "ü\n"}, families=families), [1, 2]))
    filler.fold()
    frame = pl.read_parquet(f"{filler.root}/samples", hive_partitioning=True)
    labels = pl.read_parquet(f"{filler.root}/series", hive_partitioning=True)
    (row,) = frame.join(labels, on=["series_id", "date"]).filter(pl.col("name") == "node_load1").to_dicts()
    assert (row["value"], row["job"], row["instance"]) == (1.0, "node", "a:9100")
    assert (row["type"], row["help"], row["unit"]) == ("gauge", "1m load average.", "")
    assert row["labels"] == {"job": "node", "instance": "a:9100"}
    (other,) = labels.filter(pl.col("name") == "x_total").to_dicts()
    assert other["labels"] == {"π": "ü\n"}
    assert (other["job"], other["instance"], other["type"]) == ("", "", "unknown")


def test_the_number_of_a_series_is_the_same_for_ever():
    assert series_id(encode_label_set([("__name__", "up"), ("job", "node")])) == -1467371659567082192


def test_a_series_is_in_the_series_table_once_a_day(filler):
    for hour in range(3):
        filler.append(samples(numbered(3), [hour] * 3, NOW_MS + hour * 3_600_000))
        filler.append(samples(numbered(4, stream=2), [hour] * 4, NOW_MS + hour * 3_600_000 + 1))
        filler.fold()
    frame = pl.read_parquet(f"{filler.root}/series", hive_partitioning=True)
    assert Counter(str(day) for day in frame["date"]) == {"2023-11-14": 4, "2023-11-15": 4}
    assert frame["series_id"].n_unique() == 4


def test_samples_go_to_the_day_that_they_are_of(filler):
    midnight = NOW_MS - NOW_MS % DAY_MS + DAY_MS
    filler.append(samples(numbered(3), [1, 2, 3], [midnight - 1, midnight, midnight + 1]))
    filler.fold()
    frame = pl.read_parquet(f"{filler.root}/samples", hive_partitioning=True).sort("timestamp")
    assert [str(day) for day in frame["date"]] == ["2023-11-14", "2023-11-15", "2023-11-15"]
    assert frame["value"].to_list() == [1, 2, 3]


def test_samples_beyond_retention_or_far_ahead_are_counted_and_not_stored(filler):
    times = [NOW_MS - 40 * DAY_MS, -5, NOW_MS, NOW_MS + 2 * DAY_MS, 1 << 62]
    filler.append(samples(numbered(5), [1, 2, 3, 4, 5], times))
    filler.append(samples(numbered(1), [1], 1 << 60))
    folded = filler.fold()
    assert folded.dropped == {"too_old": 2, "too_far_in_future": 3}
    assert folded.samples == 1
    assert [value for _, _, value in read(filler.root)] == [3]


def test_each_time_makes_a_file_more_and_changes_none(filler):
    before = {}
    for step in range(1, 4):
        filler.append(samples(numbered(2), [step, step], NOW_MS + step))
        filler.fold()
        now = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in filler.root.glob("samples/*/*")}
        assert len(now) == step
        assert before.items() <= now.items()
        before = now
    assert files(filler.root) == [f"date=2023-11-14/00000{number}.parquet" for number in (1, 2, 3)]
    # All series are in the first file of series already.
    assert files(filler.root, "series") == ["date=2023-11-14/000001.parquet"]


def test_a_file_is_sorted_by_series_and_time(filler):
    for step in (3, 1, 2):
        filler.append(samples(numbered(5), range(5), NOW_MS + step))
    filler.fold()
    (path,) = (filler.root / "samples").glob("*/*")
    rows = pl.read_parquet(path, hive_partitioning=False).select("series_id", "timestamp").rows()
    assert len(rows) == 15
    assert rows == sorted(rows)


def test_segments_that_are_given_again_are_not_stored_again(filler):
    filler.append(samples(numbered(3), [1, 2, 3]))
    order = filler.order()
    assert fold(order).samples == 3
    before = read(filler.root)
    assert fold(order).samples == 0
    filler.append(samples(numbered(3), [4, 5, 6], NOW_MS + 1))
    assert fold(filler.order()).samples == 3
    assert set(before.values()) == {1}
    assert len(read(filler.root)) == 6
    assert set(read(filler.root).values()) == {1}


def test_a_crash_at_any_point_leaves_files_that_are_right_and_loses_nothing(tmp_path, monkeypatch):
    """A crash is a copy of the directory, made around every step that changes names or makes data durable."""
    filler = Filler(tmp_path / "store")
    midnight = NOW_MS - NOW_MS % DAY_MS + DAY_MS
    filler.append(samples(numbered(3), [1, 2, 3], midnight - 5))
    filler.fold(now_ms=midnight)
    before = read(filler.root)
    filler.append(samples(numbered(4), [4, 5, 6, 7], [midnight - 4, midnight - 3, midnight, midnight + 1]))
    filler.append(ExemplarBatch(numbered(1), (Exemplar((("trace", "x"),), 1.0, midnight),)))
    crashes = []

    def crash(*_):
        crashes.append(Path(shutil.copytree(filler.root, tmp_path / f"crash-{len(crashes)}")))

    def crashing(function):
        def around(*arguments, **options):
            crash()
            result = function(*arguments, **options)
            crash()
            return result

        return around

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", crashing(Path.rename))
        patch.setattr(tables_module.os, "fsync", crashing(tables_module.os.fsync))
        order = filler.order()
        assert (
            fold(
                order,
            ).error
            == ""
        )
    whole = read(filler.root)
    assert len(whole) == 7
    assert len(crashes) > 20
    for crashed in crashes:
        found = read(crashed)
        assert set(found.values()) == {1}
        assert before.keys() <= found.keys() <= whole.keys()
        segments = tuple(str(crashed / "journal" / Path(path).name) for path in order.segments)
        again = fold_module.Order(str(crashed), segments, MONTH, NOW_MS)
        assert fold(again).error == ""
        assert read(crashed) == whole
        assert not list((crashed / "tmp").iterdir())
        exemplars = pl.read_parquet(f"{crashed}/exemplars", hive_partitioning=True)
        assert exemplars["value"].to_list() == [1.0]


def test_readers_at_any_moment_find_every_sample_once(tmp_path):
    """Files are read all the time, by name patterns, while others are folded."""
    filler = Filler(tmp_path / "store")
    stored, done, failures = [0], threading.Event(), []
    filler.append(samples(numbered(20), range(20)))
    filler.fold()
    stored[0] = 20

    def write():
        try:
            for step in range(1, 16):
                filler.append(samples(numbered(20), range(20), NOW_MS + step))
                assert filler.fold().error == ""
                stored[0] += 20
        except BaseException as error:  # noqa: BLE001 - for the test's own thread
            failures.append(error)
        finally:
            done.set()

    writer = threading.Thread(target=write)
    writer.start()
    reads = 0
    while not done.is_set() and reads < 5000:
        least = stored[0]
        with_polars = pl.read_parquet(f"{filler.root}/samples/*/*.parquet").select("series_id", "timestamp").rows()
        assert len(with_polars) == len(set(with_polars)) >= least
        least = stored[0]
        with_duckdb = read(filler.root)
        assert set(with_duckdb.values()) == {1}
        assert len(with_duckdb) >= least
        reads += 1
    writer.join()
    assert failures == []
    assert reads > 3
    assert sum(read(filler.root).values()) == 320


def test_a_file_that_cannot_be_read_is_set_aside_and_the_rest_goes_on(filler):
    filler.append(samples(numbered(2), [1, 2]))
    filler.fold()
    (path,) = (filler.root / "samples").glob("*/*")
    path.write_bytes(path.read_bytes()[:-10])
    filler.append(samples(numbered(2), [3, 4], NOW_MS + 1))
    folded = filler.fold()
    assert folded.error == ""
    assert folded.damaged == ["000001.parquet of samples, 2023-11-14: set aside"]
    assert [path.name for path in (filler.root / "damaged").iterdir()] == ["samples-2023-11-14-000001.parquet"]
    assert sorted(value for _, _, value in read(filler.root)) == [3, 4]


def test_a_damaged_segment_loses_only_what_is_damaged(filler):
    filler.append(samples(numbered(2), [1, 2]))
    end = filler.journal.bytes
    filler.append(samples(numbered(2), [3, 4], NOW_MS + 1))
    (segment,) = filler.journal.directory.glob("*.segment")
    with segment.open("r+b") as file:
        file.truncate(end + 30)
    folded = filler.fold()
    assert folded.error == ""
    assert [one.partition(":")[0] for one in folded.damaged] == [f"{segment.name}, bytes {end} to {end + 30}"]
    assert sorted(value for _, _, value in read(filler.root)) == [1, 2]


def test_only_one_process_folds_at_a_time(filler, monkeypatch):
    monkeypatch.setattr(fold_module, "_LOCK_SECONDS", 0.0)
    filler.append(samples(numbered(1), [1]))
    with filler.layout.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert filler.fold().error == "another process changes the store"
    assert filler.fold().error == ""
    assert len(read(filler.root)) == 1


def test_large_journals_are_folded_in_pieces(filler, monkeypatch):
    monkeypatch.setattr(fold_module, "ROWS_AT_ONCE", 10)
    for step in range(9):
        filler.append(samples(numbered(4), range(4), NOW_MS + step))
    assert filler.fold().samples == 36
    assert sum(read(filler.root).values()) == 36


def test_a_full_disk_is_told_and_leaves_what_was_there(filler, monkeypatch):
    filler.append(samples(numbered(2), [1, 2]))
    filler.fold()

    def full(*_):
        raise OSError(28, "No space left on device", "x.parquet")

    filler.append(samples(numbered(2), [3, 4], NOW_MS + 1))
    with monkeypatch.context() as patch:
        patch.setattr(tables_module.os, "fsync", full)
        assert filler.fold().error == "x.parquet: No space left on device"
    assert sorted(value for _, _, value in read(filler.root)) == [1, 2]
    assert filler.fold().error == ""
    assert sorted(value for _, _, value in read(filler.root)) == [1, 2, 3, 4]


def test_exemplars_have_a_table(filler):
    exemplars = (
        Exemplar((("trace_id", "a"), ("span_id", "b")), 0.5, NOW_MS),
        Exemplar((), math.nan, NOW_MS + 1),
    )
    filler.append(ExemplarBatch(numbered(2), exemplars))
    filler.fold()
    rows = pl.read_parquet(f"{filler.root}/exemplars", hive_partitioning=True).sort("timestamp").to_dicts()
    assert [bits(row["value"]) for row in rows] == [bits(0.5), bits(math.nan)]
    assert [row["labels"] for row in rows] == [{"trace_id": "a", "span_id": "b"}, {}]
    labels = pl.read_parquet(f"{filler.root}/series", hive_partitioning=True)
    assert {row["series_id"] for row in rows} == set(labels["series_id"])


def test_native_histograms_have_a_table_with_bounds(filler):
    exponential = Histogram(
        schema=0,
        count=6,
        sum=12.5,
        zero_threshold=0.001,
        zero_count=1,
        positive_spans=(Span(0, 1), Span(1, 1)),
        positive_buckets=(2, 0),
        negative_spans=(Span(1, 1),),
        negative_buckets=(1,),
    )
    custom = Histogram(
        schema=-53, is_float=True, count=3.5, sum=math.inf, positive_spans=(Span(0, 3),),
        positive_buckets=(1, 0, 2.5), custom_values=(0.5, 1.0),
    )  # fmt: skip
    filler.append(HistogramBatch(numbered(2), (exponential, custom), np.array([NOW_MS, NOW_MS + 1])))
    filler.fold()
    frame = pl.read_parquet(f"{filler.root}/histograms", hive_partitioning=True).sort("timestamp")
    first, second = frame.to_dicts()
    assert (first["count"], first["sum"], first["schema"], first["gauge"]) == (6, 12.5, 0, False)
    assert [tuple(bucket.values()) for bucket in first["buckets"]] == [
        (-2.0, -1.0, 1.0),
        (-0.001, 0.001, 1.0),
        (0.5, 1.0, 2.0),
        (2.0, 4.0, 2.0),
    ]
    assert (second["count"], second["sum"], second["schema"]) == (3.5, math.inf, -53)
    assert [tuple(bucket.values()) for bucket in second["buckets"]] == [(-math.inf, 0.5, 1.0), (1.0, math.inf, 2.5)]
