"""OpenMetrics bodies as columns."""

import math
import sys

import numpy as np
import pytest

from promscout.errors import ExpositionError
from promscout.exposition.numbers import NORMAL_NAN_BITS
from promscout.exposition.openmetrics import parse_exactly, parse_openmetrics
from promscout.exposition.openmetrics_series import parse_openmetrics_series
from promscout.exposition.samples import NO_TIMESTAMP, MetricMetadata
from promscout.model.histogram import Exemplar

both_ways = pytest.mark.parametrize("parse", [parse_openmetrics, parse_exactly])

BODY = rb"""# HELP rpc_seconds Time\nof \"calls\": \\o/ \x.
# TYPE rpc_seconds histogram
# UNIT rpc_seconds seconds
rpc_seconds_bucket{le="1"} 3 # {trace_id="a b",span="} # {"} 0.5 1700000000.123
rpc_seconds_bucket{le="+Inf"} 4 1700000001.5 # {} NaN
rpc_seconds_count 4
rpc_seconds_created 1.7e9
# TYPE go info
go_info{version="1"} 1
# TYPE up unknown
up 1 1.9999
# EOF
"""


@both_ways
def test_samples_keep_the_order_and_the_bytes_of_their_lines(parse):
    exposition = parse(BODY)
    assert exposition.keys == [
        b'rpc_seconds_bucket{le="1"}',
        b'rpc_seconds_bucket{le="+Inf"}',
        b"rpc_seconds_count",
        b"rpc_seconds_created",
        b'go_info{version="1"}',
        b"up",
    ]
    assert exposition.values.tolist() == [3, 4, 4, 1.7e9, 1, 1]
    assert exposition.values.dtype == np.float64


@both_ways
def test_time_stamps_are_seconds_cut_off_at_milliseconds(parse):
    timestamps = parse(BODY).timestamps
    assert timestamps.tolist() == [NO_TIMESTAMP, 1700000001500, *[NO_TIMESTAMP] * 3, 1999]
    assert parse(b"a 1 -0.0019\n# EOF").timestamps.tolist() == [-1]
    assert parse(b"a 1\n# EOF").timestamps is None


@both_ways
@pytest.mark.parametrize("seconds", [b"1e300", b"-1e300", b"9.3e15"])
def test_a_time_stamp_beyond_the_range_is_not_taken_for_none(parse, seconds):
    (timestamp,) = parse(b"a 1 " + seconds + b"\n# EOF").timestamps.tolist()
    assert timestamp == -sys.maxsize != NO_TIMESTAMP


@both_ways
def test_exemplars_belong_to_their_samples(parse):
    (first, one), (second, other) = parse(BODY).exemplars
    assert (first, one) == (0, Exemplar((("span", "} # {"), ("trace_id", "a b")), 0.5, 1700000000123))
    assert (second, other.labels, other.timestamp) == (1, (), None)
    assert math.isnan(other.value)


@both_ways
def test_labels_of_exemplars_are_as_written(parse):
    ((_, exemplar),) = parse(rb'a 1 # {"b.c"="x\"\n\\",d="",} 1' + b"\n# EOF").exemplars
    assert exemplar.labels == (("b.c", r"x\"\n\\"),)


@both_ways
@pytest.mark.parametrize("labels", [b'a="1",a="2"', b'a="' + b"x" * 128 + b'"', b'"\xff"="x"'])
def test_an_exemplar_that_no_storage_takes_is_left_out_of_a_scrape_that_works(parse, labels):
    exposition = parse(b"a 1 # {" + labels + b"} 1\nb 1 # {} 2\n# EOF")
    assert exposition.values.tolist() == [1, 1]
    assert list(exposition.exemplars) == [(1, Exemplar((), 2.0))]


def test_the_longest_exemplar_has_128_characters():
    body = 'a 1 # {a="' + "ö" * 127 + '"} 1\n# EOF'
    assert len(parse_openmetrics(body.encode()).exemplars) == 1


@both_ways
def test_metadata_has_units_and_help_with_quotes_unescaped(parse):
    assert parse(BODY).metadata == {
        "rpc_seconds": MetricMetadata("histogram", 'Time\nof "calls": \\o/ \\x.', "seconds"),
        "go": MetricMetadata("info"),
        "up": MetricMetadata("unknown"),
    }


@both_ways
def test_bucket_limits_are_normalized_where_the_type_says_so(parse):
    exposition = parse(BODY)
    labels = [dict(exposition.labels_of(key, exposition.type_at(index))) for index, key in enumerate(exposition.keys)]
    assert [one.get("le") for one in labels[:3]] == ["1.0", "+Inf", None]
    assert dict(exposition.labels_of(b'a{le="1"}', "gaugehistogram"))["le"] == "1"


@both_ways
def test_every_nan_has_the_same_bits(parse):
    values = parse(b"a NaN\nb nan\nc 1\n# EOF\n").values
    assert values.view(np.uint64)[:2].tolist() == [NORMAL_NAN_BITS] * 2


