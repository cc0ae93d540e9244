"""The samples of a body, in pages: lines of text, read where they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from promscout.errors import ExpositionError
from promscout.exposition.series import parse_series
from promscout.model.labels import METRIC_NAME
from promscout.web.turns import in_turns

PAGE_SAMPLES: Final = 100
_PIECE: Final = 1 << 16  # bytes of a body that are cut into lines at once
_LONGEST_LINE: Final = 4096  # bytes of a line that are shown


class ShownSample(msgspec.Struct, frozen=True):
    """One line: the metric's name, its labels, and what follows. A line that is none of that is all ``name``."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    value: str = ""
    timestamp: str = ""
    exemplar: str = ""


class SamplesPage(msgspec.Struct, frozen=True):
    """Some samples of a body. ``found`` counts those that match, ``total`` all of them; pages count from 1."""

    samples: tuple[ShownSample, ...]
    found: int
    total: int
    page: int

    @property
    def pages(self) -> int:
        """How many pages there are, at least 1."""
        return max(1, -(-self.found // PAGE_SAMPLES))

    @property
    def first(self) -> int:
        """Number of the page's first sample, from 1."""
        return (self.page - 1) * PAGE_SAMPLES + 1


async def samples_page(body: bytes, text: str, page: int) -> SamplesPage:
    """A page of the samples whose lines have all words of ``text``, in turns with whatever else is due."""
    words = [word.encode() for word in text.lower().replace('"', "").split()[:20]]
    total = found = 0
    shown: list[bytes] = []
    latest: list[bytes] = []  # the last page, where there is none as late as was asked for
    start = (page - 1) * PAGE_SAMPLES
    async for pieces in in_turns(_pieces(body), 1):
        for line in pieces[0]:
            if not line or line.startswith(b"#"):
                continue
            total += 1
            if words and not _has(line, words):
                continue
            if start <= found < start + PAGE_SAMPLES:
                shown.append(line)
            if found % PAGE_SAMPLES == 0:
                latest = []
            latest.append(line)
            found += 1
    last = max(1, -(-found // PAGE_SAMPLES))
    lines = shown if page <= last else latest
    return SamplesPage(tuple(map(shown_sample, lines)), found, total, min(page, last))


def _has(line: bytes, words: list[bytes]) -> bool:
    line = line.lower().replace(b'"', b"")
    return all(word in line for word in words)


def _pieces(body: bytes) -> Iterator[list[bytes]]:
    at = 0
    while at < len(body):
        end = body.find(b"\n", min(at + _PIECE, len(body)))
        end = len(body) if end < 0 else end + 1
        yield body[at:end].split(b"\n")
        at = end


def shown_sample(line: bytes) -> ShownSample:
    """A sample's line as its parts. The line must be one that could be read, but any other harms nothing."""
    if len(line) > _LONGEST_LINE:
        return ShownSample(f"{line[:_LONGEST_LINE].decode(errors='replace')}…")
    sample, _, exemplar = line.partition(b" # {")
    end = sample.rfind(b"}") + 1 or sample.find(b" ")
    key, rest = sample[:end], sample[end:].split()
    try:
        labels = parse_series(key)
    except ExpositionError:
        return ShownSample(line.decode(errors="replace"))
    value, timestamp = [part.decode(errors="replace") for part in (*rest, b"", b"")][:2]
    return ShownSample(
        dict(labels).get(METRIC_NAME, ""),
        tuple(pair for pair in labels if pair[0] != METRIC_NAME),
        value,
        timestamp,
        f"{{{exemplar.decode(errors='replace')}" if exemplar else "",
    )
