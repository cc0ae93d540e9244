"""Classic histograms of text bodies that become native ones with custom buckets."""

import math

import pytest

from promscout.errors import InvalidValueError
from promscout.exposition.classic import ClassicHistogram
from promscout.exposition.negotiation import Format
from promscout.exposition.parse import parse
from promscout.exposition.samples import NO_TIMESTAMP
from promscout.exposition.series import parse_series, series_text
from promscout.model.histogram import CUSTOM_BUCKETS_SCHEMA, Exemplar, Histogram, Span

BODY = b"""# HELP h Some help.
# TYPE h histogram
h_bucket{a="1",le="0.5"} 3
h_bucket{a="1",le="1"} 5
h_bucket{a="1",le="+Inf"} 7
h_sum{a="1"} 2.5
h_count{a="1"} 7
h_bucket{a="2",le="+Inf"} 0
h_sum{a="2"} 0
h_count{a="2"} 0
# TYPE g gauge
g 1
"""


def histogram(*buckets, bounds=(), count=0, total=0.0, **fields):
    return Histogram(
        schema=CUSTOM_BUCKETS_SCHEMA,
        count=count,
        sum=total,
        positive_spans=(Span(0, len(buckets)),) if buckets else (),
        positive_buckets=buckets,
        custom_values=bounds,
        **fields,
    )


def converted(body, body_format=Format.TEXT, *, keep=False):
    return parse(body, body_format, convert_classic=True, classic_too=keep)


def natives(exposition):
    """Label sets and histograms."""
    exposed = exposition.histograms
    return [
        (dict(exposition.labels_of(key, "histogram")), one)
        for key, one in zip(exposed.keys, exposed.histograms, strict=True)
    ]


def test_series_of_a_classic_histogram_become_one_native_histogram():
    exposition = converted(BODY)
    assert natives(exposition) == [
        ({"__name__": "h", "a": "1"}, histogram(3, -1, 0, bounds=(0.5, 1.0), count=7, total=2.5)),
        ({"__name__": "h", "a": "2"}, histogram()),
    ]
    assert exposition.keys == [b"g"]
    assert exposition.values.tolist() == [1.0]
    assert exposition.type_at(0) == "gauge"
    assert exposition.metadata["h"].help == "Some help."


def test_the_classic_series_stay_where_they_are_asked_for():
    kept, plain = converted(BODY, keep=True), parse(BODY, Format.TEXT)
    assert kept.keys == plain.keys
    assert kept.values.tolist() == plain.values.tolist()
    assert kept.metadata_lines.type_changes() == plain.metadata_lines.type_changes()
    assert natives(kept) == natives(converted(BODY))


def test_openmetrics_is_converted_with_its_exemplars():
    body = b"""# TYPE h histogram
h_bucket{le="1.0"} 1 # {t="x"} 0.5 1.5
h_bucket{le="+Inf"} 2 # {t="y"} 5
h_count 2
h_sum 6
# TYPE c counter
c_total 1 # {t="z"} 1
# EOF
"""
    exposition = converted(body, Format.OPENMETRICS)
    assert natives(exposition) == [({"__name__": "h"}, histogram(1, 0, bounds=(1.0,), count=2, total=6.0))]
    # Without a time stamp it is no exemplar of a native histogram.
    assert exposition.histograms.exemplars == [(0, Exemplar((("t", "x"),), 0.5, 1500))]
    assert exposition.keys == [b"c_total"]
    assert exposition.exemplars == [(0, Exemplar((("t", "z"),), 1.0))]


def test_time_stamps_are_those_of_the_series():
    body = b'# TYPE h histogram\nh_count{a="1"} 1 1700\nh_sum{a="1"} 1 1700\nh_count 1\n# TYPE g gauge\ng 1 5\nf 2\n'
    exposition = converted(body)
    assert exposition.histograms.timestamps.tolist() == [1700, NO_TIMESTAMP]
    assert exposition.timestamps.tolist() == [5, NO_TIMESTAMP]


@pytest.mark.parametrize(
    "body",
    [
        b"g 1\nh_count 1\n",
        b"# TYPE h summary\nh_count 1\nh_sum 1\n",
        b"# TYPE g histogram\nh_count 1\n",
        b"# TYPE h histogram\n# TYPE h gauge\nh_count 1\n",
        b"# TYPE h histogram\nh 1\nh_created 1\nhh_count 1\n",
        b'# TYPE h histogram\nh_bucket 1\nh_bucket{le="x"} 1\nh_bucket{le="NaN"} 1\n',
    ],
    ids=["no type", "summary", "other name", "type changed", "other suffixes", "no bound"],
)
def test_what_is_no_classic_histogram_stays(body):
    exposition = converted(body)
    assert exposition.keys == parse(body, Format.TEXT).keys
    assert not exposition.histograms or not exposition.histograms.keys


