"""What of a portion is kept on disk, as columns and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary, WeakValueDictionary

import cramjam
import msgspec
import numpy as np
from numpy.typing import NDArray

from promscout.model.histogram import CounterReset, Exemplar, Histogram, Span
from promscout.model.labels import LabelSet
from promscout.model.metadata import KnownFamilies, MetricMetadata
from promscout.write.portion import AnyPortion, Items, SeriesTemplate
from promscout.write.status import Kind

Bytes: TypeAlias = bytes | bytearray | memoryview
Rows: TypeAlias = NDArray[np.void]
"""An array of ``ROW``."""

KINDS: Final = (Kind.SAMPLES, Kind.HISTOGRAMS, Kind.EXEMPLARS)
"""By the number in a row."""

ROW: Final = np.dtype(
    [
        ("number", "<i8"),
        ("since", "<i8"),  # milliseconds since the epoch
        ("stream", "<u8"),
        ("time", "<i8"),  # time stamp of all samples, or that of the first
        ("count", "<u4"),  # samples or items
        ("first", "<u4"),  # index of the first series, of samples
        ("slot", "<u4"),  # the template, by its number in the segment
        ("size", "<u4"),  # bytes of items
        ("kind", "u1"),
        ("own_times", "u1"),  # whether each sample has a time stamp of its own
    ]
)
"""What is known about a record without reading its samples."""

_DIGEST_BYTES: Final = 16
_LEVEL: Final = 1  # of zstd; the higher ones cost more than the whole rest


class Record(NamedTuple):
    """A portion on disk: ``number`` counts all portions in order of arrival, ``since_ms`` is when it came."""

    number: int
    since_ms: int
    portion: AnyPortion


class DamagedError(Exception):
    """Bytes that are not what was written; the message says why."""


def compress(data: Bytes) -> bytes:
    """``data`` as a zstd frame; nothing of nothing."""
    return bytes(cramjam.zstd.compress(data, _LEVEL)) if len(data) else b""


def decompress(data: Bytes, size: int) -> NDArray[np.uint8]:
    """The inverse of :func:`compress`, of ``size`` bytes.

    Raises:
        DamagedError: when it is not that.
    """
    out = np.empty(size, dtype=np.uint8)
    try:
        written = cramjam.zstd.decompress_into(data, out.data) if size or len(data) else 0
    except (cramjam.DecompressionError, OSError, ValueError) as error:
        raise DamagedError(f"cannot be decompressed: {error}") from error
    if written != size:
        raise DamagedError(f"{written} bytes where {size} are expected")
    return out


def shuffled(array: NDArray[np.generic]) -> memoryview:
    """The bytes of ``array``, those of the same place in its items next to each other: that compresses well."""
    width = array.dtype.itemsize
    return np.ascontiguousarray(array.view(np.uint8).reshape(-1, width).T).reshape(-1).data


def unshuffled(data: NDArray[np.uint8], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    """The inverse of :func:`shuffled`."""
    return np.ascontiguousarray(data.reshape(dtype.itemsize, -1).T).reshape(-1).view(dtype)


class Definition(msgspec.Struct, frozen=True, array_like=True):
    """A template as bytes. ``digest`` is that of its stream and label sets: what has the same is the same."""

    digest: bytes
    stream: int
    series: int
    size: int
    """Of ``data``, decompressed."""
    data: bytes
    """Compressed: sizes of the encoded label sets as uint32, the label sets, metadata of the families."""


class KnownTemplates:
    """The templates of records, each one object as long as anybody holds it: what was packed of one is kept on it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[bytes, SeriesTemplate] = WeakValueDictionary()
        self._definitions: WeakKeyDictionary[SeriesTemplate, Definition] = WeakKeyDictionary()

    def definition(self, template: SeriesTemplate) -> Definition:
        """``template`` as bytes, made once as long as it lives."""
        found = self._definitions.get(template)
        if found is None:
            found = self._definitions[template] = _define(template)
            self._known.setdefault(found.digest, template)
        return found

    def template(self, definition: Definition) -> SeriesTemplate:
        """The template that ``definition`` is of.

        Raises:
            DamagedError: when it is of none.
        """
        found = self._known.get(definition.digest)
        if found is None:
            found = self._known[definition.digest] = _template(definition)
        return found


