"""The body of a request: one snappy block with one protobuf message, as series in a form that 1.0 and 2.0 share."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import cramjam
from google.protobuf.message import DecodeError

from harness.prompb import MESSAGES

V1 = "prometheus.WriteRequest"
V2 = "io.prometheus.write.v2.Request"

Pairs: TypeAlias = tuple[tuple[str, str], ...]

_FRAMED = b"\xff\x06\x00\x00sNaPpY"


class UnreadableError(Exception):
    """The body holds no message at all."""


@dataclass(frozen=True, slots=True)
class Exemplar:
    """``timestamp`` is in milliseconds, 0 when there is none."""

    labels: Pairs
    bits: int
    timestamp: int


@dataclass(frozen=True, slots=True)
class Series:
    """One ``TimeSeries`` message. Samples are (milliseconds, the value's bits, start in milliseconds or 0)."""

    labels: Pairs
    samples: Sequence[tuple[int, int, int]] = ()
    histograms: Sequence[Any] = ()
    exemplars: Sequence[Exemplar] = ()


@dataclass(slots=True)
class Content:
    """What a request holds, and which rules about its form it breaks. ``metadata`` counts entries by name of a type."""

    series: list[Series] = field(default_factory=list)
    metadata: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def bits_of(value: float) -> int:
    """The 64 bits of a value, which tell one NaN from another."""
    bits: int = struct.unpack("<Q", struct.pack("<d", value))[0]
    return bits


class Reader:
    """Reads bodies. What is known about label sets is kept, as the same ones come again and again."""

    def __init__(self) -> None:
        self._pairs: dict[bytes, Pairs] = {}

    def read(self, body: bytes, name: str) -> Content:
        """The content of a body whose message has that full name.

        Raises:
            UnreadableError: it is no snappy block, or has no such message.
        """
        if body.startswith(_FRAMED):
            raise UnreadableError("snappy is framed, not a block")
        try:
            data = bytes(cramjam.snappy.decompress_raw(body))
        except cramjam.DecompressionError as error:
            raise UnreadableError(f"no snappy block: {error}") from None
        try:
            message = MESSAGES[name].FromString(data)
        except DecodeError:
            raise UnreadableError(f"no {name}") from None
        content = self._read_v1(message) if name == V1 else _SymbolReader(message).read()
        size = message.ByteSize()
        message.DiscardUnknownFields()
        if message.ByteSize() != size:
            content.problems.append("fields that the schema does not have")
        if not content.series and not content.metadata:
            content.problems.append("request without series and without metadata")
        return content

    def _read_v1(self, message: Any) -> Content:
        content = Content()
        for one in message.metadata:
            if not one.metric_family_name:
                content.problems.append("metadata without the name of a family")
            content.metadata[_type_name(one, content.problems)] += 1
        for one in message.timeseries:
            samples = [(sample.timestamp, bits_of(sample.value), 0) for sample in one.samples]
            exemplars = [Exemplar(_pairs(e), bits_of(e.value), e.timestamp) for e in one.exemplars]
            content.series.append(Series(self._labels(one), samples, list(one.histograms), exemplars))
        return content

    def _labels(self, series: Any) -> Pairs:
        rest = type(series)()  # a copy with labels only is known by its bytes
        rest.labels.MergeFrom(series.labels)
        key = rest.SerializeToString()
        pairs = self._pairs.get(key)
        if pairs is None:
            pairs = self._pairs[key] = _pairs(series)
        return pairs


def _pairs(message: Any) -> Pairs:
    return tuple((label.name, label.value) for label in message.labels)


def _type_name(metadata: Any, problems: list[str]) -> str:
    names = metadata.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number
    if metadata.type not in names:
        problems.append(f"metadata of the unknown type {metadata.type}")
        return str(metadata.type)
    name: str = names[metadata.type].name
    return name.removeprefix("METRIC_TYPE_")


class _SymbolReader:
    """Reads one 2.0 request."""

    def __init__(self, message: Any) -> None:
        self._message = message
        self._symbols = list(message.symbols)
        self._used: set[int] = {0}
        self._content = Content()

    def read(self) -> Content:
        problems = self._content.problems
        if not self._symbols or self._symbols[0]:
            problems.append("the first symbol is not the empty string")
        if len(set(self._symbols)) != len(self._symbols):
            problems.append("a symbol is there twice")
        for one in self._message.timeseries:
            self._content.series.append(
                Series(
                    self._pairs(one.labels_refs, "labels_refs"),
                    [(sample.timestamp, bits_of(sample.value), sample.start_timestamp) for sample in one.samples],
                    list(one.histograms),
                    [
                        Exemplar(self._pairs(e.labels_refs, "exemplar labels_refs"), bits_of(e.value), e.timestamp)
                        for e in one.exemplars
                    ],
                )
            )
            self._read_metadata(one.metadata)
        unused = set(range(len(self._symbols))) - self._used
        if unused:
            problems.append(f"symbols that nothing refers to, for example {self._symbols[min(unused)]!r}")
        return self._content

    def _read_metadata(self, metadata: Any) -> None:
        self._symbol(metadata.help_ref, "help_ref")
        self._symbol(metadata.unit_ref, "unit_ref")
        self._content.metadata[_type_name(metadata, self._content.problems)] += 1

    def _pairs(self, refs: Sequence[int], what: str) -> Pairs:
        if len(refs) % 2:
            self._content.problems.append(f"odd number of {what}")
        texts = [self._symbol(ref, what) for ref in refs]
        return tuple(zip(texts[::2], texts[1::2], strict=False))

    def _symbol(self, ref: int, what: str) -> str:
        if ref >= len(self._symbols):
            self._content.problems.append(f"{what} beyond the symbols")
            return ""
        self._used.add(ref)
        return self._symbols[ref]