def test_contradictory_series_are_left_out():
    body = b'# TYPE h histogram\nh_bucket{le="1"} 5\nh_bucket{le="+Inf"} 2\nh_count{a="1"} 3\ng 1\n'
    exposition = converted(body)
    assert [labels for labels, _ in natives(exposition)] == [{"__name__": "h", "a": "1"}]
    assert exposition.keys == [b"g"]


def test_a_line_about_a_metric_ends_a_histogram():
    body = b'# TYPE h histogram\nh_count{a="1"} 1\n# HELP h again\nh_sum{a="1"} 4\n'
    assert [one.count for _, one in natives(converted(body))] == [1, 0]


def test_a_comment_within_a_histogram_does_not_end_it():
    body = b"# TYPE h histogram\nh_count 1\n# so be it\nh_sum 4\n"
    assert natives(converted(body)) == [({"__name__": "h"}, histogram(1, count=1, total=4.0))]


def test_a_body_without_histograms_is_given_back_as_it_is():
    exposition = parse(b"# TYPE g gauge\ng 1\n", Format.TEXT, convert_classic=True)
    assert exposition.histograms is None


@pytest.mark.parametrize(
    "labels",
    [
        (("__name__", "h"),),
        (("__name__", "a b"), ("empty", ""), ("x", "1")),
        (("A", 'quoted "q" \\ back\nline'), ("__name__", 'n"a\\m\ne'), ('la"b\\e\nl', "x")),
    ],
)
def test_a_series_text_is_read_as_the_labels_that_it_was_made_of(labels):
    assert parse_series(series_text(labels)) == tuple(sorted(labels))


def collect(*buckets, count=None, total=None):
    collected = ClassicHistogram()
    for bound, value in buckets:
        collected.add_bucket(bound, value)
    if count is not None:
        collected.set_count(count)
    if total is not None:
        collected.set_sum(total)
    return collected


INF = math.inf


@pytest.mark.parametrize(
    ("collected", "expected"),
    [
        (collect(), histogram()),
        (collect(count=3.0, total=1.0), histogram(3, count=3, total=1.0)),
        (collect((1.0, 2.0), (INF, 2.0)), histogram(2, bounds=(1.0,), count=2)),
        (collect((1.0, 2.0)), histogram(2, bounds=(1.0,), count=2)),
        (collect((1.0, 2.0), count=5.0), histogram(2, 1, bounds=(1.0,), count=5)),
        (collect((INF, 4.0), (2.0, 3.0), (1.0, 1.0)), histogram(1, 1, -1, bounds=(1.0, 2.0), count=4)),
        (collect((1.0, 2.0), (1.0, 9.0), (INF, 2.0)), histogram(2, bounds=(1.0,), count=2)),
        (collect((-1.0, 0.5), (INF, 2.0)), histogram(0.5, 1.5, bounds=(-1.0,), count=2.0, is_float=True)),
        (collect(count=1e30), histogram(1e30, count=1e30, is_float=True)),
        (collect((1.0, 2.0**53 + 2), (INF, 2.0**60)), histogram(
            2**53 + 2, 2**60 - 2 * (2**53 + 2), bounds=(1.0,), count=2**60
        )),
    ],
    ids=[
        "nothing", "count only", "with +Inf", "without +Inf", "with count", "unordered", "bound twice", "fractions",
        "huge count", "beyond 53 bits",
    ],
)  # fmt: skip
def test_parts_become_a_histogram(collected, expected):
    assert collected.convert() == expected


def test_up_to_two_empty_buckets_stay_between_others_where_counts_are_integers():
    bounds = (1.0, 2.0, 3.0, 4.0)
    few = collect((1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 2.0), (INF, 2.0)).convert()
    assert few == histogram(1, -1, 0, 1, bounds=bounds, count=2)
    many = collect((1.0, 1.0), (2.0, 1.0), (3.0, 1.0), (4.0, 1.0), (INF, 2.0)).convert()
    assert (many.positive_spans, many.positive_buckets) == ((Span(0, 1), Span(3, 1)), (1, 0))
    floats = collect((1.0, 0.5), (2.0, 0.5), (3.0, 1.0), count=1.0).convert()
    assert (floats.positive_spans, floats.positive_buckets) == ((Span(0, 1), Span(1, 1)), (0.5, 0.5))


@pytest.mark.parametrize(
    ("collected", "problem"),
    [
        (collect((1.0, -1.0)), "bucket count must be non-negative"),
        (collect(count=-1.0), "count must be non-negative"),
        (collect((1.0, 3.0), (2.0, 2.0)), "not cumulative"),
        (collect((2.0, 3.0), (1.0, 4.0)), "not cumulative"),
        (collect((1.0, 3.0), count=2.0), "not cumulative"),
        (collect((INF, 3.0), count=2.0), "count mismatch"),
        (collect(count=math.nan), "count mismatch"),
        (collect((1.0, -1.0), (2.0, -2.0)), "le=1, count=-1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parts_that_do_not_fit_are_refused(collected, problem):
    with pytest.raises(InvalidValueError, match=problem):
        collected.convert()
