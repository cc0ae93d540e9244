"""Feeds bodies that a coverage-guided fuzzer makes up to the parsers of all text formats.

    make fuzz ARGS='-atheris_runs=5000000 corpus'

The first byte of an input chooses the format, the rest is the body. An input is a finding when the quick way and the
exact reader disagree, or when anything but an ExpositionError is raised; it is written to a file ``crash-…``, which
given as the only argument repeats it. Flags are libFuzzer's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["promscout.exposition"]):
    from promscout.errors import ExpositionError
    from promscout.exposition import openmetrics, text
    from promscout.exposition.samples import Exposition

WAYS = ((text.parse_text, text.parse_exactly), (openmetrics.parse_openmetrics, openmetrics.parse_exactly))
"""Quick way and exact reader of each format."""


def seen(parse: Callable[[bytes], Exposition], body: bytes) -> object:
    """All that can be seen of a parsed body, or None where it is refused."""
    try:
        exposition = parse(body)
        series = [exposition.labels_of(key, exposition.type_at(index)) for index, key in enumerate(exposition.keys)]
    except ExpositionError:
        return None
    stamps = None if exposition.timestamps is None else exposition.timestamps.tolist()
    exemplars = [(index, repr(exemplar)) for index, exemplar in exposition.exemplars]
    return exposition.keys, series, exposition.values.tobytes(), stamps, exemplars, exposition.metadata


def both_ways_agree(data: bytes) -> None:
    """Raises where they do not."""
    quick, exact = WAYS[data[0] % len(WAYS) if data else 0]
    body = data[1:]
    found, expected = seen(quick, body), seen(exact, body)
    if found != expected:
        raise AssertionError(f"{body!r}\nthe quick way: {found}\nthe exact reader: {expected}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, both_ways_agree)
    atheris.Fuzz()
