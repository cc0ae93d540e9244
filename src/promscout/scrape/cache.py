"""What one target exposed last, so that the next scrape only costs what changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.exposition.image import TextImage
from promscout.exposition.samples import NO_TIMESTAMP, ExposedHistograms, Exposition, MetadataLines
from promscout.model.histogram import Exemplar, Histogram
from promscout.model.metadata import Families
from promscout.model.series import (
    ExemplarBatch,
    HistogramBatch,
    SampleBatch,
    SeriesTable,
    Timestamps,
    Values,
    encode_label_set,
)
from promscout.scrape.columns import Columns, Known, Refusal, map_columns
from promscout.scrape.exemplars import LatestExemplars
from promscout.scrape.sample_labels import SampleLabels

Read: TypeAlias = Callable[[bytes], Exposition]

_NONE_FRESH: Final = np.zeros(0, dtype=np.bool_)
_NO_METADATA: Final = MetadataLines()


@dataclass(frozen=True, slots=True)
class Resolved:
    """A scrape's samples in terms of series.

    ``vanished`` are the series of the previous scrape that are not in this one, or None. ``scraped`` counts what was
    exposed, ``kept`` what relabelling left of it, ``fresh`` says which of the series were not known before,
    ``duplicates`` counts samples that were left out because an earlier one of the same body has the same series and
    time. ``layout`` is for ``accept``.
    """

    batch: SampleBatch
    histograms: HistogramBatch | None
    exemplars: ExemplarBatch | None
    vanished: SeriesTable | None
    scraped: int
    kept: int
    fresh: NDArray[np.bool_]
    duplicates: int
    layout: _Layout

    def added(self, limit: int = 0) -> int:
        """Series that were not known before, of the first ``limit`` or of all."""
        return int(np.count_nonzero(self.fresh[: limit or None]))

    def refused(self, reason: str, limit: int = 0) -> Refusal:
        """That nothing of it is appended; the first ``limit`` series, or all, are known from then on."""
        return Refusal(reason, self.scraped, self.kept, self.added(limit))

    def with_histograms(self, histograms: Iterable[Histogram]) -> Resolved:
        """The same with these histograms in place of those there are."""
        batch = self.histograms
        if batch is None:
            return self
        return dataclasses.replace(self, histograms=dataclasses.replace(batch, histograms=tuple(histograms)))

    @property
    def appended(self) -> int:
        """Samples and histograms to append."""
        return len(self.batch) + (len(self.histograms) if self.histograms is not None else 0)


@dataclass(slots=True, eq=False)
class _Layout:
    """How a body maps to series. ``image`` remembers the keys of ``samples`` where there is one."""

    read: Read
    samples: Columns
    histograms: Columns | None
    image: TextImage | None
    is_new: bool = True

    def keys(self) -> list[bytes]:
        return self.samples.keys if self.samples.keys is not None else self.image.keys()  # type: ignore[union-attr]

    def know(self, known: Known) -> None:
        known.update(self.samples.known(self.keys()))
        if self.histograms is not None:
            known.update(self.histograms.known(self.histograms.keys or []))

    def tracked(self) -> list[bytes]:
        """The encoded label sets of all series that turn stale when they vanish."""
        found = self.samples.tracked()
        return found if self.histograms is None else [*found, *self.histograms.tracked()]


class SeriesCache:
    """Maps the bodies of one target to stored series.

    Guarantees: while a target exposes the same series in the same order, ``resolve`` returns the same table object,
    parses no label, and where the body is text that differs from the one before in numbers only, reads only those that
    changed; a series text is parsed and relabelled once, at first sight and with the metric type that the body
    gives it then, however often the set around it changes; series whose samples carry their own time stamps do not turn
    stale (unless ``track_timestamps``). Nothing that is kept is a Python object
    for each series, in text formats.

    Source: prometheus v3.x scrape/scrape.go scrapeCache, scrapeLoopAppender.append.
    """

    __slots__ = (
        "_exemplars",
        "_failed_known",
        "_honor_timestamps",
        "_labels",
        "_layout",
        "_live",
        "_metadata",
        "_stream",
        "_track_timestamps",
        "_tried",
    )

    def __init__(self, stream: int, labels: SampleLabels, *, honor_timestamps: bool, track_timestamps: bool) -> None:
        self._stream = stream
        self._labels = labels
        self._honor_timestamps = honor_timestamps
        self._track_timestamps = track_timestamps
        self._layout: _Layout | None = None  # of the body accepted last
        self._tried: _Layout | None = None  # of a body since then that was not
        self._failed_known: Known = {}  # of bodies since then that could not be mapped
        self._live: _Layout | None = None  # whose series have not turned stale
        self._exemplars = LatestExemplars()
        self._metadata = _NO_METADATA

    def resolve(self, body: bytes, read: Read, timestamp_ms: int) -> Resolved | Refusal:
        """The batches of one scrape, and what changed against the one accepted before.

        ``read`` parses; another one of these says that the format is another. ``Refusal`` where a series is not valid,
        or has no valid labels after relabelling.

        Raises:
            ExpositionError: from ``read``.
        """
        for layout in (self._tried, self._layout):
            if layout is not None and layout.image is not None and layout.read is read and layout.image.update(body):
                return self._resolved(layout, layout.image.values, layout.image.timestamps, timestamp_ms)
        exposition = read(body)
        self._metadata = exposition.metadata_lines
        fitting = self._fitting(exposition, read)
        if isinstance(fitting, Refusal):
            return fitting
        if fitting.image is None:
            fitting.image = TextImage.of(body, exposition)
            keys = exposition.keys if fitting.image is None else None
            fitting.samples = dataclasses.replace(fitting.samples, keys=keys)
        return self._resolved(fitting, exposition.values, exposition.timestamps, timestamp_ms, exposition)

    def accept(self, resolved: Resolved) -> None:
        """The samples of ``resolved`` were appended: its series are what is live now."""
        self._layout = self._live = resolved.layout
        self._tried = None
        self._failed_known = {}
        if resolved.exemplars is not None:
            self._exemplars.accept(resolved.exemplars)
        if resolved.vanished is not None:
            self._exemplars.forget(resolved.vanished)

    def end(self) -> SeriesTable | None:
        """Forget that anything is live: the series that turn stale, or None. Parsed labels are kept."""
        live, self._live = self._live, None
        if live is None:
            return None
        if live.histograms is None and live.samples.untracked is None and live.samples.own_time is None:
            return live.samples.table if len(live.samples.table) else None
        tracked = dict.fromkeys(live.tracked())  # with several time stamps a series is there several times
        return self._table(list(tracked)) if tracked else None

    def adopt(self, other: SeriesCache) -> None:
        """Take over what ``other`` has live: series that go on do not turn stale, their exemplars are not new."""
        self._live, other._live = other._live, None
        self._exemplars = other._exemplars

    @property
    def families(self) -> Families:
        """What the last body said about its metric families."""
        return self._metadata

    @property
    def body(self) -> bytes | None:
        """The last body that could be read, which the next is compared with; None where none is kept for that."""
        layout = self._tried or self._layout
        return layout.image.body if layout is not None and layout.image is not None else None

    def _fitting(self, exposition: Exposition, read: Read) -> _Layout | Refusal:
        """The layout of a body that was parsed: the one of a body before, if it has the same series."""
        own_time = _own_time(exposition.timestamps) if self._honor_timestamps else None
        exposed = exposition.histograms
        own_histogram_time = _own_time(exposed.timestamps) if exposed is not None and self._honor_timestamps else None
        layouts = [layout for layout in (self._tried, self._layout) if layout is not None]
        for layout in layouts:
            if (
                _fits(layout.samples, layout.keys(), exposition.keys, own_time)
                and (layout.histograms is None) is (exposed is None)
                and (
                    exposed is None
                    or layout.histograms is None
                    or _fits(layout.histograms, layout.histograms.keys or [], exposed.keys, own_histogram_time)
                )
            ):
                layout.image, layout.read, layout.is_new = None, read, False
                return layout
        known: Known = {}
        for layout in reversed(layouts):
            layout.know(known)
        known.update(self._failed_known)
        samples = self._map(exposition, exposition.keys, exposition.series, known, own_time)
        if isinstance(samples, Refusal):
            self._failed_known = _only(known, exposition)
            return samples
        histograms = None
        if exposed is not None:
            found = self._map(exposition, exposed.keys, exposed.series, known, own_histogram_time)
            if isinstance(found, Refusal):
                self._failed_known = _only(known, exposition)
                return dataclasses.replace(
                    found,
                    scraped=len(exposition) + found.scraped,
                    kept=samples.kept + found.kept,
                    added=int(np.count_nonzero(samples.fresh)) + found.added,
                )
            histograms = found
        layout = self._tried = _Layout(read, samples, histograms, None)
        return layout

    def _map(
        self,
        exposition: Exposition,
        keys: list[bytes],
        labels_at: Callable[[int], Iterable[tuple[str, str]]],
        known: Known,
        own_time: NDArray[np.bool_] | None,
    ) -> Columns | Refusal:
        def encode(position: int) -> bytes:
            labels = self._labels.finish(labels_at(position))
            return b"" if labels is None else encode_label_set(labels)

        return map_columns(
            keys,
            encode,
            known,
            partial(SeriesTable, self._stream, families=exposition.metadata_lines),
            own_time=own_time,
            track_timestamps=self._track_timestamps,
        )

    def _resolved(
        self,
        layout: _Layout,
        values: Values,
        timestamps: Timestamps | None,
        timestamp_ms: int,
        exposition: Exposition | None = None,
    ) -> Resolved:
        samples, histograms = layout.samples, layout.histograms
        exposed = exposition.histograms if exposition is not None else None
        times = _times(timestamps if self._honor_timestamps else None, timestamp_ms)
        is_new = exposition is not None and layout.is_new
        live = self._live
        vanished = sorted(set(live.tracked()).difference(layout.tracked())) if live not in (None, layout) else []
        return Resolved(
            batch=_batch(samples, values, times),
            histograms=self._histogram_batch(histograms, exposed, timestamp_ms),
            exemplars=self._new_exemplars(layout, exposition, times),
            vanished=self._table(vanished) if vanished else None,
            scraped=len(values) + (len(exposed.keys) if exposed is not None else 0),
            kept=samples.kept + (histograms.kept if histograms is not None else 0),
            fresh=_fresh(samples, histograms) if is_new else _NONE_FRESH,
            duplicates=samples.duplicates + (histograms.duplicates if histograms is not None else 0),
            layout=layout,
        )

    def _histogram_batch(
        self, columns: Columns | None, exposed: ExposedHistograms | None, timestamp_ms: int
    ) -> HistogramBatch | None:
        if columns is None or exposed is None or not len(columns.table):
            return None
        times = _times(exposed.timestamps if self._honor_timestamps else None, timestamp_ms)
        if columns.positions is None:
            return HistogramBatch(columns.table, tuple(exposed.histograms), times)
        kept = tuple(exposed.histograms[position] for position in columns.positions.tolist())
        return HistogramBatch(columns.table, kept, times if isinstance(times, int) else times[columns.positions])

    def _new_exemplars(
        self, layout: _Layout, exposition: Exposition | None, times: int | Timestamps
    ) -> ExemplarBatch | None:
        if exposition is None:
            return None
        found: list[tuple[bytes, Exemplar]] = []
        for row, position, exemplar in _in_rows(layout.samples, exposition.exemplars):
            stamp = times if isinstance(times, int) else int(times[position])
            timed = exemplar if exemplar.timestamp is not None else msgspec.structs.replace(exemplar, timestamp=stamp)
            found.append((layout.samples.table.encoded_labels(row), timed))
        exposed = exposition.histograms
        if exposed is not None and layout.histograms is not None:
            table = layout.histograms.table
            for row, _, exemplar in _in_rows(layout.histograms, exposed.exemplars):
                if exemplar.timestamp is not None:  # as in Prometheus, which cannot tell whether others are repeated
                    found.append((table.encoded_labels(row), exemplar))
        return self._exemplars.news(self._stream, found) if found else None

    def _table(self, encoded_label_sets: list[bytes]) -> SeriesTable:
        return SeriesTable(self._stream, encoded_label_sets)


def _in_rows(columns: Columns, pairs: Sequence[tuple[int, Exemplar]]) -> Iterator[tuple[int, int, Exemplar]]:
    """Row, position and exemplar of those whose series is kept."""
    for position, exemplar in pairs:
        row = position if columns.rows is None else int(columns.rows[position])
        if row >= 0:
            yield row, position, exemplar


def _only(known: Known, exposition: Exposition) -> Known:
    """What is known of the series of a body, and of no others: bodies may fail for ever, each with other series."""
    keys = [*exposition.keys, *(exposition.histograms.keys if exposition.histograms is not None else ())]
    return {key: known[key] for key in keys if key in known}


def _fresh(samples: Columns, histograms: Columns | None) -> NDArray[np.bool_]:
    return samples.fresh if histograms is None else np.concatenate((samples.fresh, histograms.fresh))


def _own_time(timestamps: Timestamps | None) -> NDArray[np.bool_] | None:
    return None if timestamps is None else timestamps != NO_TIMESTAMP


def _times(timestamps: Timestamps | None, timestamp_ms: int) -> int | Timestamps:
    """The time of each sample: its own, or that of the scrape."""
    return timestamp_ms if timestamps is None else np.where(timestamps == NO_TIMESTAMP, timestamp_ms, timestamps)


def _batch(columns: Columns, values: Values, times: int | Timestamps) -> SampleBatch:
    positions = columns.positions
    if positions is None:
        return SampleBatch(columns.table, values, times)
    return SampleBatch(columns.table, values[positions], times if isinstance(times, int) else times[positions])


def _fits(columns: Columns, known: list[bytes], keys: list[bytes], own_time: NDArray[np.bool_] | None) -> bool:
    """Whether ``columns``, whose keys are ``known``, are those of a body with ``keys``."""
    if columns.own_time is None or own_time is None:
        return columns.own_time is own_time and known == keys
    return np.array_equal(columns.own_time, own_time) and known == keys
