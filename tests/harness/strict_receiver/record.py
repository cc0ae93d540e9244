"""The file in which a receiver keeps what it took: it can be killed at any time, and what it has answered is there.

A file of frames: a letter, the size of what follows in four bytes, and that. What a kill has cut short is at the end,
was never answered, and is dropped when the file is opened again.

* ``L``: the labels of a series as JSON; series have numbers in this order
* ``T``, ``R``: a request that was taken, or refused for good: seconds since the epoch, then columns (``_Columns``)
* ``A``: the number of a taken request whose answer has been sent
* ``V``: a rule that was broken, as text
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.strict_receiver.reading import Pairs

SAMPLE, HISTOGRAM, EXEMPLAR = 0, 1, 2

_HEAD = struct.Struct("<cI")
_REQUEST = struct.Struct("<dI")


@dataclass(frozen=True, slots=True)
class Items:
    """What a request holds, one row for each: series, kind, milliseconds, and the value's bits (or a digest's)."""

    series: NDArray[np.int32]
    kinds: NDArray[np.uint8]
    stamps: NDArray[np.int64]
    bits: NDArray[np.uint64]

    @classmethod
    def of(cls, rows: Sequence[tuple[int, int, int, int]]) -> Self:
        series, kinds, stamps, bits = zip(*rows, strict=True) if rows else ((), (), (), ())
        return cls(
            np.array(series, np.int32),
            np.array(kinds, np.uint8),
            np.array(stamps, np.int64),
            np.array(bits, np.uint64),
        )

    def __len__(self) -> int:
        return len(self.series)

    def pack(self) -> bytes:
        return b"".join(column.tobytes() for column in (self.stamps, self.bits, self.series, self.kinds))

    @classmethod
    def unpack(cls, data: bytes, count: int) -> Self:
        stamps, bits, series, kinds = (
            np.frombuffer(data, dtype, count, offset * count)
            for dtype, offset in ((np.int64, 0), (np.uint64, 8), (np.int32, 16), (np.uint8, 20))
        )
        return cls(series, kinds, stamps, bits)


@dataclass(slots=True)
class Request:
    """``at`` is seconds since the epoch. ``answered``: the sender was told so, as far as the receiver knows."""

    at: float
    taken: bool
    items: Items
    answered: bool = False


@dataclass(slots=True)
class Recorded:
    """The content of a file. ``size`` is how much of it is whole."""

    labels: list[Pairs] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    size: int = 0

    @classmethod
    def read(cls, path: Path) -> Self:
        """What is in the file, without what was cut short at its end; nothing if there is none."""
        found = cls()
        data = path.read_bytes() if path.exists() else b""
        taken: list[Request] = []
        for kind, content, end in _frames(data):
            found.size = end
            match kind:
                case b"L":
                    found.labels.append(tuple((name, value) for name, value in json.loads(content)))
                case b"V":
                    found.problems.append(content.decode())
                case b"A":
                    taken[int.from_bytes(content, "little")].answered = True
                case _:
                    at, count = _REQUEST.unpack_from(content)
                    request = Request(at, kind == b"T", Items.unpack(content[_REQUEST.size :], count))
                    found.requests.append(request)
                    if request.taken:
                        taken.append(request)
        return found

    def column(self, name: str, *, taken: bool = True) -> NDArray[Any]:
        """One column of ``Items`` over all requests that were taken, or over those that were refused."""
        empty = getattr(Items.of(()), name)
        return np.concatenate(
            [empty, *(getattr(request.items, name) for request in self.requests if request.taken is taken)]
        )


def _frames(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    at = 0
    while at + _HEAD.size <= len(data):
        kind, size = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + size
        if end > len(data):
            return
        yield kind, data[at + _HEAD.size : end], end
        at = end


class Record:
    """Writes a file, and goes on with one that is there. ``before`` is what it held, ``labels`` has all series."""

    def __init__(self, path: Path) -> None:
        self.before = Recorded.read(path)
        self._file = path.open("ab", buffering=0)
        os.truncate(path, self.before.size)
        self.labels = list(self.before.labels)
        self._numbers = {pairs: number for number, pairs in enumerate(self.labels)}
        self._new: list[bytes] = []
        self._taken = sum(request.taken for request in self.before.requests)

    def close(self) -> None:
        self._file.close()

    def number(self, labels: Pairs) -> int:
        """The number of a series."""
        number = self._numbers.get(labels)
        if number is None:
            number = self._numbers[labels] = len(self.labels)
            self.labels.append(labels)
            self._new.append(_frame(b"L", json.dumps(labels).encode()))
        return number

    def request(self, at: float, items: Items, *, taken: bool) -> int:
        """Keep a request; the number of it among those that were taken."""
        frame = _frame(b"T" if taken else b"R", _REQUEST.pack(at, len(items)) + items.pack())
        self._write(b"".join([*self._new, frame]))
        self._new.clear()
        self._taken += taken
        return self._taken - 1

    def answered(self, number: int) -> None:
        """The answer to a taken request has been sent."""
        self._write(_frame(b"A", number.to_bytes(4, "little")))

    def problem(self, text: str) -> None:
        """A rule was broken."""
        self._write(_frame(b"V", text.encode()))

    def _write(self, data: bytes) -> None:
        written = self._file.write(data)
        assert written == len(data), "the disk is full"


def _frame(kind: bytes, content: bytes) -> bytes:
    return _HEAD.pack(kind, len(content)) + content
