"""The newest sample of each series whose target gives time stamps of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from promscout.model.series import SeriesTable, Timestamps, Values

_LONG_AGO: Final = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, eq=False)
class NewestSamples:
    """Time stamp and value of the newest sample of each row of ``table``.

    Source: prometheus v3.x tsdb/head_append.go memSeries.appendable.
    """

    table: SeriesTable
    times: Timestamps
    values: Values

    def acceptable(self, times: Timestamps, values: Values) -> tuple[NDArray[np.bool_], int, int]:
        """Which samples of the same rows a storage takes; how many are too old, and how many have a time twice.

        A sample that is repeated with its value is taken: storages know that it is the same.
        """
        late = times < self.times
        twice = (times == self.times) & (values.view(np.uint64) != self.values.view(np.uint64))
        return ~(late | twice), int(np.count_nonzero(late)), int(np.count_nonzero(twice))

    def followed_by(self, times: Timestamps, values: Values) -> NewestSamples:
        """These, after samples of the same rows of which the acceptable ones were appended."""
        newer = times > self.times
        return NewestSamples(self.table, np.where(newer, times, self.times), np.where(newer, values, self.values))

    def carried_to(self, table: SeriesTable) -> NewestSamples:
        """What is known of the series of another table."""
        places = {labels: row for row, labels in enumerate(self.table.encoded_label_sets())}
        rows = np.array([places.get(labels, -1) for labels in table.encoded_label_sets()], dtype=np.intp)
        times = np.where(rows >= 0, self.times[rows], _LONG_AGO)
        return NewestSamples(table, times, self.values[rows])

    @classmethod
    def none(cls, table: SeriesTable) -> NewestSamples:
        """Nothing is known yet."""
        return cls(table, np.full(len(table), _LONG_AGO, dtype=np.int64), np.zeros(len(table)))
