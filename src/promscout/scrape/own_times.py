"""Samples that carry their own time stamps: which of them are worth sending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promscout.exposition.samples import NO_TIMESTAMP
from promscout.model.series import SampleBatch, SeriesTable, Timestamps

_MOST_AHEAD_MS: Final = 10 * 60 * 1000
"""How far ahead of the clock a sample may be. Source: prometheus v3.x scrape/scrape.go maxAheadTime."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """What is left of a batch, and how many samples were refused, by reason.

    ``duplicates`` have the time of a sample before them and another value.
    """

    batch: SampleBatch
    out_of_order: int = 0
    duplicates: int = 0
    out_of_bounds: int = 0


class OwnTimes:
    """Lets each series of one target go on in time only, as a database would.

    Guarantees: no series that is in batch after batch gets two samples of the same time, or an earlier one after a
    later one, nor ends before its last sample; none gets one more than ten minutes ahead of the clock; a sample that is
    exposed again as it was is left out and counts as nothing; while the table of a batch stays the same, no Python
    object is made per sample. A refused sample harms no other.

    Source: prometheus v3.x scrape/scrape.go checkAddError, scrape/target.go timeLimitAppender, tsdb/head_append.go
    memSeries.appendable.
    """

    __slots__ = ("_bits", "_left", "_left_table", "_repeats", "_table", "_times")

    def __init__(self) -> None:
        self._table: SeriesTable | None = None
        self._times: Timestamps = np.empty(0, dtype=np.int64)  # the last time of each series
        self._bits: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)  # and the value it had then
        self._repeats = False  # the table has a series several times
        self._left: NDArray[np.bool_] | None = None
        self._left_table: SeriesTable | None = None

    def admit(self, batch: SampleBatch, now_ms: int) -> Admitted:
        """What of ``batch`` is to be sent; the same object when that is all."""
        if batch.series is not self._table:
            self._begin(batch.series)
        times = np.broadcast_to(batch.timestamps, len(batch))
        bits = batch.values.view(np.uint64)
        if self._repeats:
            kinds = self._judge_in_turn(batch.series, times, bits, now_ms)
        else:
            kinds = self._judge(times, bits, now_ms)
        new, older, changed, ahead = kinds
        left = batch if new.all() else SampleBatch(self._table_of(new, batch.series), batch.values[new], times[new])
        return Admitted(left, int(older.sum()), int(changed.sum()), int(ahead.sum()))

    def may_end(self, series: SeriesTable, timestamp_ms: int) -> SeriesTable:
        """Those of ``series`` whose last sample is earlier; the same object when all are.

        Source: prometheus v3.x scrape/scrape.go scrapeLoop.updateStaleMarkers, which ignores markers out of order.
        """
        if self._table is None or not (self._times >= timestamp_ms).any():
            return series
        known, nothing = self._known(self._table), (NO_TIMESTAMP, 0)
        encoded = [series.encoded_labels(position) for position in range(len(series))]
        left = [labels for labels in encoded if known.get(labels, nothing)[0] < timestamp_ms]
        return series if len(left) == len(encoded) else SeriesTable(series.stream, left, series.families)

    def _judge(self, times: Timestamps, bits: NDArray[np.uint64], now_ms: int) -> tuple[NDArray[np.bool_], ...]:
        ahead = times > now_ms + _MOST_AHEAD_MS
        new = (times > self._times) & ~ahead
        older = times < self._times
        changed = (times == self._times) & (bits != self._bits)
        self._times[new] = times[new]
        self._bits[new] = bits[new]
        return new, older, changed & ~ahead, ahead

    def _judge_in_turn(
        self, series: SeriesTable, times: Timestamps, bits: NDArray[np.uint64], now_ms: int
    ) -> tuple[NDArray[np.bool_], ...]:
        """The same for a table in which a series stands several times: one sample after the other."""
        last = self._known(series)
        kinds = np.zeros((4, len(times)), dtype=np.bool_)
        for position, (at, value) in enumerate(zip(times.tolist(), bits.tolist(), strict=True)):
            key = series.encoded_labels(position)
            before, before_value = last[key]
            if at > now_ms + _MOST_AHEAD_MS:
                kinds[3, position] = True
            elif at > before:
                kinds[0, position] = True
                last[key] = at, value
            else:
                kinds[1, position] = at < before
                kinds[2, position] = at == before and value != before_value
        self._remember(series, last)
        return tuple(kinds)

    def _begin(self, series: SeriesTable) -> None:
        """Go on with another table; what is known of its series stays known."""
        known = self._known(self._table) if self._table is not None else {}
        self._table = series
        self._left = self._left_table = None
        self._remember(series, known)
        self._repeats = len({series.encoded_labels(position) for position in range(len(series))}) < len(series)

    def _known(self, series: SeriesTable) -> dict[bytes, tuple[int, int]]:
        pairs = zip(self._times.tolist(), self._bits.tolist(), strict=True)
        return {series.encoded_labels(position): pair for position, pair in enumerate(pairs)}

    def _remember(self, series: SeriesTable, known: dict[bytes, tuple[int, int]]) -> None:
        nothing = (NO_TIMESTAMP, 0)
        pairs = [known.get(series.encoded_labels(position), nothing) for position in range(len(series))]
        self._times = np.array([at for at, _ in pairs], dtype=np.int64)
        self._bits = np.array([value for _, value in pairs], dtype=np.uint64)

    def _table_of(self, left: NDArray[np.bool_], series: SeriesTable) -> SeriesTable:
        """The table of what is left: the same object while the same series are."""
        if self._left_table is None or self._left is None or not np.array_equal(left, self._left):
            positions = np.flatnonzero(left).tolist()
            self._left = left
            encoded = [series.encoded_labels(position) for position in positions]
            self._left_table = SeriesTable(series.stream, encoded, series.families)
        return self._left_table
