"""Texts as symbols of a remote write 2.0 request, and where the labels of encoded label sets are.

Source: prometheus v3.x prompb/io/prometheus/write/v2/types.proto Request.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from promscout.model.labels import LabelSet
from promscout.model.series import decode_label_set, encode_varint

_MOST: Final = 200_000  # labels and texts that are remembered: some 60 MB

Places: TypeAlias = NDArray[np.int64]


def encode_symbol(text: str) -> bytes:
    """``text`` as a ``symbols`` field of a ``Request``."""
    raw = text.encode()
    return b"\x22" + encode_varint(len(raw)) + raw


NO_TEXT: Final = encode_symbol("")
"""The symbol that every request has first."""


class Numbering(dict[bytes, int]):
    """Numbers keys in the order in which they are first asked for, from the number of those given."""

    def __missing__(self, key: bytes) -> int:
        self[key] = number = len(self)
        return number


def request_symbols() -> Numbering:
    """The symbols of a new request: encoded symbol → reference. Joined, they are the request's ``symbols`` fields."""
    return Numbering({NO_TEXT: 0})


class LabelSymbols(dict[bytes, tuple[bytes, bytes]]):
    """Encoded label → the symbols of its name and its value.

    Equal texts are one object, and most labels of a target are those of others, so each is decoded once. When there
    are too many, all are forgotten.
    """

    def __init__(self) -> None:
        super().__init__()
        self._symbols: dict[str, bytes] = {}

    def __missing__(self, label: bytes) -> tuple[bytes, bytes]:
        if len(self) >= _MOST:
            self.clear()
        ((name, value),) = decode_label_set(label)
        found = self[label] = (self.symbol(name), self.symbol(value))
        return found

    def symbol(self, text: str) -> bytes:
        """``text`` as a symbol."""
        found = self._symbols.get(text)
        if found is None:
            if len(self._symbols) >= _MOST:
                self._symbols.clear()
            found = self._symbols[text] = encode_symbol(text)
        return found


def encode_references(labels: LabelSet, symbols: Numbering) -> bytes:
    """``labels`` as a ``labels_refs`` field of a ``TimeSeries`` or an ``Exemplar``; empty without labels."""
    return references_field([symbols[encode_symbol(text)] for pair in labels for text in pair])


def references_field(references: list[int]) -> bytes:
    """A ``labels_refs`` field; empty without references."""
    packed = b"".join(map(encode_varint, references))
    return b"\x0a" + encode_varint(len(packed)) + packed if packed else b""


def label_places(encoded: bytes, edges: Places) -> tuple[Places, Places, Places]:
    """Where the labels of the encoded label sets between ``edges`` are.

    The start and the end of each label, in order, and how many labels each set has.
    """
    data = np.frombuffer(encoded, np.uint8)
    series, at, stop = np.arange(len(edges) - 1), edges[:-1], edges[1:]
    counts: Places = np.zeros(len(series), np.int64)
    ranks: list[tuple[Places, Places, Places]] = []
    while True:
        more = at < stop
        if not more.all():
            series, at, stop = series[more], at[more], stop[more]
        if not len(series):
            break
        end = _ends_of_fields(data, at)
        ranks.append((series, at, end))
        counts[series] += 1
        at = end
    first = np.cumsum(counts) - counts
    starts, ends = np.empty((2, int(counts.sum())), np.int64)
    for rank, (which, start, end) in enumerate(ranks):
        places = first[which] + rank
        starts[places], ends[places] = start, end
    return starts, ends, counts


def _ends_of_fields(data: NDArray[np.uint8], at: Places) -> Places:
    at = at + 1
    byte = data[at].astype(np.int64)
    size, shift = byte & 0x7F, 7
    while (longer := byte >= 0x80).any():
        at = at + longer
        byte = np.where(longer, data[at].astype(np.int64), 0)
        size |= (byte & 0x7F) << shift
        shift += 7
    return at + 1 + size
