"""Portions as remote write 2.0 requests: ``io.prometheus.write.v2.Request`` messages, compressed as one snappy block.

Source: prometheus v3.x storage/remote/queue_manager.go buildV2WriteRequest, populateV2TimeSeries.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final
from weakref import WeakKeyDictionary

import cramjam
import msgspec

from promscout.model.histogram import Exemplar, Histogram
from promscout.model.series import encode_varint
from promscout.write.histograms import encode_exemplar, encode_histogram
from promscout.write.messages import FIRST_TIMESTAMP, LAST_TIMESTAMP
from promscout.write.portion import AnyPortion, Items, Portion, SeriesTemplate
from promscout.write.status import Kind
from promscout.write.symbolized import MOST_SYMBOLS, References, SymbolizedSeries
from promscout.write.symbols import LabelSymbols, Numbering, encode_references, request_symbols

_AS_ONE: Final = 2_000
"""Series whose messages are made at once: those of a template whose index divided by it has the same quotient."""


class RequestEncoderV2:
    """Encodes and compresses requests.

    An exemplar goes with the sample or histogram of its series that comes last before it in the request, or else with
    the first after it. One without any is left out: the message has no place for it. Series have the metadata of the
    family of their name, and those that begin have a start time stamp where a ``_created`` series tells it.
    """

    __slots__ = ("_known", "_templates")

    def __init__(self) -> None:
        self._known = LabelSymbols()
        self._templates: WeakKeyDictionary[SeriesTemplate, _Template] = WeakKeyDictionary()

    def encode(self, portions: Sequence[AnyPortion]) -> bytes:
        """What is in ``portions``, in this order, as a compressed request body."""
        return bytes(cramjam.snappy.compress_raw(self.encode_message(portions)))

    def encode_message(self, portions: Sequence[AnyPortion]) -> bytes:
        """What is in ``portions``, in this order, as a ``Request`` message, not compressed."""
        symbols = request_symbols()
        pieces: list[_Piece] = []
        exemplars: list[tuple[int, Items]] = []  # with the number of pieces before
        for portion in portions:
            if portion.kind is not Kind.EXEMPLARS:
                pieces += self._pieces(portion, symbols)
            elif isinstance(portion, Items):
                exemplars.append((len(pieces), portion))
        attached = _attached(pieces, exemplars, symbols)
        few_symbols = len(symbols) <= MOST_SYMBOLS
        parts = [part for piece in pieces for part in piece.messages(attached.get(piece, {}), few_symbols=few_symbols)]
        return b"".join((*symbols, *parts))

    def _pieces(self, portion: AnyPortion, symbols: Numbering) -> Iterator[_Piece]:
        template = self._templates.get(portion.template)
        if template is None:
            template = self._templates[portion.template] = _Template()
        for number, part in _by_number(portion):
            series = template.series.get(number)
            if series is None:
                begin = number * _AS_ONE
                count = min(_AS_ONE, len(portion.template) - begin)
                series = template.series[number] = SymbolizedSeries(portion.template, begin, count, self._known)
            yield _Piece.of(part, number * _AS_ONE, template, series, symbols)


class _Template:
    """What was made of a template's series."""

    __slots__ = ("_places", "series")

    def __init__(self) -> None:
        self.series: dict[int, SymbolizedSeries] = {}
        """Index of series divided by ``_AS_ONE`` → their messages."""
        self._places: dict[bytes, int] = {}

    def place(self, template: SeriesTemplate, labels: bytes) -> int:
        """The first series of ``template`` with this encoded label set; -1 for none."""
        found = self._places.get(labels)
        if found is None:
            found = self._places[labels] = _place(template, labels)
        return found


