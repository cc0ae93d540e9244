"""Bodies as columns."""

import numpy as np
import pytest

from promscout.errors import ExpositionError
from promscout.exposition.numbers import NORMAL_NAN_BITS
from promscout.exposition.samples import NO_TIMESTAMP, MetricMetadata
from promscout.exposition.series import parse_series
from promscout.exposition.text import parse_exactly, parse_text

both_ways = pytest.mark.parametrize("parse", [parse_text, parse_exactly])

BODY = rb"""# HELP http_requests_total Requests,\nby code: \\o/ \x "quoted".
# TYPE http_requests_total counter
http_requests_total{code="200",path="/a b"} 12
http_requests_total{code="500",path="}"} 1.5e3
up 1
# a comment
# TYPE rpc summary
rpc{quantile="0.5"} NaN
rpc_sum -Inf
"""


@both_ways
def test_samples_keep_the_order_and_the_bytes_of_their_lines(parse):
    exposition = parse(BODY)
    assert exposition.keys == [
        b'http_requests_total{code="200",path="/a b"}',
        b'http_requests_total{code="500",path="}"}',
        b"up",
        b'rpc{quantile="0.5"}',
        b"rpc_sum",
    ]
    assert len(exposition) == 5
    np.testing.assert_array_equal(exposition.values, [12, 1500, 1, np.nan, -np.inf])
    assert exposition.values.dtype == np.float64
    assert exposition.timestamps is None


@both_ways
def test_metadata_is_unescaped_and_merged_by_family(parse):
    assert parse(BODY).metadata == {
        "http_requests_total": MetricMetadata("counter", 'Requests,\nby code: \\o/ \\x "quoted".', ""),
        "rpc": MetricMetadata("summary"),
    }


@both_ways
def test_a_type_is_in_force_until_the_next(parse):
    exposition = parse(b"early 1\n" + BODY)
    assert [exposition.type_at(index) for index in range(6)] == [
        "untyped",
        *["counter"] * 3,
        *["summary"] * 2,
    ]


@both_ways
def test_quoted_names_have_metadata_and_a_type(parse):
    exposition = parse(b'# TYPE "a.b\\"" gauge\n# HELP "c d" x\n{"c d"} 1\n')
    assert exposition.metadata == {r"a.b\"": MetricMetadata("gauge"), "c d": MetricMetadata(help="x")}
    assert exposition.keys == [b'{"c d"}']


@both_ways
def test_lines_without_time_stamp_are_marked_where_others_have_one(parse):
    exposition = parse(b'a 1 5\nb{x="y"} 2\nc{x="y"} 3 1700000000000\nd{x="y",} 4 6\ne 5\n')
    assert exposition.keys == [b"a", b'b{x="y"}', b'c{x="y"}', b'd{x="y",}', b"e"]
    assert exposition.values.tolist() == [1, 2, 3, 4, 5]
    assert exposition.timestamps is not None
    assert exposition.timestamps.tolist() == [5, NO_TIMESTAMP, 1700000000000, 6, NO_TIMESTAMP]
    assert exposition.timestamps.dtype == np.int64


@both_ways
def test_every_nan_has_the_same_bits(parse):
    values = parse(b"a NaN\nb nan\nc 1\n").values
    assert values.view(np.uint64)[:2].tolist() == [NORMAL_NAN_BITS] * 2


@both_ways
def test_a_body_without_samples_is_an_empty_exposition(parse):
    exposition = parse(b"# TYPE a gauge\n\n")
    assert (exposition.keys, exposition.values.tolist(), exposition.timestamps) == ([], [], None)
    assert exposition.values.dtype == np.float64
    assert exposition.metadata == {"a": MetricMetadata("gauge")}


@pytest.mark.parametrize(
    ("body", "line", "column", "message"),
    [
        (b"a 1\nb x\n", 2, 3, "invalid value: not a number"),
        (b"a 1\nb 1e999\n", 2, 3, "invalid value: number out of range"),
        (b"a 1\nb\n", 2, 2, "expected a value after the metric"),
        (b"a 1\nb 1 x\n", 2, 5, "expected the end of the line"),
        (b"a 1\nb 1 99999999999999999999\n", 2, 5, "timestamp out of range"),
        (b"\n\n%\n", 3, 1, "expected a metric name, a brace or a comment"),
        (b"# TYPE a thing\n", 1, 9, "invalid metric type"),
        (b"# HELP a \xff\n", 1, 9, "help text is not valid UTF-8"),
        (b"# TYPE 1\n", 1, 8, "expected a metric name after TYPE"),
        (b'a{b="c" 1\n', 1, 9, "expected a label name"),
        (b"a{b} 1\n", 1, 4, "expected an equals sign"),
        (b"a{b=c} 1\r\n", 1, 5, "expected a label value"),
        (b'{a="b"} 1\r\n', 1, 8, "metric name not set"),
        (b'a{"b"} 1\r\n', 1, 6, "metric name already set"),
        (b'a{b="\xff"} 1\n', 1, 5, "label value is not valid UTF-8"),
    ],
)
def test_an_error_names_line_and_column_but_shows_nothing_of_the_body(body, line, column, message):
    with pytest.raises(ExpositionError) as caught:
        parse_text(body)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value) == f"line {line}, column {column}: {message}"


@both_ways
def test_the_separator_before_a_help_text_is_one_byte_even_of_a_longer_character(parse):
    with pytest.raises(ExpositionError, match="help text is not valid UTF-8"):
        parse("# HELP aÜz\n".encode())


@pytest.mark.parametrize(
    "key",
    [
        b'a{b="c}',
        b"a{b='c'}",
        b"a b",
        b'a{b="c"}x',
        b'a{b="c"} 1 {d="e"}',
        b"",
        b"{}",
        b'a{1="c"}',
        b"a-b",
        b'a{b="\xff"}',
    ],
)
def test_a_broken_series_text_is_refused_when_its_labels_are_read(key):
    with pytest.raises(ExpositionError):
        parse_series(key)


@pytest.mark.parametrize(
    ("key", "labels"),
    [
        (b"up", {"__name__": "up"}),
        (b'a{z="1",b="2"}', {"__name__": "a", "b": "2", "z": "1"}),
        (b'a{z="1",b="",}', {"__name__": "a", "b": "", "z": "1"}),
        (b'{"a.b","c d"="\\"\\\\\\n\\x"}', {"__name__": "a.b", "c d": '"\\\n\\x'}),
        ('a{b="ö,}"}'.encode(), {"__name__": "a", "b": "ö,}"}),
    ],
)
def test_labels_are_sorted_and_unescaped(key, labels):
    assert parse_series(key) == tuple(sorted(labels.items()))


@pytest.mark.parametrize("metric_type", ["untyped", "counter", "gauge", "summary", "histogram"])
def test_bucket_limits_are_normalized_for_histograms_only(metric_type):
    expected = "1.0" if metric_type == "histogram" else "1"
    assert dict(parse_series(b'a{le="1"}', metric_type))["le"] == expected
