"""The samples of a body, in pages: lines of text, read where they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from promscout.errors import ExpositionError
from promscout.exposition.numbers import parse_go_float
from promscout.exposition.series import parse_series
from promscout.model.labels import METRIC_NAME
from promscout.web.pages.paging import Page, Paging
from promscout.web.search import MOST_WORDS
from promscout.web.turns import in_turns

PAGE_SAMPLES: Final = 100
_PIECE: Final = 1 << 16  # bytes of a body that are cut into lines at once
_LONGEST_LINE: Final = 4096  # bytes of a line that are shown, and searched


class ShownSample(msgspec.Struct, frozen=True):
    """One line: the metric's name, its labels, and what follows. A line that is none of that is all ``name``."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    value: str = ""
    timestamp: str = ""
    exemplar: str = ""


class Samples(msgspec.Struct, frozen=True):
    """A page of those samples of a body that match; ``total`` counts all of them."""

    page: Page[ShownSample]
    total: int


async def samples_of(body: bytes, text: str, number: int) -> Samples:
    """A page of the samples whose lines have all words of ``text``, in turns with whatever else is due."""
    words = [word.encode() for word in text.lower().replace('"', "").split()[:MOST_WORDS]]
    paging = Paging[bytes](number, PAGE_SAMPLES)
    total = 0
    async for pieces in in_turns(_pieces(body), 1):
        for line in pieces[0]:
            if line and not line.startswith(b"#"):
                total += 1
                if not words or _has(line, words):
                    paging.add(line)
    page = paging.page()
    return Samples(Page(tuple(map(shown_sample, page.items)), page.found, page.number, page.size), total)


def _has(line: bytes, words: list[bytes]) -> bool:
    line = line[:_LONGEST_LINE].lower().replace(b'"', b"")
    return all(word in line for word in words)


def _pieces(body: bytes) -> Iterator[list[bytes]]:
    at = 0
    while at < len(body):
        end = body.find(b"\n", min(at + _PIECE, len(body)))
        end = len(body) if end < 0 else end + 1
        yield body[at:end].split(b"\n")
        at = end


def shown_sample(line: bytes) -> ShownSample:
    """A sample's line as its parts; a line that cannot be read as it is."""
    if len(line) > _LONGEST_LINE:
        return ShownSample(f"{line[:_LONGEST_LINE].decode(errors='replace')}…")
    sample, _, exemplar = line.partition(b" # {")
    end = sample.rfind(b"}") + 1 or sample.find(b" ")
    key, rest = sample[:end], sample[end:].split()
    try:
        labels = parse_series(key)
        value, timestamp = [*rest, b""] if len(rest) == 1 else rest
        parse_go_float(value)
    except (ExpositionError, ValueError):
        return ShownSample(line.decode(errors="replace"))
    return ShownSample(
        dict(labels).get(METRIC_NAME, ""),
        tuple(pair for pair in labels if pair[0] != METRIC_NAME),
        value.decode(),
        timestamp.decode(errors="replace"),
        f"{{{exemplar.decode(errors='replace')}" if exemplar else "",
    )
