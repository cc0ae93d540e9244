"""Series and samples as columns: what a scrape hands to the write side.

A scrape's samples are one ``SampleBatch``: an immutable ``SeriesTable`` (which series) and a numpy array (their
values). A target that exposes the same series again hands over the *same* table object, so whatever the write side
derives from a table (an encoded template, relabelled labels, a series id) is computed once and kept by identity.
No Python object exists per series or sample in steady state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from promscout.model.histogram import Exemplar, Histogram
from promscout.model.labels import LabelSet
from promscout.model.metadata import NO_FAMILIES, Families

STALE_NAN_BITS: Final = 0x7FF0000000000002
"""Bit pattern of a staleness marker. Source: prometheus v3.x model/value/value.go StaleNaN.

Markers stay in numpy arrays: Python arithmetic may change a NaN's bits."""

Values: TypeAlias = NDArray[np.float64]
Timestamps: TypeAlias = NDArray[np.int64]


def encode_varint(number: int) -> bytes:
    """``number`` as a protobuf base-128 varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _decode_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7


def encode_label_set(labels: Iterable[tuple[str, str]]) -> bytes:
    """``labels`` as the ``labels`` fields of a ``prometheus.TimeSeries`` message, in the order given."""
    return b"".join([_encode_label(name.encode(), value.encode()) for name, value in labels])


def _encode_label(name: bytes, value: bytes) -> bytes:
    if value and len(name) + len(value) < 0x7C:
        # Nearly every label: all three lengths fit into a byte each.
        return b"\x0a%c\x0a%c%b\x12%c%b" % (len(name) + len(value) + 4, len(name), name, len(value), value)
    body = b"\x0a" + encode_varint(len(name)) + name
    if value:
        body += b"\x12" + encode_varint(len(value)) + value
    return b"\x0a" + encode_varint(len(body)) + body


def decode_label_set(data: bytes) -> LabelSet:
    """The inverse of :func:`encode_label_set`."""
    pairs, at = [], 0
    while at < len(data):
        size, at = _decode_varint(data, at + 1)
        end = at + size
        size, at = _decode_varint(data, at + 1)
        name = data[at : at + size].decode()
        at += size
        value = ""
        if at < end:
            size, at = _decode_varint(data, at + 1)
            value = data[at : at + size].decode()
        pairs.append((name, value))
        at = end
    return tuple(pairs)


def end_of_label(encoded: bytes | bytearray, at: int) -> int:
    """Where the label ends that starts at ``at`` of an encoded label set."""
    size = shift = 0
    while True:
        at += 1
        byte = encoded[at]
        size |= (byte & 0x7F) << shift
        if byte < 0x80:
            return at + 1 + size
        shift += 7


class SeriesTable:
    """An immutable, ordered list of series, compared by identity.

    ``stream`` names the sequence of batches that the table belongs to (one per target): samples of one stream are
    delivered in the order in which they were appended. It is less than 2**64, and the same in every process.
    ``encoded`` holds the label sets of all series, each as in :func:`encode_label_set`, back to back; series ``i``
    is ``encoded[offsets[i]:offsets[i + 1]]``. No series is a Python object. ``families`` are what is
    known about their metrics.
    """

    __slots__ = ("__weakref__", "encoded", "families", "offsets", "stream")

    def __init__(self, stream: int, encoded_label_sets: Sequence[bytes], families: Families = NO_FAMILIES) -> None:
        self.stream = stream
        self.families = families
        self.encoded = b"".join(encoded_label_sets)
        self.offsets: NDArray[np.int64] = np.zeros(len(encoded_label_sets) + 1, dtype=np.int64)
        np.cumsum([len(one) for one in encoded_label_sets], out=self.offsets[1:])
        self.offsets.flags.writeable = False

    @classmethod
    def from_label_sets(cls, stream: int, label_sets: Iterable[LabelSet]) -> SeriesTable:
        """A table of the given label sets, in their order."""
        return cls(stream, [encode_label_set(labels) for labels in label_sets])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def encoded_labels(self, index: int) -> bytes:
        """The encoded label set of series ``index``."""
        return self.encoded[self.offsets[index] : self.offsets[index + 1]]

    def encoded_label_sets(self) -> list[bytes]:
        """The encoded label sets of all series, sliced afresh at each call."""
        offsets, encoded = self.offsets.tolist(), self.encoded
        return [encoded[start:stop] for start, stop in pairwise(offsets)]

    def labels(self, index: int) -> LabelSet:
        """The label set of series ``index``, decoded afresh at each call."""
        return decode_label_set(self.encoded_labels(index))

    def __iter__(self) -> Iterator[LabelSet]:
        return (self.labels(index) for index in range(len(self)))


@dataclass(frozen=True, slots=True, eq=False)
class SampleBatch:
    """One sample for each series of ``series``.

    ``values[i]`` belongs to series ``i``; a staleness marker is a value with the bits ``STALE_NAN_BITS``.
    ``timestamps`` are milliseconds since the epoch: one number for all samples, or one per series. Nobody changes the
    arrays after the batch is made.
    """

    series: SeriesTable
    values: Values
    timestamps: int | Timestamps

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True, slots=True, eq=False)
class HistogramBatch:
    """One native histogram for each series of ``series``; ``timestamps`` as in :class:`SampleBatch`.

    A series whose histograms end gets a staleness marker as a sample, like any other.
    """

    series: SeriesTable
    histograms: tuple[Histogram, ...]
    timestamps: int | Timestamps

    def __len__(self) -> int:
        return len(self.histograms)


@dataclass(frozen=True, slots=True, eq=False)
class ExemplarBatch:
    """One exemplar for each series of ``series``, in which a series may be several times; each has a time stamp."""

    series: SeriesTable
    exemplars: tuple[Exemplar, ...]

    def __len__(self) -> int:
        return len(self.exemplars)


def stale_markers(series: SeriesTable, timestamp_ms: int) -> SampleBatch:
    """A batch that marks every series of ``series`` stale at ``timestamp_ms``."""
    values = np.full(len(series), STALE_NAN_BITS, dtype=np.uint64).view(np.float64)
    return SampleBatch(series, values, timestamp_ms)
