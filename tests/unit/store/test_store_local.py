"""The local store in the agent: what is appended gets to disk, whatever the disk does."""

from __future__ import annotations

import asyncio
import errno
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from promscout.model.histogram import Exemplar, Histogram
from promscout.model.series import ExemplarBatch, HistogramBatch
from promscout.store import local
from promscout.store.fold import fold
from promscout.store.local import LocalStore, StoreOptions
from promscout.store.metrics import StoreMetrics
from promscout.store.order import Folded, Retention
from promscout.write.record import KnownTemplates
from promscout.write.segment import SegmentFile
from unit.store.store_data import DAY_MS, numbered, read, samples

TABLE = numbered(3)


class Folding:
    """What folds, in this process; ``fails`` says why it does not, ``takes`` how many seconds it takes."""

    def __init__(self):
        self.orders = []
        self.fails = ""
        self.takes = 0.0

    async def __call__(self, order):
        self.orders.append(order)
        await asyncio.sleep(self.takes)
        return Folded(error=self.fails) if self.fails else fold(order)


@pytest.fixture
def folding():
    return Folding()


@pytest.fixture
def store(tmp_path, clock, folding):
    made = LocalStore(StoreOptions(tmp_path / "store", Retention(15 * DAY_MS)), clock, folding)
    made.active = True
    return made


@asynccontextmanager
async def running(store, stop_within=3.0):
    task = asyncio.create_task(store.run())
    try:
        yield
    finally:
        await store.stop(stop_within)
        with suppress(asyncio.CancelledError):
            await task


def in_journal(store):
    """The values of all samples that are in the journal."""
    found = []
    for path in sorted((store.path / "journal").glob("*.segment")):
        with SegmentFile(path, KnownTemplates()) as segment:
            found += [value for record in segment.records() for value in record.portion.values.tolist()]
    return found


def in_files(store):
    return sorted(value for _, _, value in read(store.path).elements())


async def test_samples_are_in_the_journal_after_a_flush_interval(store, clock):
    async with running(store):
        await asyncio.sleep(5.5)
        store.append(samples(TABLE, [1, 2, 3], clock.now_ms()))
        assert store.status().pending == 3
        await asyncio.sleep(1.0)
        assert in_journal(store) == [1, 2, 3]
        assert store.status().pending == 0
        assert store.status().journal_bytes > 0


async def test_samples_get_into_files_soon_after_the_start_and_later_in_larger_ones(store, clock, folding):
    begin = asyncio.get_running_loop().time()
    times = []
    async with running(store):
        for step in range(1800):
            store.append(samples(TABLE, [step] * 3, clock.now_ms()))
            before = len(folding.orders)
            await asyncio.sleep(1.0)
            if len(folding.orders) > before:
                times.append(asyncio.get_running_loop().time() - begin)
    gaps = np.diff(times)
    assert times[0] <= local.FIRST_FOLD_SECONDS + 5
    assert all(gaps[1:] >= gaps[:-1] - 2)
    assert gaps[-1] == pytest.approx(local.FOLD_SECONDS, abs=2)
    assert in_files(store) == sorted([*range(1800)] * 3)


async def test_stopping_writes_everything_into_files(store, clock):
    async with running(store):
        store.append(samples(TABLE, [1, 2, 3], clock.now_ms()))
    assert in_files(store) == [1, 2, 3]
    assert in_journal(store) == []
    assert store.status().samples_written == 3


async def test_stopping_takes_no_longer_than_allowed_and_keeps_samples_in_the_journal(store, clock, folding):
    loop = asyncio.get_running_loop()
    folding.takes = 100.0
    async with running(store, stop_within=3.0):
        await asyncio.sleep(10)
        store.append(samples(TABLE, [1, 2, 3], clock.now_ms()))
        stopped = loop.time()
    assert loop.time() - stopped == pytest.approx(3.0)
    assert in_journal(store) == [1, 2, 3]


async def test_what_the_process_before_has_left_gets_into_files(tmp_path, clock, folding):
    folding.fails = "no"
    options = StoreOptions(tmp_path / "store", Retention(15 * DAY_MS))
    before = LocalStore(options, clock, folding)
    before.active = True
    async with running(before):
        before.append(samples(TABLE, [1, 2, 3], clock.now_ms()))
    folding.fails = ""
    after = LocalStore(options, clock, folding)  # with remote write: it takes nothing more
    async with running(after):
        await asyncio.sleep(3)
        assert in_files(after) == [1, 2, 3]
        after.active = True
        after.append(samples(TABLE, [4, 5, 6], clock.now_ms()))
    assert in_files(after) == [1, 2, 3, 4, 5, 6]


async def test_without_being_active_nothing_is_taken_or_made(store, clock, folding):
    store.active = False
    async with running(store):
        store.append(samples(TABLE, [1, 2, 3], clock.now_ms()))
        store.append_exemplars(ExemplarBatch(numbered(1), (Exemplar((), 1.0, clock.now_ms()),)))
        store.append_histograms(HistogramBatch(numbered(1), (Histogram(schema=0),), clock.now_ms()))
        await asyncio.sleep(100)
    assert not store.path.exists()
    assert folding.orders == []
    assert store.status().samples_in == 0


