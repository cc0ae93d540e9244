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
from promscout.write.messages import (
    FIRST_TIMESTAMP,
    LAST_TIMESTAMP,
    SeriesMessages,
    encode_stamps,
    put_stamps,
    put_values,
)
from promscout.write.packed import PackedSeries
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

    __slots__ = ("__weakref__", "_asked", "_packed", "encoded", "families", "offsets", "stream")

    def __init__(
        self, stream: int, encoded: bytes, offsets: NDArray[np.int64], families: Families = NO_FAMILIES
    ) -> None:
        self.stream = stream
        self.families = families
        self.encoded = encoded
        self.offsets = offsets
        self._packed: dict[tuple[int, int, bool], PackedSeries | None] = {}
        self._asked: set[tuple[int, int, bool]] = set()

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def encoded_labels(self, index: int) -> bytes:
        """The encoded label set of series ``index``."""
        return self.encoded[self.offsets[index] : self.offsets[index + 1]]

    def label_sets(self, first: int, stop: int) -> list[bytes]:
        """The encoded label sets of the series from ``first`` up to, not including, ``stop``."""
        edges = self.offsets[first : stop + 1].tolist()
        return [self.encoded[start:end] for start, end in pairwise(edges)]

    def edges(self, first: int, stop: int) -> NDArray[np.int64]:
        """Where the label sets of the series from ``first`` up to, not including, ``stop`` start, and the last ends."""
        return self.offsets[first : stop + 1]

    def packed(self, first: int, count: int, *, own_time: bool) -> PackedSeries | None:
        """These series packed, when asked for a second time; None before, and for what cannot be packed."""
        key = first, count, own_time
        if key in self._packed:
            return self._packed[key]
        if key in self._asked:
            self._asked.remove(key)
            packed = self._packed[key] = PackedSeries.pack(
                self.encoded, self.edges(first, first + count), own_time=own_time
            )
            return packed
        if len(self._packed) + len(self._asked) > 2 * len(self) // count + 2:
            self._packed.clear()  # portions were divided differently before
            self._asked.clear()
        self._asked.add(key)
        return None


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

    @property
    def has_usual_times(self) -> bool:
        """Whether the time stamps are of our age, so that their varints have the same size; not without any."""
        stamps = self.timestamps
        if isinstance(stamps, int):
            return FIRST_TIMESTAMP <= stamps <= LAST_TIMESTAMP
        return bool(len(stamps) and stamps.min() >= FIRST_TIMESTAMP and stamps.max() <= LAST_TIMESTAMP)

    def message(self) -> bytearray:
        """The ``timeseries`` fields of a write request. Only with usual times."""
        edges, stamps = self.template.edges(self.first, self.first + len(self)), self.timestamps
        if isinstance(stamps, int):
            plain = SeriesMessages(self.template.encoded, edges, encode_varint(stamps))
        else:
            plain = SeriesMessages(self.template.encoded, edges)
            put_stamps(plain.message, 0, plain.places, encode_stamps(stamps))
        put_values(plain.message, 0, plain.places, self.values)
        return plain.message

    def messages(self) -> Iterator[bytes]:
        """The ``timeseries`` fields of a write request, in order, one by one, with any times."""
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
