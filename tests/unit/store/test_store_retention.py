"""How long and how much a store keeps."""

from __future__ import annotations

import pytest

from promscout.store.order import Retention, Usage
from promscout.store.retention import apply_retention, clear_temporary, first_kept
from unit.store.store_data import DAY_MS, MONTH, NOW_MS, Filler, files, numbered, samples


@pytest.fixture
def filler(tmp_path):
    """A store with five days, the last one in two files."""
    filler = Filler(tmp_path / "store")
    for age in (4, 3, 2, 1, 0):
        filler.append(samples(numbered(50), range(50), NOW_MS - age * DAY_MS))
    filler.fold()
    path = filler.layout.files("samples", filler.layout.days("samples")[-1])[-1]
    path.with_name("000002.parquet").write_bytes(path.read_bytes())
    return filler


def test_what_is_kept_begins_with_a_day():
    start_of_day = NOW_MS - NOW_MS % DAY_MS
    assert first_kept(Retention(DAY_MS), NOW_MS) == start_of_day - DAY_MS
    assert first_kept(Retention(NOW_MS - start_of_day), NOW_MS) == start_of_day
    assert first_kept(Retention(NOW_MS - start_of_day - 1), NOW_MS) == start_of_day
    assert first_kept(Retention(10 * NOW_MS), NOW_MS) == 0


def test_a_day_goes_when_all_of_it_is_too_old(filler):
    apply_retention(filler.layout, Retention(2 * DAY_MS), NOW_MS)
    for table in ("samples", "series"):
        assert [str(day) for day in filler.layout.days(table)] == ["2023-11-12", "2023-11-13", "2023-11-14"]


def test_the_oldest_days_go_while_the_store_is_too_large(filler):
    days = filler.layout.days("samples")
    sizes = [filler.layout.size(day) for day in days]
    apply_retention(filler.layout, Retention(MONTH.milliseconds, sum(sizes[3:])), NOW_MS)
    assert filler.layout.days("samples") == filler.layout.days("series") == days[3:]


def test_of_a_single_day_that_is_too_large_the_oldest_files_go(filler):
    usage = apply_retention(filler.layout, Retention(MONTH.milliseconds, 1), NOW_MS)
    assert files(filler.root) == ["date=2023-11-14/000002.parquet"]
    assert files(filler.root, "series") == ["date=2023-11-14/000001.parquet"]
    assert usage == Usage(2, filler.layout.size(filler.layout.days("samples")[0]), "2023-11-14")


def test_without_a_limit_nothing_goes_by_size(filler):
    before = files(filler.root)
    usage = apply_retention(filler.layout, MONTH, NOW_MS)
    assert files(filler.root) == before
    assert (usage.files, usage.oldest_day) == (11, "2023-11-10")


def test_an_empty_store_has_nothing_to_delete(tmp_path):
    layout = Filler(tmp_path / "store").layout
    assert apply_retention(layout, Retention(DAY_MS, 1), NOW_MS) == Usage()


def test_what_a_crash_has_left_of_a_deletion_is_deleted_later(filler):
    doomed = filler.layout.partition("samples", filler.layout.days("samples")[0])
    doomed.rename(filler.layout.temporary / "samples-2023-11-10")
    clear_temporary(filler.layout)
    assert list(filler.layout.temporary.iterdir()) == []
    apply_retention(filler.layout, Retention(3 * DAY_MS), NOW_MS)
    assert len(filler.layout.days("series")) == 4


def test_strange_files_are_neither_read_nor_deleted(filler):
    day = filler.layout.days("samples")[-1]
    partition = filler.layout.partition("samples", day)
    for name in ("notes.txt", "1.parquet.tmp", "000003.parquet.bak"):
        (partition / name).write_text("mine")
    (filler.root / "samples" / "date=today").mkdir()
    assert [path.name for path in filler.layout.files("samples", day)] == ["000001.parquet", "000002.parquet"]
    assert day in filler.layout.days("samples")
    apply_retention(filler.layout, MONTH, NOW_MS)
    assert (partition / "notes.txt").exists()
