"""Records of the journal as columns for the tables, by day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.model.histogram import Exemplar, Histogram
from promscout.model.labels import INSTANCE, JOB, METRIC_NAME
from promscout.model.metadata import MetricMetadata
from promscout.model.series import STALE_NAN_BITS, decode_label_set
from promscout.store.buckets import bucket_rows
from promscout.store.layout import DAY_MS, EXEMPLARS, HISTOGRAMS, SAMPLES, day_of
from promscout.store.series_id import series_ids
from promscout.write.portion import AnyPortion, Portion, SeriesTemplate
from promscout.write.record import Record
from promscout.write.status import Kind

Columns: TypeAlias = dict[str, NDArray[Any]]

FUTURE_MS: Final = DAY_MS
"""How far ahead of the clock a time stamp may be: so much that no partition of a distant day is ever made."""

TOO_OLD: Final = "too_old"
TOO_FAR_IN_FUTURE: Final = "too_far_in_future"

_UNKNOWN: Final = MetricMetadata()
_SUFFIXES: Final = ("_total", "_bucket", "_count", "_sum", "_created", "_info")


class Span(NamedTuple):
    """The time stamps that are kept, in milliseconds: from ``oldest`` up to and including ``newest``."""

    oldest: int
    newest: int


class _Chunk(NamedTuple):
    number: int
    columns: Columns


class DayRows:
    """What records say about one day: rows of each table, and the templates whose series they belong to."""

    def __init__(self) -> None:
        self.chunks: defaultdict[str, list[_Chunk]] = defaultdict(list)
        self.templates: dict[SeriesTemplate, None] = {}

    def columns(self, table: str, after: int = -1) -> Columns:
        """The rows of a table that are of records with numbers above ``after``; no columns where there are none.

        ``number`` is that of the record.
        """
        chunks = [chunk for chunk in self.chunks.get(table, ()) if chunk.number > after]
        if not chunks:
            return {}
        sizes = [len(chunk.columns["ms"]) for chunk in chunks]
        columns = {name: np.concatenate([one.columns[name] for one in chunks]) for name in chunks[0].columns}
        return columns | {"number": np.repeat([chunk.number for chunk in chunks], sizes)}


class Collector:
    """Sorts records by table and day, and counts those whose time is not kept.

    ``last`` is the highest number of a record that was added, ``rows`` how many rows there are.
    """

    def __init__(self, span: Span) -> None:
        self._span = span
        self._ids: WeakKeyDictionary[SeriesTemplate, NDArray[np.int64]] = WeakKeyDictionary()
        self.clear()

    def clear(self) -> None:
        """Forget all rows."""
        self.days: defaultdict[date, DayRows] = defaultdict(DayRows)
        self.dropped: dict[str, int] = {}
        self.rows = 0
        self.last = -1

    def ids(self, template: SeriesTemplate) -> NDArray[np.int64]:
        """The numbers of a template's series."""
        ids = self._ids.get(template)
        if ids is None:
            ids = self._ids[template] = series_ids(template)
        return ids

    def add(self, record: Record) -> None:
        """Take a record's rows."""
        portion = record.portion
        table = _TABLES[portion.kind]
        self.last = max(self.last, record.number)
        for times, columns in self._parts(portion):
            if not len(times):
                continue
            first, last = int(times.min()) // DAY_MS, int(times.max()) // DAY_MS
            for ordinal in range(first, last + 1):
                day = self.days[day_of(ordinal * DAY_MS)]
                day.templates[portion.template] = None
                chunk = columns if first == last else _only(columns, times // DAY_MS == ordinal)
                day.chunks[table].append(_Chunk(record.number, chunk))
            self.rows += len(times)

    def _parts(self, portion: AnyPortion) -> Iterator[tuple[NDArray[np.int64], Columns]]:
        """Times and columns of the rows whose time is kept."""
        count, ids = len(portion), self.ids(portion.template)
        if isinstance(portion, Portion):
            stamps = portion.timestamps
            times = np.full(count, stamps, dtype=np.int64) if isinstance(stamps, int) else stamps
            columns = _sample_columns(ids[portion.first : portion.first + count], times, portion.values)
        else:
            times = np.array(portion.timestamps, dtype=np.int64)
            columns = _item_columns(ids[np.array(portion.series, dtype=np.intp)], times, portion.items)
        kept = self._kept(times)
        if kept is None:
            yield times, columns
        else:
            yield times[kept], _only(columns, kept)

    def _kept(self, times: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        """Which times are kept, None for all; the others are counted."""
        old, new = times < self._span.oldest, times > self._span.newest
        for reason, which in ((TOO_OLD, old), (TOO_FAR_IN_FUTURE, new)):
            number = int(np.count_nonzero(which))
            if number:
                self.dropped[reason] = self.dropped.get(reason, 0) + number
        refused = old | new
        return ~refused if refused.any() else None


def _only(columns: Columns, rows: NDArray[np.bool_]) -> Columns:
    return {name: column[rows] for name, column in columns.items()}


_TABLES: Final = {Kind.SAMPLES: SAMPLES, Kind.HISTOGRAMS: HISTOGRAMS, Kind.EXEMPLARS: EXEMPLARS}


def _sample_columns(ids: NDArray[np.int64], times: NDArray[np.int64], values: NDArray[np.float64]) -> Columns:
    stale = values.view(np.uint64) == STALE_NAN_BITS
    # DuckDB takes a NaN of numpy for NULL, so those that are values are told apart.
    return {"series_id": ids, "ms": times, "value": values, "nan": np.isnan(values) & ~stale}


def _item_columns(ids: NDArray[np.int64], times: NDArray[np.int64], items: Iterable[Histogram | Exemplar]) -> Columns:
    rows = [_exemplar(one) if isinstance(one, Exemplar) else bucket_rows(one) for one in items]
    return {"series_id": ids, "ms": times, "json": _texts(msgspec.json.encode(row).decode() for row in rows)}


def _exemplar(exemplar: Exemplar) -> dict[str, Any]:
    # As text, which can say NaN and infinity.
    return {"value": repr(exemplar.value), "labels": dict(exemplar.labels)}


def series_columns(rows: DayRows, collector: Collector, known: NDArray[np.int64]) -> Columns:
    """Rows for the series of a day that are not among ``known``; each once."""
    known = np.sort(known)
    seen: set[int] = set()
    ids: list[int] = []
    texts: list[tuple[str, ...]] = []
    for template in rows.templates:
        numbers = collector.ids(template)
        unknown = _missing(numbers, known)
        metadata = template.families.by_family() if len(unknown) else {}
        for index in unknown:
            number = int(numbers[index])
            if number not in seen:
                seen.add(number)
                ids.append(number)
                texts.append(_series_row(template.encoded_labels(index), metadata))
    if not ids:
        return {}
    columns = zip(*texts, strict=True)
    names = ("name", "job", "instance", "labels", "type", "help", "unit")
    return {"series_id": np.array(ids, dtype=np.int64)} | {
        name: _texts(column) for name, column in zip(names, columns, strict=True)
    }


def _missing(numbers: NDArray[np.int64], known: NDArray[np.int64]) -> list[int]:
    """Where ``numbers`` has what is not in ``known``, which is sorted."""
    if not len(known):
        return list(range(len(numbers)))
    places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    indices: list[int] = np.flatnonzero(known[places] != numbers).tolist()
    return indices


def _series_row(encoded: bytes, metadata: Mapping[str, MetricMetadata]) -> tuple[str, ...]:
    labels = dict(decode_label_set(encoded))
    name = labels.pop(METRIC_NAME, "")
    about = _metadata_of(name, metadata)
    text = msgspec.json.encode(labels).decode()
    return name, labels.get(JOB, ""), labels.get(INSTANCE, ""), text, about.type, about.help, about.unit


def _metadata_of(name: str, metadata: Mapping[str, MetricMetadata]) -> MetricMetadata:
    """What is known about the family of a series, whose name may have a suffix to the family's."""
    found = metadata.get(name)
    if found is not None:
        return found
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and (found := metadata.get(name.removesuffix(suffix))) is not None:
            return found
    return _UNKNOWN


def _texts(texts: Iterable[str]) -> NDArray[np.object_]:
    column = list(texts)
    array = np.empty(len(column), dtype=object)
    array[:] = column
    return array
