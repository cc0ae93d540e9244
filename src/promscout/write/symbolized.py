"""Series as messages of remote write 2.0 in which everything that changes has a fixed size and a known place.

References to symbols are written as varints of two bytes, whatever their size, and time stamps as varints of six. So a
request is a copy of the messages with references, values and time stamps put in by numpy, and no Python object exists
per sample.

Source: prometheus v3.x prompb/io/prometheus/write/v2/types.proto TimeSeries, Sample, Metadata.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from promscout.model.series import Timestamps, Values, encode_varint
from promscout.write.families import METRIC_TYPES, Metric, creations, metric_of
from promscout.write.messages import FIRST_TIMESTAMP, LAST_TIMESTAMP, encode_stamps
from promscout.write.portion import SeriesTemplate
from promscout.write.symbols import (
    LabelSymbols,
    Numbering,
    encode_symbol,
    label_places,
    references_field,
    request_symbols,
)

MOST_SYMBOLS: Final = 1 << 14
"""Symbols of a request to which references of two bytes are possible."""

_NAME: Final = encode_symbol("__name__")
_APART: Final = (encode_symbol("le"), encode_symbol("quantile"))
# Sizes and places of messages and of references are divisible by 4, for numpy's sake: the second has one byte more than
# it needs.
_SAMPLE: Final = b"\x12\x10\x09" + bytes(8) + b"\x10" + bytes(6)
_SAMPLE_WITH_START: Final = b"\x12\x97\0\x09" + bytes(8) + b"\x10" + bytes(6) + b"\x18" + bytes(6)
_SAMPLE_HEAD: Final = _SAMPLE.index(0)  # bytes before the value
_EMPTY: Final = b"\x08\0\x18\0\0\x20\0\0"  # type, help and unit
_METADATA: Final = b"\x2a\x08" + _EMPTY
_TO_STAMP: Final = 9  # bytes from a value on
_TO_START: Final = 16

References: TypeAlias = NDArray[np.int64]
"""The references in one request to the symbols of some series."""


class SymbolizedSeries:
    """The messages of ``count`` neighbouring series of a template, from ``first`` on, with one sample each.

    Series are counted from ``first``. All references to symbols come from ``references``. A series takes some 100
    bytes.

    Samples of a counter, a classic histogram or a summary have a start time stamp where a ``_created`` series of the
    same family and labels is sent with them.
    """

    __slots__ = (
        "_blank",
        "_created",
        "_edges",
        "_label_at",
        "_label_edges",
        "_labels",
        "_metadata",
        "_metadata_of",
        "_names",
        "_symbols",
        "_value_at",
        "_values",
    )

    def __init__(self, template: SeriesTemplate, first: int, count: int, known: LabelSymbols) -> None:
        encoded = template.encoded
        starts, ends, counts = label_places(encoded, template.offsets[first : first + count + 1])
        numbers, symbols = Numbering(), request_symbols()
        labels = [numbers[encoded[start:end]] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        pairs = [known[label] for label in numbers]
        self._labels: NDArray[np.uint32] = np.array(labels, np.uint32)
        self._label_edges: NDArray[np.int64] = np.concatenate(([0], np.cumsum(counts)))
        self._names: NDArray[np.intp] = np.array([symbols[name] for name, _ in pairs], np.intp)
        self._values: NDArray[np.intp] = np.array([symbols[value] for _, value in pairs], np.intp)
        families = template.families.by_family()
        metrics = {
            number: metric_of(_text(value), families) for number, (name, value) in enumerate(pairs) if name == _NAME
        }
        self._note_metadata(metrics, symbols, known, counts)
        self._symbols = list(symbols)
        apart = frozenset(number for number, (name, _) in enumerate(pairs) if name in _APART)
        self._created = creations(
            (labels[start:end] for start, end in pairwise(self._label_edges.tolist())), metrics, apart
        )
        self._lay_out(counts)

    def _note_metadata(
        self, metrics: dict[int, Metric], symbols: Numbering, known: LabelSymbols, counts: NDArray[np.int64]
    ) -> None:
        numbers = {Metric().metadata: 0}
        of_label: NDArray[np.uint32] = np.zeros(len(self._names), np.uint32)
        for label, metric in metrics.items():
            of_label[label] = numbers.setdefault(metric.metadata, len(numbers))
        self._metadata: NDArray[np.intp] = np.array(
            [
                (METRIC_TYPES.get(one.type, 0), symbols[known.symbol(one.help)], symbols[known.symbol(one.unit)])
                for one in numbers
            ],
            np.intp,
        )
        self._metadata_of: NDArray[np.uint32] = np.zeros(len(counts), np.uint32)
        of_labels = of_label[self._labels]
        told = of_labels > 0
        self._metadata_of[np.repeat(np.arange(len(counts)), counts)[told]] = of_labels[told]

    def _lay_out(self, counts: NDArray[np.int64]) -> None:
        """Make the messages without what changes, and note the places of that."""
        started = np.zeros(len(counts), np.int64) if self._created is None else (self._created >= 0).astype(np.int64)
        forms = 2 * counts + started
        blanks: dict[int, bytes] = {}
        sizes, heads = np.zeros((2, int(forms.max(initial=0)) + 1), np.int64)
        for form in np.unique(forms).tolist():
            blanks[form], heads[form] = _blank_message(form // 2, with_start=bool(form % 2))
            sizes[form] = len(blanks[form])
        self._blank = b"".join([blanks[form] for form in forms.tolist()])
        edges = np.concatenate(([0], np.cumsum(sizes[forms])))
        label_at = edges[:-1] + heads[forms]
        rank = np.arange(len(self._labels)) - np.repeat(self._label_edges[:-1], counts)
        self._edges: NDArray[np.int32] = edges.astype(np.int32)
        self._label_at: NDArray[np.int32] = (np.repeat(label_at // 4, counts) + rank).astype(np.int32)
        self._value_at: NDArray[np.int32] = (label_at + 4 * counts + _SAMPLE_HEAD + started).astype(np.int32)

    def __len__(self) -> int:
        return len(self._metadata_of)

    def references(self, symbols: Numbering, first: int, count: int) -> References:
        """References to the symbols of ``count`` series from ``first`` on, which ``symbols`` has afterwards."""
        if count == len(self):
            return np.fromiter(map(symbols.__getitem__, self._symbols), np.int64, len(self._symbols))
        labels = np.zeros(len(self._names), np.bool_)
        labels[self._labels[self._label_edges[first] : self._label_edges[first + count]]] = True
        kinds = self._metadata[np.unique(self._metadata_of[first : first + count])]
        used = np.zeros(len(self._symbols), np.bool_)
        for some in (self._names[labels], self._values[labels], kinds[:, 1], kinds[:, 2]):
            used[some] = True
        references = np.zeros(len(self._symbols), np.int64)
        (indices,) = np.nonzero(used)
        references[indices] = [symbols[self._symbols[index]] for index in indices.tolist()]
        return references

    def messages(
        self, first: int, values: Values, timestamps: int | Timestamps, references: References
    ) -> tuple[bytearray, NDArray[np.int32]]:
        """The ``timeseries`` fields of a request for ``values``, from series ``first`` on, and where each ends.

        Every reference is less than ``MOST_SYMBOLS``; time stamps are within ``FIRST_TIMESTAMP`` and
        ``LAST_TIMESTAMP``.
        """
        count = len(values)
        edges = self._edges[first : first + count + 1]
        begin = int(edges[0])
        out = bytearray(memoryview(self._blank)[begin : int(edges[-1])])
        ends = edges[1:] - begin
        two_bytes: References = references & 0x7F | 0x80 | references >> 7 << 8
        labels = slice(int(self._label_edges[first]), int(self._label_edges[first + count]))
        pairs = self._pairs(two_bytes).take(self._labels[labels])
        np.frombuffer(out, "<u4")[self._label_at[labels] - begin // 4] = pairs
        told = self._told(two_bytes).take(self._metadata_of[first : first + count])
        _view(out, "<i8", 0)[ends - len(_EMPTY)] = told
        value_at = self._value_at[first : first + count] - begin
        # As integers, because a float's copy may lose the bits of a NaN.
        _view(out, "<u8", 0)[value_at] = values.view(np.uint64)
        stamps = np.void(encode_varint(timestamps)) if isinstance(timestamps, int) else encode_stamps(timestamps)
        _view(out, "V6", _TO_STAMP)[value_at] = stamps
        started, starts = self._starts(first, values)
        if len(started):
            _view(out, "V6", _TO_START)[value_at[started]] = encode_stamps(starts)
        return out, ends

    def plain_messages(
        self, first: int, values: Values, timestamps: int | Timestamps, references: References
    ) -> Iterator[bytes]:
        """The same for any number of symbols and any time stamps, one by one."""
        raw_values, count = values.astype("<f8", copy=False).tobytes(), len(values)
        times = [timestamps] * count if isinstance(timestamps, int) else timestamps.tolist()
        started, starts = self._starts(first, values)
        start_of = dict(zip(started.tolist(), starts.tolist(), strict=True))
        for index, time in enumerate(times):
            sample = b"\x09%b\x10%b" % (raw_values[8 * index : 8 * index + 8], signed_varint(time))
            if start := start_of.get(index, 0):
                sample += b"\x18" + encode_varint(start)
            yield self.message(first + index, b"\x12%c%b" % (len(sample), sample), references)

    def message(self, index: int, content: bytes, references: References) -> bytes:
        """A ``timeseries`` field: the labels of series ``index``, ``content``, and its metadata."""
        labels = self._labels[self._label_edges[index] : self._label_edges[index + 1]]
        pairs = references[np.column_stack((self._names[labels], self._values[labels]))]
        kind, text, unit = self._metadata[self._metadata_of[index]].tolist()
        fields = zip((0x08, 0x18, 0x20), (kind, int(references[text]), int(references[unit])), strict=True)
        metadata = b"".join([b"%c%b" % (tag, encode_varint(number)) for tag, number in fields if number])
        body = references_field(pairs.ravel().tolist()) + content
        if metadata:
            body += b"\x2a%c%b" % (len(metadata), metadata)
        return b"\x2a" + encode_varint(len(body)) + body

    def _pairs(self, two_bytes: References) -> NDArray[np.uint32]:
        """The references of each label."""
        pairs: NDArray[np.uint32] = (two_bytes[self._names] | two_bytes[self._values] << 16).astype("<u4")
        return pairs

    def _told(self, two_bytes: References) -> NDArray[np.int64]:
        """Each ``Metadata`` message."""
        kinds, texts, units = self._metadata.T
        told: NDArray[np.int64] = kinds << 8 | two_bytes[texts] << 24 | two_bytes[units] << 48
        return told | int.from_bytes(_EMPTY, "little")

    def _starts(self, first: int, values: Values) -> tuple[NDArray[np.intp], Timestamps]:
        """Which of the samples have room for a start time stamp, and those in milliseconds; 0 where none is known."""
        if self._created is None:
            return np.empty(0, np.intp), np.empty(0, np.int64)
        created = self._created[first : first + len(values)]
        (started,) = np.nonzero(created >= 0)
        source = created[started] - first
        there = (source >= 0) & (source < len(values))
        seconds = np.where(there, values[np.where(there, source, 0)], np.nan)
        fit = (seconds >= FIRST_TIMESTAMP / 1000) & (seconds <= LAST_TIMESTAMP / 1000)
        return started, np.rint(np.where(fit, seconds, 0.0) * 1000).astype(np.int64)


def signed_varint(number: int) -> bytes:
    """``number`` as an int64 varint."""
    return encode_varint(number & (1 << 64) - 1)


def _blank_message(labels: int, *, with_start: bool) -> tuple[bytes, int]:
    """A message with so many labels, and where their references begin.

    Both that and the size of the message are divisible by 4.
    """
    end = (_SAMPLE_WITH_START if with_start else _SAMPLE) + _METADATA
    # Sizes of one byte each, or of three.
    width = 1 if 2 + 4 * labels + len(end) < 0x80 else 3
    head = b"\x0a" + _padded_varint(4 * labels, width)
    head = b"\x2a" + _padded_varint(len(head) + 4 * labels + len(end), width) + head
    return head + bytes(4 * labels) + end, len(head)


def _padded_varint(number: int, size: int) -> bytes:
    digits = [number >> 7 * index & 0x7F | 0x80 for index in range(size)]
    return bytes((*digits[:-1], digits[-1] & 0x7F))


def _view(out: bytearray, kind: str, at: int) -> NDArray[Any]:
    """Entry i is the field of that kind that starts ``at`` bytes after byte i: overlapping, so a place is an index."""
    return np.ndarray((len(out) - at - np.dtype(kind).itemsize + 1,), kind, out, at, (1,))


def _text(symbol: bytes) -> str:
    size_at = 1
    while symbol[size_at] >= 0x80:
        size_at += 1
    return symbol[size_at + 1 :].decode()
