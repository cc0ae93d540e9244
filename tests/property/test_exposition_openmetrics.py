"""OpenMetrics over generated bodies."""

import math
from contextlib import suppress

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from promscout.errors import ExpositionError
from promscout.exposition.openmetrics import parse_exactly, parse_openmetrics
from promscout.exposition.openmetrics_series import parse_openmetrics_series
from promscout.exposition.samples import NO_TIMESTAMP

LEGACY_NAME = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,6}", fullmatch=True)
NAME = LEGACY_NAME | st.text(min_size=1, max_size=8).filter(lambda name: "\0" not in name)
LABELS = st.dictionaries(NAME.filter(lambda name: name != "__name__"), st.text(max_size=8), max_size=4)
PLAIN_TEXT = st.text(max_size=8).filter(lambda text: not set(text) & set('\\"\n\0'))
MILLISECONDS = st.none() | st.integers(-(2**40), 2**40)
EXEMPLAR = st.none() | st.tuples(
    st.dictionaries(LEGACY_NAME, PLAIN_TEXT.filter(bool), max_size=3), st.floats(allow_nan=False), MILLISECONDS
)
SAMPLE = st.tuples(NAME, LABELS, st.floats(), MILLISECONDS, EXEMPLAR)


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def is_legacy(name):
    return name.replace("_", "a").isalnum() and name.isascii() and not name[0].isdigit()


def pairs(labels):
    return [f"{label if is_legacy(label) else quote(label)}={quote(text)}" for label, text in labels.items()]


def number(value, milliseconds):
    # An odd number of eighths of a millisecond, so that reading it cuts the same off on all machines.
    seconds = "" if milliseconds is None else f" {milliseconds / 1000 + math.copysign(0.000125, milliseconds)!r}"
    return ("NaN" if math.isnan(value) else repr(value)) + seconds


def render(name, labels, value, milliseconds, exemplar):
    parts = pairs(labels) if is_legacy(name) else [quote(name), *pairs(labels)]
    series = (name if is_legacy(name) else "") + ("{" + ",".join(parts) + "}" if parts else "")
    line = f"{series} {number(value, milliseconds)}"
    if exemplar is not None:
        line += " # {" + ",".join(pairs(exemplar[0])) + "} " + number(*exemplar[1:])
    return line + "\n"


@given(st.lists(SAMPLE, max_size=6))
def test_rendered_samples_and_exemplars_come_back(samples):
    exposition = parse_openmetrics(("".join(render(*sample) for sample in samples) + "# EOF\n").encode())
    np.testing.assert_array_equal(exposition.values, [value for _, _, value, _, _ in samples])
    stamps = exposition.timestamps if exposition.timestamps is not None else [NO_TIMESTAMP] * len(samples)
    exemplars = dict(exposition.exemplars)
    for index, (name, labels, _, milliseconds, exemplar) in enumerate(samples):
        assert stamps[index] == (NO_TIMESTAMP if milliseconds is None else milliseconds)
        assert dict(exposition.labels_of(exposition.keys[index], "unknown")) == {"__name__": name, **labels}
        found = exemplars.pop(index, None)
        assert (found is None) == (exemplar is None)
        if found is not None:
            assert (dict(found.labels), found.value, found.timestamp) == exemplar
    assert not exemplars


# Pieces that mean something to the grammar, so that generated bodies come close to being right.
PIECES = st.sampled_from(
    [
        *(b"\n", b" ", b"  ", b"\t", b'"', b'="', b'"} ', b'",', b"{", b"}", b"=", b",", b"#", b"\\", b"\0", b"\r"),
        *(b"\xff", b" # {", b'} 1 # {a="b"} 2 3\n', b' # {a="b",} 1\n', b" # {} 0.5 1.5\n", b'x="'),
        *(b"foo", b'foo{a="b"} 1\n', b"foo 1\n", b"foo 1 5\n", b'foo{a="b"} 1 5.5\n', b'{"foo"} 1\n', b"foo 1"),
        *(b'foo{a="b",} 1\n', b'foo{a="b"} 1 # {c="d"} 2 3\n', b"# TYPE foo ", b"gauge\n", b"# HELP foo ", b"# HELP "),
        *(b"# UNIT foo_seconds ", b"seconds\n", b"# x", b'# TYPE "a.b" gauge\n', b"# EOF\n", b"# EOF", b"\n# EOF\n"),
        *(b"1", b"NaN", b"+Inf", b"1e999", b"0x1", b"1_0", b".5", b"5.", b"nan", b"-NaN", b"+1", b"01", "ö".encode()),
    ]
)
LINES = st.lists(PIECES, max_size=12).map(b"".join)
BODIES = LINES | LINES.map(lambda body: body + b"# EOF\n") | LINES.map(lambda body: body + b"\n# EOF") | st.binary()


def outcome(parse, body):
    """All that can be seen of a parsed body, or None where it is refused, series texts included."""
    try:
        exposition = parse(body)
        series = [exposition.labels_of(key, exposition.type_at(index)) for index, key in enumerate(exposition.keys)]
    except ExpositionError:
        return None
    stamps = None if exposition.timestamps is None else exposition.timestamps.tolist()
    exemplars = [(index, repr(exemplar)) for index, exemplar in exposition.exemplars]
    seen = exposition.keys, series, exposition.values.tobytes(), stamps, exemplars
    return *seen, exposition.metadata, exposition.metadata_lines.type_changes()


@given(BODIES)
@example(b'foo{a=" # {"} 1\n# EOF')
@example(b'foo 1 # {a=" # {b="} 1\n# EOF')
@example(b'{"a\nb"} 1\n# EOF')
@example(b'foo{a="b"} 1 # {a="b"} 2 # {a="b"} 2\n# EOF')
@example(b"foo 1 1e300\n# EOF")
def test_the_quick_way_agrees_with_the_exact_reader(body):
    assert outcome(parse_openmetrics, body) == outcome(parse_exactly, body)


@given(BODIES)
def test_whatever_the_bytes_only_exposition_errors_are_raised(body):
    outcome(parse_openmetrics, body)
    with suppress(ExpositionError):
        assert dict(parse_openmetrics_series(body))["__name__"]