class _Piece(msgspec.Struct, frozen=True, eq=False):
    """Samples or histograms of ``series``, which begin with series ``begin`` of the template."""

    portion: AnyPortion
    begin: int
    template: _Template
    series: SymbolizedSeries
    references: References

    @classmethod
    def of(
        cls, portion: AnyPortion, begin: int, template: _Template, series: SymbolizedSeries, symbols: Numbering
    ) -> _Piece:
        """A piece whose symbols are among ``symbols`` afterwards."""
        if isinstance(portion, Portion):
            first, stop = portion.first, portion.first + len(portion)
        else:
            first, stop = min(portion.series), max(portion.series) + 1
        return cls(portion, begin, template, series, series.references(symbols, first - begin, stop - first))

    def place(self, labels: bytes) -> int:
        """Which sample or histogram has this encoded label set, the last one if several have; -1 for none."""
        index = self.template.place(self.portion.template, labels)
        if isinstance(self.portion, Items):
            return max((place for place, series in enumerate(self.portion.series) if series == index), default=-1)
        place = index - self.portion.first
        return place if 0 <= place < len(self.portion) else -1

    def messages(self, exemplars: Mapping[int, Sequence[bytes]], *, few_symbols: bool) -> Iterator[bytes | bytearray]:
        """The ``timeseries`` fields, one or many at once; ``exemplars`` are fields to add to those at these places."""
        portion, series = self.portion, self.series
        if isinstance(portion, Items):
            single = self._histograms(portion)
        elif few_symbols and _is_usual(portion):
            out, ends = series.messages(portion.first - self.begin, portion.values, portion.timestamps, self.references)
            done = 0
            for place in sorted(exemplars):
                start, end = int(ends[place - 1]) if place else 0, int(ends[place])
                yield out[done:start]
                yield _extended(out[start:end], exemplars[place])
                done = end
            yield out[done:] if done else out
            return
        else:
            single = series.plain_messages(
                portion.first - self.begin, portion.values, portion.timestamps, self.references
            )
        for place, message in enumerate(single):
            yield _extended(message, exemplars[place]) if place in exemplars else message

    def _histograms(self, portion: Items) -> Iterator[bytes]:
        for index, item, time in zip(portion.series, portion.items, portion.timestamps, strict=True):
            if isinstance(item, Histogram):
                content = encode_histogram(item, time)
                field = b"\x1a" + encode_varint(len(content)) + content
                yield self.series.message(index - self.begin, field, self.references)


def _attached(
    pieces: Sequence[_Piece], exemplars: Sequence[tuple[int, Items]], symbols: Numbering
) -> dict[_Piece, dict[int, list[bytes]]]:
    """Piece → place in it → the ``exemplars`` fields that are to go there."""
    attached: dict[_Piece, dict[int, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    for before, portion in exemplars:
        own = [(number, piece) for number, piece in enumerate(pieces) if piece.portion.stream == portion.stream]
        nearest = [piece for number, piece in reversed(own) if number < before]
        nearest += [piece for number, piece in own if number >= before]
        for index, item in zip(portion.series, portion.items, strict=True):
            labels = portion.template.encoded_labels(index)
            found = next(((piece, place) for piece in nearest if (place := piece.place(labels)) >= 0), None)
            if found is not None and isinstance(item, Exemplar):
                message = encode_exemplar(encode_references(item.labels, symbols), item)
                attached[found[0]][found[1]].append(b"\x22" + encode_varint(len(message)) + message)
    return attached


def _by_number(portion: AnyPortion) -> Iterator[tuple[int, AnyPortion]]:
    """``portion`` in parts whose messages are made at once, each with the number of these series."""
    if isinstance(portion, Items):
        for number, places in groupby(range(len(portion)), lambda place: portion.series[place] // _AS_ONE):
            yield number, portion.only(list(places))
        return
    start, count = 0, len(portion)
    while start < count:
        number = (portion.first + start) // _AS_ONE
        stop = min(count, (number + 1) * _AS_ONE - portion.first)
        yield number, portion if stop - start == count else portion.part(start, stop)
        start = stop


def _place(template: SeriesTemplate, labels: bytes) -> int:
    at = template.encoded.find(labels)
    while at >= 0:
        index = int(template.offsets.searchsorted(at))
        if template.offsets[index] == at and template.encoded_labels(index) == labels:
            return index
        at = template.encoded.find(labels, at + 1)
    return -1


def _is_usual(portion: Portion) -> bool:
    """Whether all time stamps are such that they take six bytes."""
    stamps = portion.timestamps
    if isinstance(stamps, int):
        return FIRST_TIMESTAMP <= stamps <= LAST_TIMESTAMP
    return bool(stamps.min() >= FIRST_TIMESTAMP and stamps.max() <= LAST_TIMESTAMP)


def _extended(message: bytes | bytearray, fields: Sequence[bytes]) -> bytes:
    """A field that is a message, with more fields at the end of it."""
    start = 1
    while message[start] >= 0x80:
        start += 1
    content = b"".join((message[start + 1 :], *fields))
    return bytes(message[:1]) + encode_varint(len(content)) + content