@both_ways
@pytest.mark.parametrize("body", [b"# EOF", b"# EOF\n", b"# EOF\0\n\0", b"# TYPE a gauge\n# EOF"])
def test_a_body_needs_no_samples_but_its_end(parse, body):
    exposition = parse(body)
    assert (exposition.keys, exposition.values.tolist(), exposition.timestamps) == ([], [], None)


@pytest.mark.parametrize(
    ("body", "line", "column", "message"),
    [
        (b"a 1\n", 2, 1, "data does not end with # EOF"),
        (b"a 1", 1, 4, "data does not end with # EOF"),
        (b"# EOF\na 1\n", 2, 1, "unexpected data after # EOF"),
        (b"# EOF\n\n", 2, 1, "unexpected data after # EOF"),
        (b"# EOFx", 1, 6, "unexpected data after # EOF"),
        (b"a 1\n\n# EOF", 2, 1, "expected a metric name, a brace or a metadata line"),
        (b"# a comment\n# EOF", 1, 1, "expected a metric name, a brace or a metadata line"),
        (b" a 1\n# EOF", 1, 1, "expected a metric name, a brace or a metadata line"),
        (b"a  1\n# EOF", 1, 2, "expected a value after the metric"),
        (b"a\t1\n# EOF", 1, 2, "expected a value after the metric"),
        (b"a 1 \n# EOF", 1, 4, "expected a timestamp"),
        (b"a 1\r\n# EOF", 1, 3, "invalid value: not a number"),
        (b"a 0x1p3\n# EOF", 1, 3, "invalid value: not a number"),
        (b"a 1 NaN\n# EOF", 1, 5, "invalid timestamp"),
        (b"a 1 -Inf\n# EOF", 1, 5, "invalid timestamp"),
        (b"a 1 2 3\n# EOF", 1, 6, "expected the end of the line"),
        (b"# TYPE a\n# EOF", 1, 9, "expected text in TYPE"),
        (b"# TYPE a untyped\n# EOF", 1, 9, "invalid metric type"),
        (b"# TYPE a  gauge\n# EOF", 1, 9, "invalid metric type"),
        (b"# TYPE 1 gauge\n# EOF", 1, 8, "expected a metric name after TYPE"),
        (b"# HELP a \xff\n# EOF", 1, 9, "help text is not valid UTF-8"),
        (b"# UNIT a_seconds bytes\n# EOF", 1, 17, "the unit is not a suffix of the metric"),
        (b"# UNIT seconds seconds\n# EOF", 1, 15, "the unit is not a suffix of the metric"),
        (b'a{b="c",,} 1\n# EOF', 1, 9, "expected a label name"),
        (b'a{b="c"d="e"} 1 1\n# EOF', 1, 8, "expected a comma or a closing brace"),
        (b'a{b ="c"} 1 1 \n# EOF', 1, 4, "expected an equals sign"),
        (b'a{b="c\nd"} 1\n# EOF', 1, 5, "expected a label value"),
        (b'a{"b"} 1\t\n# EOF', 1, 6, "metric name already set"),
        (b'{b="c"} 1\t\n# EOF', 1, 8, "metric name not set"),
        (b'a{b="\xff"} 1\n# EOF', 1, 5, "label value is not valid UTF-8"),
        (b'a 1 # {"b"} 1\n# EOF', 1, 11, "expected an equals sign"),
        (b"a 1 # {}\n# EOF", 1, 9, "expected a value after the exemplar's labels"),
        (b"a 1 # {} 1 Inf\n# EOF", 1, 12, "invalid timestamp"),
        (b"a 1 # {} 1 1 1\n# EOF", 1, 13, "expected the end of the line"),
        (b"a 1 # {} x\n# EOF", 1, 10, "invalid value: not a number"),
        (b"a 1 #  {} 1\n# EOF", 1, 5, "invalid value: not a number"),
    ],
)
def test_an_error_names_line_and_column_but_shows_nothing_of_the_body(body, line, column, message):
    with pytest.raises(ExpositionError) as caught:
        parse_exactly(body)
    assert str(caught.value) == f"line {line}, column {column}: {message}"


@pytest.mark.parametrize(
    "key", [b"", b"a b", b" a", b'a{b="c"}x', b'a{ b="c"}', b'a{b="c"d="e"}', b"a{,}", b'a{a="b",a="c"}', b'{"\xff"}']
)
def test_a_broken_series_text_is_refused_when_its_labels_are_read(key):
    with pytest.raises(ExpositionError):
        parse_openmetrics_series(key)


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        (b'a{z="1",b="",}', {"__name__": "a", "b": "", "z": "1"}),
        (b'{"a.b","c d"="\\"\\\\\\n\\x"}', {"__name__": "a.b", "c d": '"\\\n\\x'}),
        (b'{c="d","a.b"}', {"__name__": "a.b", "c": "d"}),
        ('a{b="ö,}"}'.encode(), {"__name__": "a", "b": "ö,}"}),
        (b'a{b="c\0"\0\0}', {"__name__": "a", "b": 'c\0"\0'}),  # as Prometheus has it, where NULs are skipped
    ],
)
def test_labels_are_sorted_and_unescaped(key, labels):
    assert parse_openmetrics_series(key) == tuple(sorted(labels.items()))
