"""How what a body exposes maps to stored series."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from promscout.errors import ExpositionError, InvalidValueError, LabelLimitError
from promscout.model.series import SeriesTable

DROPPED: Final = b""
"""In the place of a label set that relabelling dropped."""

Known: TypeAlias = dict[bytes, bytes]
"""Key of a series → its encoded label set, or ``DROPPED``."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a body is not appended, and how far it was read: samples exposed, left after relabelling, and new series."""

    reason: str
    scraped: int = 0
    kept: int = 0
    added: int = 0
    beyond_label_limits: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Positions in a body, rows in a table.

    ``keys`` are those of the body, in its order, or None where others remember them. ``kept`` counts the positions that
    relabelling left, ``duplicates`` those of them that have no row. ``fresh`` says which rows were not known before.
    ``rows[i]`` is the row of position ``i``, -1 where it is dropped; ``positions[r]`` the position of row ``r``; both
    are None where every position is a row. ``own_time`` says which positions have a time stamp that counts,
    ``untracked`` which rows do not turn stale when they vanish; None: none.
    """

    keys: list[bytes] | None
    table: SeriesTable
    kept: int
    fresh: NDArray[np.bool_]
    duplicates: int
    rows: NDArray[np.intp] | None = None
    positions: NDArray[np.intp] | None = None
    own_time: NDArray[np.bool_] | None = None
    untracked: NDArray[np.bool_] | None = None

    def known(self, keys: Sequence[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Each of ``keys``, which are the body's, with what became of it."""
        sets = self.table.encoded_label_sets()
        if self.rows is None:
            return zip(keys, sets, strict=True)
        return zip(keys, [sets[row] if row >= 0 else DROPPED for row in self.rows.tolist()], strict=True)

    def tracked(self) -> list[bytes]:
        """The encoded label sets that turn stale when they vanish."""
        sets = self.table.encoded_label_sets()
        if self.untracked is None:
            return sets
        return [one for one, untracked in zip(sets, self.untracked.tolist(), strict=True) if not untracked]


def map_columns(
    keys: list[bytes],
    encode: Callable[[int], bytes],
    known: Known,
    make_table: Callable[[list[bytes]], SeriesTable],
    *,
    own_time: NDArray[np.bool_] | None,
    track_timestamps: bool,
) -> Columns | Refusal:
    """Map a body with ``keys``. ``encode`` makes the label set of the key at a position; ``known`` gets what it makes.

    Of positions with the same series, the first is a row, and all with a time stamp of their own.
    """
    series: list[bytes] = []
    rows: list[int] = []
    positions: list[int] = []
    untracked: list[bool] = []
    fresh: list[bool] = []
    seen: dict[bytes, int] = {}
    own_times = [False] * len(keys) if own_time is None else own_time.tolist()
    kept = 0
    for position, (key, has_own_time) in enumerate(zip(keys, own_times, strict=True)):
        one = known.get(key)
        is_new = one is None
        if one is None:
            try:
                one = known[key] = encode(position)
            except ExpositionError as error:
                return Refusal(str(error), position + error.samples, kept, sum(fresh))
            except InvalidValueError as error:
                return Refusal(str(error), position + 1, kept, sum(fresh), isinstance(error, LabelLimitError))
        if not one:
            rows.append(-1)
            continue
        kept += 1
        if one in seen and not has_own_time:
            rows.append(seen[one])
            continue
        seen[one] = len(series)
        fresh.append(is_new)
        rows.append(len(series))
        series.append(one)
        positions.append(position)
        untracked.append(has_own_time and not track_timestamps)
    is_plain = len(series) == len(keys)
    return Columns(
        keys=keys,
        table=make_table(series),
        kept=kept,
        fresh=np.array(fresh, dtype=np.bool_),
        duplicates=kept - len(series),
        rows=None if is_plain else np.array(rows, dtype=np.intp),
        positions=None if is_plain else np.array(positions, dtype=np.intp),
        own_time=own_time,
        untracked=np.array(untracked, dtype=np.bool_) if any(untracked) else None,
    )