async def test_histograms_and_exemplars_get_into_files(store, clock):
    async with running(store):
        store.append_exemplars(ExemplarBatch(numbered(1), (Exemplar((), 1.0, clock.now_ms()),)))
        store.append_histograms(HistogramBatch(numbered(1), (Histogram(schema=0),), clock.now_ms()))
    assert len(list(store.path.glob("exemplars/*/*"))) == len(list(store.path.glob("histograms/*/*"))) == 1


def failing(times, real):
    """A method of a journal that fails so many times."""
    left = [times]

    def method(*arguments):
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    return method


@pytest.mark.parametrize("method", ["open", "append", "commit", "remove"])
async def test_a_full_disk_loses_nothing_while_there_is_memory_and_is_told(store, clock, monkeypatch, caplog, method):
    monkeypatch.setattr(store._journal, method, failing(3, getattr(store._journal, method)))
    errors = set()
    async with running(store):
        for step in range(200):
            store.append(samples(TABLE, [step] * 3, clock.now_ms()))
            await asyncio.sleep(1.0)
            errors.add(store.status().error)
        await asyncio.sleep(4 * local.FOLD_SECONDS)
        assert store.status().error == ""
        assert store.status().failures == 3
    assert f"{store.path}/journal: No space left on device" in errors
    assert 1 <= sum("the local store cannot be written" in one.message for one in caplog.records) <= 3
    assert in_files(store) == sorted([*range(200)] * 3)


async def test_files_that_cannot_be_written_are_tried_again(store, clock, folding):
    folding.fails = "samples.parquet: No space left on device"
    async with running(store):
        store.append(samples(TABLE, [1, 2, 3], clock.now_ms()))
        await asyncio.sleep(100)
        assert store.status().error == "samples.parquet: No space left on device"
        assert store.status().lag == pytest.approx(100, abs=0.1)
        folding.fails = ""
        await asyncio.sleep(300)
        assert store.status().error == ""
        assert store.status().lag == 0
        assert in_files(store) == [1, 2, 3]


async def test_memory_is_bounded_while_the_journal_cannot_be_written(store, clock, monkeypatch):
    monkeypatch.setattr(local, "MAX_PENDING_BYTES", 10_000)
    monkeypatch.setattr(store._journal, "append", failing(1 << 30, store._journal.append))
    async with running(store, stop_within=0.1):
        for step in range(100):
            store.append(samples(TABLE, [step] * 3, clock.now_ms()))
            await asyncio.sleep(1.0)
        status = store.status()
        assert 0 < status.pending < 100
        assert status.pending + status.dropped["buffer_full"] == status.samples_in == 300


async def test_the_journal_is_bounded_while_it_cannot_be_folded(store, clock, monkeypatch, folding):
    monkeypatch.setattr(local, "MAX_JOURNAL_BYTES", 3000)
    folding.fails = "no"
    async with running(store):
        for step in range(6000):
            store.append(samples(TABLE, [step] * 3, clock.now_ms()))
            await asyncio.sleep(1.0)
        await asyncio.sleep(2 * local.FOLD_SECONDS)
        status = store.status()
        assert status.journal_bytes <= 3000
        assert status.dropped["expired"] + len(in_journal(store)) == 18_000


async def test_a_large_journal_is_folded_at_once(store, clock, monkeypatch, folding):
    monkeypatch.setattr(local, "FOLD_BYTES", 500)
    async with running(store):
        await asyncio.sleep(5)
        for step in range(20):
            store.append(samples(TABLE, [step] * 3, clock.now_ms()))
            await asyncio.sleep(1.0)
        assert len(folding.orders) > 1


async def test_what_is_dropped_by_folding_is_counted(store, clock):
    async with running(store):
        store.append(samples(TABLE, [1, 2, 3], [0, clock.now_ms(), 1 << 60]))
    assert store.status().dropped == {"too_old": 1, "too_far_in_future": 1}
    assert in_files(store) == [2]


async def test_numbers_go_on_where_the_journal_was_lost(tmp_path, clock, folding):
    """Files remember the highest number in them; lower ones would count as stored already."""
    options = StoreOptions(tmp_path / "store", Retention(15 * DAY_MS))
    for value in (1, 2):
        store = LocalStore(options, clock, folding)
        store.active = True
        async with running(store):
            store.append(samples(TABLE, [value] * 3, clock.now_ms()))
            await asyncio.sleep(5)
        for path in (store.path / "journal").iterdir():
            path.unlink()
    assert in_files(store) == [1, 1, 1, 2, 2, 2]


async def test_the_status_is_in_the_metrics(store, clock):
    registry = CollectorRegistry()
    StoreMetrics(registry, store.status)
    async with running(store):
        store.append(samples(TABLE, [1, 2, 3], [0, clock.now_ms(), clock.now_ms()]))
    lines = generate_latest(registry).decode().splitlines()
    for line in (
        "promscout_store_active 1.0",
        "promscout_store_samples_in_total 3.0",
        "promscout_store_samples_written_total 2.0",
        'promscout_store_samples_dropped_total{reason="too_old"} 1.0',
        "promscout_store_files 2.0",
        "promscout_store_lag_seconds 0.0",
    ):
        assert line in lines
