"""Feeds bodies that a coverage-guided fuzzer makes up to the parsers of all text formats.

    make fuzz ARGS='-atheris_runs=5000000 corpus'

The first byte of an input chooses the format, the second how many edits follow, four bytes each; the rest is the body,
and with each edit made there is another one. An input is a finding when the quick way and the exact reader disagree,
when an image of one body takes another for something else than the parser reads in it, or when anything but an
ExpositionError is raised; it is written to a file ``crash-…``, which given as the only argument repeats it. Flags are
libFuzzer's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import atheris

with atheris.instrument_imports(include=["promscout.exposition"]):
    from promscout.errors import ExpositionError
    from promscout.exposition import openmetrics, text
    from promscout.exposition.image import TextImage
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


def both_ways_agree(quick: Callable[[bytes], Exposition], exact: Callable[[bytes], Exposition], body: bytes) -> None:
    """Raises where they do not."""
    found, expected = seen(quick, body), seen(exact, body)
    if found != expected:
        raise AssertionError(f"{body!r}\nthe quick way: {found}\nthe exact reader: {expected}")


def images_agree(parse: Callable[[bytes], Exposition], bodies: list[bytes]) -> None:
    """Raises where an image that takes a further body has something else than the parser."""
    image: TextImage | None = None
    for body in bodies:
        taken = image is not None and image.update(body)
        try:
            exposition = parse(body)
        except ExpositionError:
            if taken:
                raise AssertionError(f"{bodies!r}\ntaken, although it is refused: {body!r}") from None
            image = None
            continue
        if taken and image is not None:
            stamps = [None if one is None else one.tolist() for one in (image.timestamps, exposition.timestamps)]
            mine = image.keys(), image.values.tobytes(), stamps[0]
            theirs = exposition.keys, exposition.values.tobytes(), stamps[1]
            if mine != theirs:
                raise AssertionError(f"{bodies!r}\nthe image: {mine}\nthe parser: {theirs}")
        else:
            image = TextImage.of(body, exposition)


def edited(body: bytes, edit: bytes) -> bytes:
    """``body`` with a byte replaced, put in or taken out: kind, place (two bytes), byte."""
    at = int.from_bytes(edit[1:3], "big") % (len(body) + 1)
    kind = edit[0] % 3
    return body[:at] + (b"" if kind == 2 else edit[3:]) + body[at + (kind != 1) :]


def try_one(data: bytes) -> None:
    """One input of the fuzzer."""
    quick, exact = WAYS[data[0] % len(WAYS) if data else 0]
    edits = data[1] % 8 if len(data) > 1 else 0
    bodies = [data[2 + 4 * edits :]]
    for number in range(edits):
        edit = data[2 + 4 * number : 6 + 4 * number]
        if len(edit) == 4:
            bodies.append(edited(bodies[-1], edit))
    both_ways_agree(quick, exact, bodies[0])
    images_agree(quick, bodies)


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_one)
    atheris.Fuzz()
