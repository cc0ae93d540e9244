"""The text format over generated bodies."""

import math
from contextlib import suppress

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from promscout.errors import ExpositionError
from promscout.exposition.samples import NO_TIMESTAMP
from promscout.exposition.series import parse_series
from promscout.exposition.text import parse_exactly, parse_text

LEGACY_NAME = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,6}", fullmatch=True)
ANY_TEXT = st.text(max_size=8)
NAME = LEGACY_NAME | st.text(min_size=1, max_size=8).filter(lambda name: "\0" not in name)
LABELS = st.dictionaries(NAME.filter(lambda name: name != "__name__"), ANY_TEXT, max_size=4)
SAMPLE = st.tuples(NAME, LABELS, st.floats(), st.none() | st.integers(0, 2**63 - 1))


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def is_legacy(name):
    return name.replace("_", "a").isalnum() and name.isascii() and not name[0].isdigit()


def render(name, labels, value, timestamp):
    pairs = [f"{label if is_legacy(label) else quote(label)}={quote(text)}" for label, text in labels.items()]
    series = name if is_legacy(name) else ""
    parts = pairs if series else [quote(name), *pairs]
    if parts:
        series += "{" + ",".join(parts) + "}"
    number = "NaN" if math.isnan(value) else repr(value)
    return f"{series} {number}" + ("" if timestamp is None else f" {timestamp}")


@given(st.lists(SAMPLE, max_size=6))
def test_rendered_samples_come_back(samples):
    exposition = parse_text("\n".join(render(*sample) for sample in samples).encode())
    np.testing.assert_array_equal(exposition.values, [value for _, _, value, _ in samples])
    stamps = exposition.timestamps if exposition.timestamps is not None else [NO_TIMESTAMP] * len(samples)
    for key, stamp, (name, labels, _, timestamp) in zip(exposition.keys, stamps, samples, strict=True):
        assert stamp == (NO_TIMESTAMP if timestamp is None else timestamp)
        assert dict(parse_series(key)) == {"__name__": name, **labels}


# Pieces that mean something to the grammar, so that generated bodies come close to being right.
PIECES = st.sampled_from(
    [
        *(
            b"\n",
            b" ",
            b"  ",
            b"\t",
            b'"',
            b'="',
            b'"} ',
            b'",',
            b"{",
            b"}",
            b"=",
            b",",
            b"#",
            b"\\",
            b"\0",
            b"\r",
            b"\xff",
        ),
        *(b"foo", b'foo{a="b"} 1\n', b"foo 1\n", b"foo 1 5\n", b'foo{a="b"} 1 5\n', b'{"foo"} 1\n', b'foo{a="b",} 1\n'),
        *(b"# TYPE foo ", b"gauge\n", b"# HELP foo ", b"# HELP ", b"# x", b'# TYPE "a.b" gauge\n'),
        *(b"1", b"NaN", b"+Inf", b"1e999", b"0x1", b"1_0", b".5", b"5.", b"nan", b"-NaN", b"+1", b"01", "ö".encode()),
    ]
)
BODIES = st.lists(PIECES, max_size=14).map(b"".join) | st.binary(max_size=40)


def outcome(parse, body):
    """All that can be seen of a parsed body, or None where it is refused, series texts included."""
    try:
        exposition = parse(body)
        series = [parse_series(key, exposition.type_at(index)) for index, key in enumerate(exposition.keys)]
    except ExpositionError:
        return None
    stamps = None if exposition.timestamps is None else exposition.timestamps.tolist()
    return (
        exposition.keys,
        series,
        exposition.values.tobytes(),
        stamps,
        exposition.metadata,
        exposition.metadata_lines.type_changes(),
    )


@given(BODIES)
def test_the_quick_way_agrees_with_the_exact_reader(body):
    assert outcome(parse_text, body) == outcome(parse_exactly, body)


@given(BODIES)
def test_whatever_the_bytes_only_exposition_errors_are_raised(body):
    outcome(parse_text, body)
    with suppress(ExpositionError):
        assert dict(parse_series(body))["__name__"]
