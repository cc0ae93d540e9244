"""What waits for delivery: samples as columns, histograms and exemplars as values, each for series of one template."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar, Final, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.model.histogram import Exemplar, Histogram
from promscout.model.metadata import NO_FAMILIES, Families
from promscout.model.series import Timestamps, Values, encode_varint
from promscout.write.histograms import encode_exemplar_series, encode_histogram_series
from promscout.write.packed import MAX_LABELS, PackedSeries
from promscout.write.status import Kind

PACKED_AS_ONE: Final = 250
"""Series that are packed as one: those of a template whose index divided by it has the same quotient."""

_PORTION_OVERHEAD: Final = 400  # bytes: the portion, its array's header, its place in a queue
_ITEM_OVERHEAD: Final = 500  # bytes: a histogram's or an exemplar's fields without buckets, its labels
_BUCKET_OVERHEAD: Final = 40  # bytes: a number object and its place in a tuple


class SeriesTemplate:
    """Some series of one stream, as encoded label sets, and what was packed of them.

    ``encoded``, ``offsets`` and ``families`` are as in a ``SeriesTable``, whose they may be. Packed series take
    about 30 bytes each.
    """

    __slots__ = ("__weakref__", "_packed", "encoded", "families", "offsets", "stream")

    def __init__(
        self, stream: int, encoded: bytes, offsets: NDArray[np.int64], families: Families = NO_FAMILIES
    ) -> None:
        self.stream = stream
        self.families = families
        self.encoded = encoded
        self.offsets = offsets
        self._packed: dict[tuple[int, int, bool], PackedSeries | None] = {}

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def encoded_labels(self, index: int) -> bytes:
        """The encoded label set of series ``index``."""
        return self.encoded[self.offsets[index] : self.offsets[index + 1]]

    def label_sets(self, first: int, stop: int) -> list[bytes]:
        """The encoded label sets of the series from ``first`` up to, not including, ``stop``."""
        edges = self.offsets[first : stop + 1].tolist()
        return [self.encoded[start:end] for start, end in pairwise(edges)]

    def packed(self, first: int, count: int, *, own_time: bool, may_pack: bool) -> tuple[PackedSeries | None, int]:
        """These series packed, and how many of them that was work for.

        They are packed when asked for a second time, with ``may_pack`` false at a later time. None before, and where a
        label set is too large.
        """
        key = first, count, own_time
        found = self._packed.get(key)
        if found is not None:
            return found, 0
        if key not in self._packed:
            if len(self._packed) > 2 * len(self) // count + 2:
                self._packed.clear()  # portions were divided differently before
            self._packed[key] = None
            return None, 0
        if not may_pack or np.diff(self.offsets[first : first + count + 1]).max() > MAX_LABELS:
            return None, 0
        found = self._packed[key] = PackedSeries(self.label_sets(first, first + count), own_time=own_time)
        return found, count


class Portion(msgspec.Struct, frozen=True, eq=False):
    """One sample for each of some neighbouring series of a template: those from ``first`` on.

    ``timestamps`` are milliseconds since the epoch: one number for all samples, or one per sample.
    """

    kind: ClassVar[Kind] = Kind.SAMPLES

    template: SeriesTemplate
    first: int
    values: Values
    timestamps: int | Timestamps

    def __len__(self) -> int:
        return len(self.values)

    @property
    def stream(self) -> int:
        """The sequence that the samples belong to."""
        return self.template.stream

    @property
    def memory(self) -> int:
        """Bytes that the portion keeps from being freed, its template not counted."""
        stamps = 0 if isinstance(self.timestamps, int) else self.timestamps.nbytes
        return _PORTION_OVERHEAD + self.values.nbytes + stamps

    @property
    def newest(self) -> int:
        """The highest time stamp."""
        return self.timestamps if isinstance(self.timestamps, int) else int(self.timestamps.max())

    def part(self, start: int, stop: int) -> Portion:
        """The samples from ``start`` up to, not including, ``stop``."""
        stamps = self.timestamps if isinstance(self.timestamps, int) else self.timestamps[start:stop]
        return Portion(self.template, self.first + start, self.values[start:stop], stamps)

    @property
    def may_part(self) -> bool:
        """Whether parts of the portion may be sent at once.

        With a time stamp for each sample a series may be there more than once, and its samples keep their order.
        """
        return isinstance(self.timestamps, int)

    def fitting(self, room: int) -> int:
        """How many samples of the portion may be sent apart from the rest, at most ``room``; 0: none."""
        if not self.may_part:
            return 0
        return max(0, room - (self.first + room) % PACKED_AS_ONE)

    def since(self, oldest: int) -> tuple[Portion, ...]:
        """The samples with a time stamp of ``oldest`` or later."""
        if isinstance(self.timestamps, int):
            return (self,) if self.timestamps >= oldest else ()
        recent = np.zeros(len(self) + 2, dtype=np.int8)
        recent[1:-1] = self.timestamps >= oldest
        edges = np.flatnonzero(np.diff(recent)).tolist()
        if edges == [0, len(self)]:
            return (self,)
        return tuple(self.part(start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True))

    def messages(self) -> Iterator[bytes]:
        """The ``timeseries`` fields of a write request, in order."""
        count, stamps = len(self), self.timestamps
        raw_values = self.values.astype("<f8", copy=False).tobytes()
        times = [stamps] * count if isinstance(stamps, int) else stamps.tolist()
        varint = _Varints()
        label_sets = self.template.label_sets(self.first, self.first + count)
        for index, (labels, time) in enumerate(zip(label_sets, times, strict=True)):
            stamp = varint[time]
            size = len(stamp) + 10
            value = raw_values[8 * index : 8 * index + 8]
            yield b"\x0a%b%b\x12%c\x09%b\x10%b" % (varint[len(labels) + size + 2], labels, size, value, stamp)


class _Varints(dict[int, bytes]):
    """Numbers as varints, each encoded once."""

    def __missing__(self, number: int) -> bytes:
        self[number] = encoded = encode_varint(number & (1 << 64) - 1)
        return encoded


class Items(msgspec.Struct, frozen=True, eq=False):
    """Histograms or exemplars, as ``kind`` says: ``items[i]`` is of series ``series[i]`` of the template.

    ``timestamps`` are milliseconds since the epoch.
    """

    kind: Kind
    template: SeriesTemplate
    series: tuple[int, ...]
    items: tuple[Histogram | Exemplar, ...]
    timestamps: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def stream(self) -> int:
        """The sequence that the items belong to."""
        return self.template.stream

    @property
    def memory(self) -> int:
        """Bytes that the portion keeps from being freed, about, its template not counted."""
        buckets = sum(
            len(item.positive_buckets) + len(item.negative_buckets) + len(item.custom_values)
            for item in self.items
            if isinstance(item, Histogram)
        )
        return _PORTION_OVERHEAD + _ITEM_OVERHEAD * len(self) + _BUCKET_OVERHEAD * buckets

    @property
    def newest(self) -> int:
        """The highest time stamp."""
        return max(self.timestamps)

    def part(self, start: int, stop: int) -> Items:
        """The items from ``start`` up to, not including, ``stop``."""
        return self.only(range(start, min(stop, len(self))))

    may_part: ClassVar[bool] = False
    """A series may be there more than once, and its items keep their order."""

    @staticmethod
    def fitting(_room: int) -> int:
        """0: a series may be there more than once, and its items must not part."""
        return 0

    def since(self, oldest: int) -> tuple[Items, ...]:
        """The items with a time stamp of ``oldest`` or later."""
        young = [index for index, time in enumerate(self.timestamps) if time >= oldest]
        if len(young) == len(self):
            return (self,)
        return (self.only(young),) if young else ()

    def messages(self) -> Iterator[bytes]:
        """The ``timeseries`` fields of a write request, in order."""
        for series, item, time in zip(self.series, self.items, self.timestamps, strict=True):
            labels = self.template.encoded_labels(series)
            if isinstance(item, Histogram):
                yield encode_histogram_series(labels, item, time)
            else:
                yield encode_exemplar_series(labels, item)

    def only(self, indices: Sequence[int]) -> Items:
        """The items with these indices."""
        return Items(
            self.kind,
            self.template,
            tuple(self.series[index] for index in indices),
            tuple(self.items[index] for index in indices),
            tuple(self.timestamps[index] for index in indices),
        )


AnyPortion: TypeAlias = Portion | Items
