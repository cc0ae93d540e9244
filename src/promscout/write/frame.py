"""Records as frames: what is written to a segment at once, with checksums.

A frame is a header and six sections, each of which may be empty:

| section | holds |
| --- | --- |
| index | a ``ROW`` for each record |
| definitions | templates that the segment has not had before |
| bases | of each of them the values that its records are told apart from |
| values | of all samples |
| times | time stamps of samples that have their own |
| items | histograms and exemplars |

Everything is little-endian. Bases, values and times are 64-bit numbers, their bytes shuffled; every section but the
definitions, whose templates are, is compressed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias, cast
from weakref import WeakKeyDictionary

import msgspec
import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

from promscout.write.portion import Items, Portion, SeriesTemplate
from promscout.write.record import (
    KINDS,
    ROW,
    Bytes,
    DamagedError,
    Definition,
    KnownTemplates,
    Record,
    Rows,
    compress,
    decode_items,
    decompress,
    encode_items,
    shuffled,
    unshuffled,
)

MAGIC: Final = b"\xff\xfeprsc\x01\n"
"""Begins every frame. No valid UTF-8 has its first byte, so no label of a target does, compressed or not."""

FRAME_SAMPLES: Final = 1 << 17
"""Samples from which on a frame ends: reading one takes some megabytes."""
FRAME_RECORDS: Final = 1 << 16

_HEADER: Final = struct.Struct("<8s12I")
HEADER_BYTES: Final = _HEADER.size
_KIND_NUMBERS: Final = {kind: number for number, kind in enumerate(KINDS)}
_ITEM_WEIGHT: Final = 20  # samples that take about the memory of a histogram

Bits: TypeAlias = NDArray[np.uint64]
"""Float64 values as their bits, which keeps those of a staleness marker."""


class Header(NamedTuple):
    """How a frame begins. Sizes are bytes; ``first_slot`` is the number of the first template defined in it."""

    records: int
    first_slot: int
    index_size: int
    definitions_size: int
    bases_size: int
    values_size: int
    times_size: int
    items_size: int
    index_sum: int
    definitions_sum: int
    data_sum: int

    @property
    def definitions_at(self) -> int:
        """Where the definitions begin in the frame."""
        return HEADER_BYTES + self.index_size

    @property
    def data_at(self) -> int:
        """Where values, times and items begin in the frame."""
        return self.definitions_at + self.definitions_size + self.bases_size

    @property
    def size(self) -> int:
        """Of the whole frame."""
        return self.data_at + self.values_size + self.times_size + self.items_size

    def pack(self) -> bytes:
        """The header as bytes."""
        head = _HEADER.pack(MAGIC, *self, 0)[:-4]
        return head + crc32(head).to_bytes(4, "little")


def parse_header(data: Bytes) -> Header | None:
    """The header at the beginning of ``data``; None where there is none."""
    if len(data) < HEADER_BYTES:
        return None
    magic, *numbers, checksum = _HEADER.unpack_from(data)
    if magic != MAGIC or crc32(bytes(data[: HEADER_BYTES - 4])) != checksum:
        return None
    return Header._make(numbers)


class _Defined(msgspec.Struct, frozen=True, array_like=True):
    """A template, and of how many series from ``first`` on there are values in the bases."""

    definition: Definition
    first: int
    count: int


_DEFINED: Final = msgspec.msgpack.Decoder(list[_Defined])


class Encoder:
    """Makes the frames of one segment, in which every template is defined once, at its first record."""

    def __init__(self, templates: KnownTemplates) -> None:
        self._templates = templates
        self._slots: WeakKeyDictionary[SeriesTemplate, int] = WeakKeyDictionary()
        self._by_digest: dict[bytes, int] = {}
        self._bases: list[Bits] = []
        self._defined: list[_Defined] = []
        self._new_bases: list[Bits] = []
        self.definitions = 0
        """Bytes of all definitions so far."""

    def encode(self, records: Sequence[Record]) -> tuple[bytes, Rows]:
        """A frame with these records, and what is known about them without reading it."""
        first_slot = len(self._bases)
        self._defined, self._new_bases = [], []
        rows, values, bases, times, items = [], [], [], [], []
        for number, since, portion in records:
            slot = self._slot(portion)
            size = first = own_times = time = 0
            if isinstance(portion, Portion):
                first, stamps = portion.first, portion.timestamps
                values.append(_bits(portion))
                bases.append(self._bases[slot][first : first + len(portion)])
                if isinstance(stamps, int):
                    time = stamps
                else:
                    own_times, time = 1, int(stamps[0])
                    times.append(stamps - time)
            else:
                items.append(encode_items(portion))
                size = len(items[-1])
            kind = _KIND_NUMBERS[portion.kind]
            rows.append((number, since, portion.stream, time, len(portion), first, slot, size, kind, own_times))
        index = np.array(rows, dtype=ROW)
        differences = np.concatenate(values) if values else np.empty(0, np.uint64)
        if values:
            differences ^= np.concatenate(bases)
        sections = (
            compress(shuffled(index)),
            msgspec.msgpack.encode(self._defined) if self._defined else b"",
            _compressed(self._new_bases),
            compress(shuffled(differences)),
            _compressed(times),
            compress(b"".join(items)),
        )
        self.definitions += len(sections[1])
        return _frame(len(rows), first_slot, sections), index

    def _slot(self, portion: Portion | Items) -> int:
        template = portion.template
        slot = self._slots.get(template)
        if slot is not None:
            return slot
        definition = self._templates.definition(template)
        slot = self._by_digest.get(definition.digest)
        if slot is None:
            slot = self._by_digest[definition.digest] = len(self._bases)
            base, first, count = np.zeros(len(template), np.uint64), 0, 0
            if isinstance(portion, Portion):
                first, count = portion.first, len(portion)
                base[first : first + count] = _bits(portion)
                self._new_bases.append(base[first : first + count])
            self._bases.append(base)
            self._defined.append(_Defined(definition, first, count))
        self._slots[template] = slot
        return slot


def _bits(portion: Portion) -> Bits:
    return np.ascontiguousarray(portion.values, dtype="<f8").view(np.uint64)


def _compressed(arrays: Sequence[NDArray[np.int64] | Bits]) -> bytes:
    return compress(shuffled(np.concatenate(arrays))) if arrays else b""


def _frame(records: int, first_slot: int, sections: Sequence[bytes]) -> bytes:
    index, definitions, bases, *data = sections
    checksum = 0
    for section in data:
        checksum = crc32(section, checksum)
    sums = crc32(index), crc32(bases, crc32(definitions)), checksum
    header = Header._make((records, first_slot, *(len(section) for section in sections), *sums))
    return b"".join((header.pack(), *sections))


class Slot(NamedTuple):
    """A template of a segment, and the values that those of its records are told apart from."""

    template: SeriesTemplate
    base: Bits


def decode_index(header: Header, data: Bytes) -> Rows:
    """The rows of a frame, of its section.

    Raises:
        DamagedError: when they are not what was written.
    """
    if len(data) != header.index_size or crc32(data) != header.index_sum:
        raise DamagedError("checksum of the index")
    rows = unshuffled(decompress(data, header.records * ROW.itemsize), ROW)
    return cast("Rows", rows)


def decode_definitions(header: Header, data: Bytes, templates: KnownTemplates) -> list[Slot]:
    """The templates that a frame defines, of its sections definitions and bases.

    Raises:
        DamagedError: when they are not what was written.
    """
    if len(data) != header.definitions_size + header.bases_size or crc32(data) != header.definitions_sum:
        raise DamagedError("checksum of the definitions")
    try:
        defined = _DEFINED.decode(data[: header.definitions_size]) if header.definitions_size else []
        bits = _numbers(data[header.definitions_size :], sum(one.count for one in defined), np.dtype("<u8"))
        slots, at = [], 0
        for one in defined:
            template = templates.template(one.definition)
            base = np.zeros(len(template), np.uint64)
            base[one.first : one.first + one.count] = bits[at : at + one.count]
            slots.append(Slot(template, base))
            at += one.count
    except (ValueError, IndexError, msgspec.MsgspecError) as error:
        raise DamagedError(f"definitions: {error}") from error
    return slots


def decode_data(header: Header, rows: Rows, data: Bytes, slots: Sequence[Slot | None]) -> list[Record | None]:
    """The records of a frame, of its sections values, times and items; None where the template is not known.

    Raises:
        DamagedError: when they are not what was written.
    """
    if len(data) != header.values_size + header.times_size + header.items_size or crc32(data) != header.data_sum:
        raise DamagedError("checksum of the samples")
    columns = [rows[name].tolist() for name in ROW.names or ()]
    samples = rows["kind"] == 0
    with_times = rows["own_times"] != 0
    values_end, times_end = header.values_size, header.values_size + header.times_size
    try:
        values = _numbers(data[:values_end], int(rows["count"][samples].sum()), np.dtype("<u8"))
        times = _numbers(data[values_end:times_end], int(rows["count"][with_times].sum()), np.dtype("<i8"))
        items = decompress(data[times_end:], int(rows["size"].sum())).tobytes()
        return list(_records(zip(*columns, strict=True), slots, values, times, items))
    except (ValueError, IndexError, msgspec.MsgspecError) as error:
        raise DamagedError(f"samples: {error}") from error


def _numbers(data: Bytes, count: int, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
    return unshuffled(decompress(data, 8 * count), dtype)


def _records(
    rows: Iterator[tuple[int, ...]],
    slots: Sequence[Slot | None],
    values: NDArray[np.generic],
    times: NDArray[np.generic],
    items: bytes,
) -> Iterator[Record | None]:
    value_at = time_at = item_at = 0
    for number, since, _stream, time, count, first, slot, size, kind, own_times in rows:
        found = slots[slot] if slot < len(slots) else None
        if kind:
            data = items[item_at : item_at + size]
            item_at += size
            yield found and Record(number, since, decode_items(KINDS[kind], found.template, data))
            continue
        bits = values[value_at : value_at + count]
        value_at += count
        stamps: int | NDArray[np.int64] = time
        if own_times:
            stamps = cast("NDArray[np.int64]", times[time_at : time_at + count] + time)
            time_at += count
        if found is None:
            yield None
            continue
        # An array of its own, so that one record does not keep the whole frame in memory.
        plain = np.bitwise_xor(bits, found.base[first : first + count]).view(np.float64)
        yield Record(number, since, Portion(found.template, first, plain, stamps))


def in_frames(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    """``records`` as neighbours that go into one frame."""
    weights = (len(one.portion) * (1 if isinstance(one.portion, Portion) else _ITEM_WEIGHT) for one in records)
    start = before = 0
    for stop, weight in enumerate(accumulate(weights), 1):
        if weight - before >= FRAME_SAMPLES or stop - start >= FRAME_RECORDS:
            yield records[start:stop]
            start, before = stop, weight
    if start < len(records):
        yield records[start:]