def _define(template: SeriesTemplate) -> Definition:
    first, last = int(template.offsets[0]), int(template.offsets[-1])
    encoded = template.encoded[first:last]
    sizes = np.diff(template.offsets).astype("<u4")
    digest = blake2b(sizes.tobytes(), digest_size=_DIGEST_BYTES, salt=template.stream.to_bytes(8, "little"))
    digest.update(encoded)
    families = dict(template.families.by_family())
    data = b"".join((sizes.tobytes(), encoded, msgspec.msgpack.encode(families)))
    return Definition(digest.digest(), template.stream, len(template), len(data), compress(data))


def _template(definition: Definition) -> SeriesTemplate:
    data = decompress(definition.data, definition.size).tobytes()
    edge = 4 * definition.series
    offsets = np.zeros(definition.series + 1, dtype=np.int64)
    np.cumsum(np.frombuffer(data, dtype="<u4", count=definition.series), out=offsets[1:])
    end = edge + int(offsets[-1])
    families = _FAMILIES.decode(data[end:])
    return SeriesTemplate(definition.stream, data[edge:end], offsets, KnownFamilies(families))


_FAMILIES: Final = msgspec.msgpack.Decoder(dict[str, MetricMetadata])


class _Histogram(msgspec.Struct, frozen=True, array_like=True):
    """A histogram whose counts stay what they are, whole numbers or not. Spans are offset, length, offset, …"""

    schema: int
    is_float: bool
    count: int | float
    sum: float
    zero_threshold: float
    zero_count: int | float
    positive_spans: tuple[int, ...]
    positive_buckets: tuple[int | float, ...]
    negative_spans: tuple[int, ...]
    negative_buckets: tuple[int | float, ...]
    custom_values: tuple[float, ...]
    counter_reset: int


class _Exemplar(msgspec.Struct, frozen=True, array_like=True):
    labels: LabelSet
    value: float
    timestamp: int | None


class _Histograms(msgspec.Struct, frozen=True, array_like=True):
    series: tuple[int, ...]
    timestamps: tuple[int, ...]
    items: tuple[_Histogram, ...]


class _Exemplars(msgspec.Struct, frozen=True, array_like=True):
    series: tuple[int, ...]
    timestamps: tuple[int, ...]
    items: tuple[_Exemplar, ...]


_ENCODER: Final = msgspec.msgpack.Encoder()
_HISTOGRAMS: Final = msgspec.msgpack.Decoder(_Histograms)
_EXEMPLARS: Final = msgspec.msgpack.Decoder(_Exemplars)


def encode_items(portion: Items) -> bytes:
    """The items of ``portion``, without its template."""
    items = [_plain(item) for item in portion.items]
    return _ENCODER.encode((portion.series, portion.timestamps, items))


def decode_items(kind: Kind, template: SeriesTemplate, data: Bytes) -> Items:
    """The inverse of :func:`encode_items`."""
    if kind is Kind.HISTOGRAMS:
        histograms = _HISTOGRAMS.decode(data)
        found = tuple(_histogram(one) for one in histograms.items)
        return Items(kind, template, histograms.series, found, histograms.timestamps)
    exemplars = _EXEMPLARS.decode(data)
    items = tuple(Exemplar(one.labels, one.value, one.timestamp) for one in exemplars.items)
    return Items(kind, template, exemplars.series, items, exemplars.timestamps)


def _plain(item: Histogram | Exemplar) -> _Histogram | _Exemplar:
    if isinstance(item, Exemplar):
        return _Exemplar(item.labels, item.value, item.timestamp)
    return _Histogram(
        item.schema,
        item.is_float,
        item.count,
        item.sum,
        item.zero_threshold,
        item.zero_count,
        _flat(item.positive_spans),
        item.positive_buckets,
        _flat(item.negative_spans),
        item.negative_buckets,
        item.custom_values,
        item.counter_reset.value,
    )


def _histogram(plain: _Histogram) -> Histogram:
    return Histogram(
        schema=plain.schema,
        is_float=plain.is_float,
        count=plain.count,
        sum=plain.sum,
        zero_threshold=plain.zero_threshold,
        zero_count=plain.zero_count,
        positive_spans=_spans(plain.positive_spans),
        positive_buckets=plain.positive_buckets,
        negative_spans=_spans(plain.negative_spans),
        negative_buckets=plain.negative_buckets,
        custom_values=plain.custom_values,
        counter_reset=CounterReset(plain.counter_reset),
    )


def _flat(spans: Sequence[Span]) -> tuple[int, ...]:
    return tuple(number for span in spans for number in (span.offset, span.length))


def _spans(flat: Sequence[int]) -> tuple[Span, ...]:
    return tuple(Span(offset, length) for offset, length in zip(flat[::2], flat[1::2], strict=True))
