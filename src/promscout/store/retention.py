"""Which days of a store are deleted, and how."""

from __future__ import annotations

import shutil
from datetime import date

from promscout.store.layout import SAMPLES, TABLES, Layout, day_of, start_of, sync_directory
from promscout.store.order import Retention, Usage


def first_kept(retention: Retention, now_ms: int) -> int:
    """The first millisecond that is kept: the beginning of a day."""
    return start_of(day_of(max(0, now_ms - retention.milliseconds)))


def apply_retention(layout: Layout, retention: Retention, now_ms: int) -> Usage:
    """Delete what is not kept; what is there then.

    A partition vanishes at once as a whole, that with the samples first. A crash in between leaves a partition of the
    other tables or a directory in ``tmp``, which the next call deletes.
    """
    days = sorted({day for table in TABLES for day in layout.days(table)})
    first = day_of(first_kept(retention, now_ms))
    while days and days[0] < first:
        _drop(layout, days.pop(0))
    sizes = {day: layout.size(day) for day in days}
    if retention.max_bytes:
        while len(sizes) > 1 and sum(sizes.values()) > retention.max_bytes:
            day = min(sizes)
            _drop(layout, day)
            del sizes[day]
        if sum(sizes.values()) > retention.max_bytes:
            (day,) = sizes
            _drop_files(layout, day, retention.max_bytes)
    return usage(layout)


def usage(layout: Layout) -> Usage:
    """What Parquet files there are."""
    days = sorted({day for table in TABLES for day in layout.days(table)})
    files = sum(len(layout.files(table, day)) for table in TABLES for day in days)
    return Usage(files, sum(layout.size(day) for day in days), days[0].isoformat() if days else "")


def clear_temporary(layout: Layout) -> None:
    """Make the directory for temporary files, or delete what a crash has left in it."""
    if layout.temporary.exists():
        shutil.rmtree(layout.temporary)
    layout.temporary.mkdir(parents=True)


def _drop(layout: Layout, day: date) -> None:
    for table in TABLES:
        partition = layout.partition(table, day)
        if partition.exists():
            # Deleting takes a while, in which readers would find a part of the day.
            doomed = layout.temporary / f"{table}-{day.isoformat()}"
            partition.rename(doomed)
            sync_directory(partition.parent)
            shutil.rmtree(doomed)


def _drop_files(layout: Layout, day: date, max_bytes: int) -> None:
    """Delete the oldest files of samples, but for the newest, until all of the day have ``max_bytes``."""
    excess = layout.size(day) - max_bytes
    for path in layout.files(SAMPLES, day)[:-1]:
        if excess <= 0:
            return
        excess -= path.stat().st_size
        path.unlink()
