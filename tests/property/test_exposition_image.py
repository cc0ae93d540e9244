"""A body beside the one before it, compared with parsing it."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from promscout.errors import ExpositionError
from promscout.exposition.image import TextImage
from promscout.exposition.openmetrics import parse_openmetrics
from promscout.exposition.samples import NO_TIMESTAMP
from promscout.exposition.text import parse_text

NUMBER = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str).map(lambda text: text.replace("nan", "NaN").replace("inf", "Inf")),
    st.sampled_from(
        ["NaN", "+Inf", "-Inf", "-0", "0x10", "1_0", "1e5", "1e+05", ".5", "5.", "+5", "1,2", "", " 1", "1 "]
    ),
)
TAIL = st.one_of(NUMBER, st.tuples(NUMBER, st.integers(-5, 10**20).map(str)).map(" ".join))
LINE = st.sampled_from(
    ["a", "b", 'c{x="1"}', 'c{x="2 3"}', 'd{y="# 1"}', "# HELP a text", "# TYPE a gauge", "# 1 2", "", "#", ' e{x="1"}']
)


@st.composite
def bodies(draw):
    """A body, and some that differ from it in a few tails or anywhere."""
    lines = draw(st.lists(LINE, max_size=8))
    tails = [draw(TAIL) for _ in lines]
    found = []
    for _ in range(draw(st.integers(1, 5))):
        for index in draw(st.lists(st.integers(0, max(0, len(lines) - 1)), max_size=3)):
            if lines:
                tails[index] = draw(TAIL)
        end = draw(st.sampled_from(["\n", "\n", "\n", ""]))
        written = [
            line if line.startswith("#") or not line else f"{line} {tail}"
            for line, tail in zip(lines, tails, strict=True)
        ]
        body = ("\n".join(written) + end).encode()
        if body and draw(st.integers(0, 5)) == 0:
            at = draw(st.integers(0, len(body) - 1))
            body = body[:at] + draw(st.sampled_from([b"", b"\n", b" ", b"1", b"#", b"x", b",", b"\r"])) + body[at + 1 :]
        found.append(body)
    return found


def parsed(body, parse=parse_text):
    with suppress(ExpositionError):
        return parse(body)
    return None


def same(one, other):
    return np.array_equal(one.view(np.uint64), other.view(np.uint64))


@given(bodies())
@example([b"a 1\n", b"a 12\n"])
@example([b"a 1\nb 22\n", b"a 11\nb 2\n"])
@example([b"a 1 5\nb 1\n", b"a 1 6\nb 2\n"])
@example([b"a 1\nb 1", b"a 1\nb 11"])
@example([b"a 100\n", b"a 1\n2\n"])
@example([b"a 1\n", b"a 1"])
@example([b"a -0\n", b"a 0\n", b"a -0\n"])
def test_a_body_that_is_taken_says_what_parsing_it_says(sequence):
    check(sequence, parse_text)


@given(bodies().map(lambda sequence: [body.removesuffix(b"\n") + b"\n# EOF\n" for body in sequence]))
@example([b"a 1 5\n# EOF\n", b"a 1 6\n# EOF\n"])
@example([b"a 1\tb 1\n# EOF\n", b"a 2\n# EOF\n"])
def test_so_does_a_body_of_openmetrics(sequence):
    check(sequence, parse_openmetrics)


def check(sequence, parse):
    image = None
    for body in sequence:
        if image is not None and image.update(body):
            exposition = parsed(body, parse)
            assert exposition is not None
            assert image.keys() == exposition.keys
            assert same(image.values, exposition.values)
            stamps = image.timestamps
            if stamps is None:
                assert exposition.timestamps is None
            else:
                found = exposition.timestamps
                assert np.array_equal(stamps, np.full(len(stamps), NO_TIMESTAMP) if found is None else found)
            continue
        exposition = parsed(body, parse)
        image = None if exposition is None else TextImage.of(body, exposition)
        if image is not None:
            assert image.keys() == exposition.keys
            assert len(image) == len(exposition)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a 1\nb 2\n", b"a 1\nb 2\n"),
        (b"a 1\nb 2\n", b"a 7\nb 2\n"),
        (b"a 1\nb 2\n", b"a 7e8\nb 200.25\n"),
        (b"# HELP a b\na 1\n\n# TYPE b gauge\nb 2\n", b"# HELP a b\na 1000\n\n# TYPE b gauge\nb 2\n"),
        (b"a 1 1000\nb 2\n", b"a 1 2000\nb 3\n"),
        (b"a NaN\n", b"a 1\n"),
        (b"a 1\n", b"a NaN\n"),
        (b'a{x="1"} 1\nb 222', b'a{x="1"} 11\nb 2'),
    ],
)
def test_other_numbers_are_taken(before, after):
    image = TextImage.of(before, parse_text(before))
    values = image.values
    kept = values.copy()
    assert image.update(after)
    assert same(image.values, parse_text(after).values)
    assert same(values, kept), "arrays that were handed out do not change"


@pytest.mark.parametrize(
    "after",
    [
        b"a 1\nc 2\n",
        b"aa 1\nb 2\n",
        b"b 2\na 1\n",
        b"a 1\n",
        b"a 1\nb 2\nc 3\n",
        b"# 1\nb 2\n",
        b"a x\nb 2\n",
        b"a 1 5\nb 2\n",
        b"a\n1\nb 2\n",
        b"",
    ],
)
def test_anything_else_is_not_taken_and_changes_nothing(after):
    image = TextImage.of(b"a 1\nb 2\n", parse_text(b"a 1\nb 2\n"))
    assert not image.update(after)
    assert image.keys() == [b"a", b"b"]
    assert image.update(b"a 1\nb 3\n")
    assert list(image.values) == [1, 3]


def test_openmetrics_is_taken_but_for_time_stamps_which_are_in_seconds_there():
    image = TextImage.of(b"a 1\n# EOF\n", parse_openmetrics(b"a 1\n# EOF\n"))
    assert image is not None
    assert image.update(b"a 25\n# EOF\n")
    assert image.values.tolist() == [25]
    assert not image.update(b"a 25 5\n# EOF\n")
    assert not image.update(b'a 25 # {b="c"} 1\n# EOF\n')
    stamped = b"a 1 1700000000\n# EOF\n"
    assert TextImage.of(stamped, parse_openmetrics(stamped)) is None
