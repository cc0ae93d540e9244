"""What one target exposed last, so that the next scrape only costs what changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from promscout.errors import ExpositionError, InvalidValueError
from promscout.exposition.samples import NO_TIMESTAMP, Exposition
from promscout.model.labels import LabelSet
from promscout.model.series import SampleBatch, SeriesTable, Timestamps, encode_label_set
from promscout.scrape.sample_labels import SampleLabels

_DROPPED = b""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A scrape's samples in terms of series.

    ``batch`` holds the samples to append; ``vanished`` the series of the previous scrape that are not in this one, or
    None; ``added`` counts series that the previous scrape did not have; ``duplicates`` counts samples that were left
    out because an earlier line of the same body has the same series and time. ``live`` is for ``accept``.
    """

    batch: SampleBatch
    live: frozenset[bytes]
    vanished: SeriesTable | None
    added: int
    duplicates: int


@dataclass(slots=True)
class _Layout:
    """How the lines of a body map to a series table."""

    keys: list[bytes]
    table: SeriesTable
    own_time: NDArray[np.bool_] | None  # which lines carry a time stamp that counts; None: no line
    kept: NDArray[np.intp] | None  # positions of the lines that have a series; None: all
    tracked: frozenset[bytes]  # encoded label sets that turn stale when they vanish
    duplicates: int


class SeriesCache:
    """Maps raw series texts of one target to stored label sets.

    Guarantees: while a target exposes the same series in the same order, ``resolve`` returns the same table object and
    parses no label; a series text is parsed and relabelled once, at first sight and with the metric type that the body
    gives it then, however often the set around it changes; series whose
    samples carry their own time stamps do not turn stale (unless ``track_timestamps``).
    """

    __slots__ = ("_encoded", "_honor_timestamps", "_labels", "_layout", "_live", "_stream", "_track_timestamps")

    def __init__(self, stream: int, labels: SampleLabels, *, honor_timestamps: bool, track_timestamps: bool) -> None:
        self._stream = stream
        self._labels = labels
        self._honor_timestamps = honor_timestamps
        self._track_timestamps = track_timestamps
        self._encoded: dict[bytes, bytes] = {}
        self._layout: _Layout | None = None
        self._live: frozenset[bytes] = frozenset()

    def resolve(self, exposition: Exposition, timestamp_ms: int) -> Resolved:
        """The batch of one scrape, and what changed against the one accepted before.

        Raises:
            ExpositionError: a series text is not valid.
            InvalidValueError: a series has no valid name after relabelling.
        """
        timestamps = exposition.timestamps if self._honor_timestamps else None
        own_time = None if timestamps is None else timestamps != NO_TIMESTAMP
        layout, previous = self._layout, self._live
        if layout is None or layout.keys != exposition.keys or not _same(layout.own_time, own_time):
            layout = self._layout = self._lay_out(exposition, own_time)
        values = exposition.values
        if layout.kept is not None:
            values = values[layout.kept]
            timestamps = timestamps[layout.kept] if timestamps is not None else None
        times: int | Timestamps = timestamp_ms
        if timestamps is not None:
            times = np.where(timestamps == NO_TIMESTAMP, timestamp_ms, timestamps)
        live = layout.tracked
        # The usual case is the same set again: nothing to compare.
        vanished = sorted(previous - live) if previous is not live else []
        return Resolved(
            SampleBatch(layout.table, values, times),
            live,
            SeriesTable(self._stream, vanished) if vanished else None,
            len(live - previous) if previous is not live else 0,
            layout.duplicates,
        )

    def accept(self, resolved: Resolved) -> None:
        """The samples of ``resolved`` were appended: its series are what is live now."""
        self._live = resolved.live

    def end(self) -> SeriesTable | None:
        """Forget that anything is live: the series that turn stale, or None. Parsed labels are kept."""
        live, self._live = self._live, frozenset()
        if not live:
            return None
        if self._layout is not None and live is self._layout.tracked and len(live) == len(self._layout.table):
            return self._layout.table
        return SeriesTable(self._stream, sorted(live))

    def adopt(self, other: SeriesCache) -> None:
        """Take over what ``other`` has live: series that go on under this cache do not turn stale."""
        self._live, other._live = other._live, frozenset()

    def _lay_out(self, exposition: Exposition, own_time: NDArray[np.bool_] | None) -> _Layout:
        keys, known = exposition.keys, self._encoded
        encoded: dict[bytes, bytes] = {}
        try:
            for position, key in enumerate(keys):
                one = known.get(key)
                encoded[key] = (
                    self._encode(exposition.labels_of(key, exposition.type_at(position))) if one is None else one
                )
        except (ExpositionError, InvalidValueError):
            # The next body may well fail at the same series: nothing that is known of this one is worth forgetting.
            encoded = {key: known[key] for key in keys if key in known} | encoded
            raise
        finally:
            self._encoded = encoded
        series: list[bytes] = []
        kept: list[int] = []
        seen: set[bytes] = set()
        untracked: set[bytes] = set()
        duplicates = 0
        for position, key in enumerate(keys):
            one = encoded[key]
            if one is _DROPPED:
                continue
            has_own_time = own_time is not None and bool(own_time[position])
            if one in seen and not has_own_time:
                duplicates += 1
                continue
            seen.add(one)
            if has_own_time and not self._track_timestamps:
                untracked.add(one)
            series.append(one)
            kept.append(position)
        return _Layout(
            keys=keys,
            table=SeriesTable(self._stream, series),
            own_time=own_time,
            kept=np.array(kept, dtype=np.intp) if len(kept) != len(keys) else None,
            tracked=frozenset(seen - untracked),
            duplicates=duplicates,
        )

    def _encode(self, exposed: tuple[tuple[str, str], ...]) -> bytes:
        labels: LabelSet | None = self._labels.finish(exposed)
        return _DROPPED if labels is None else encode_label_set(labels)


def _same(one: NDArray[np.bool_] | None, other: NDArray[np.bool_] | None) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)
