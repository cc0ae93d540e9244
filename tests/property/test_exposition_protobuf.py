"""Protobuf bodies against text bodies, and against anything at all."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.messages import (
    COUNTER,
    GAUGE,
    HISTOGRAM,
    SUMMARY,
    UNTYPED,
    delimited,
    family,
)
from promscout.errors import ExpositionError, InvalidValueError
from promscout.exposition.protobuf import parse_protobuf
from promscout.exposition.samples import NO_TIMESTAMP
from promscout.exposition.series import series_text
from promscout.exposition.text import parse_text
from promscout.scrape.histograms import HistogramLimits

TYPES = {COUNTER: "counter", GAUGE: "gauge", SUMMARY: "summary", UNTYPED: "untyped", HISTOGRAM: "histogram"}

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
names = st.sampled_from(["a", "m_total", "x:y", "z.z", "Ü", 'q"\\'])
labels = st.dictionaries(st.sampled_from(["A", "a", "lf", "zone", "_x", "ü", "d.o"]), texts, max_size=4)
values = st.floats() | st.integers(-5, 5).map(float)
bounds = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=5, unique=True).map(sorted)
stamps = st.sampled_from([0, 0, 1, 1_700_000_000_000])


@st.composite
def metrics(draw, kind):
    metric = {"label": draw(labels), "timestamp_ms": draw(stamps)}
    if kind == SUMMARY:
        quantiles = [{"quantile": one, "value": draw(values)} for one in draw(bounds)]
        return metric | {
            "summary": {"sample_count": draw(st.integers(0, 9)), "sample_sum": draw(values), "quantile": quantiles}
        }
    if kind == HISTOGRAM:
        buckets = [{"upper_bound": one, "cumulative_count": draw(st.integers(0, 9))} for one in draw(bounds)]
        return metric | {
            "histogram": {"sample_count": draw(st.integers(0, 9)), "sample_sum": draw(values), "bucket": buckets}
        }
    return metric | {TYPES[kind]: {"value": draw(values)}}


@st.composite
def families(draw):
    kind = draw(st.sampled_from(list(TYPES)))
    metric = st.deferred(lambda: metrics(kind))
    return family(draw(names), kind, *draw(st.lists(metric, max_size=3)), help=draw(texts))


def number(value):
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def lines(message):
    """A family in text format, as a client library writes it."""
    name = message.name
    quoted = series_text([("__name__", name)])[1:-1].decode()
    yield f"# HELP {quoted} " + message.help.replace("\\", r"\\").replace("\n", r"\n")
    yield f"# TYPE {quoted} {TYPES[message.type]}"
    for metric in message.metric:
        pairs = {label.name: label.value for label in metric.label}

        def line(suffix, value, pairs=pairs, stamp=metric.timestamp_ms, **more):
            text = series_text([("__name__", name + suffix), *pairs.items(), *more.items()]).decode()
            return f"{text} {number(value)}" + (f" {stamp}" if stamp else "")

        if message.type == SUMMARY:
            yield line("_count", metric.summary.sample_count)
            yield line("_sum", metric.summary.sample_sum)
            for one in metric.summary.quantile:
                yield line("", one.value, quantile=number(one.quantile))
        elif message.type == HISTOGRAM:
            yield line("_count", metric.histogram.sample_count)
            yield line("_sum", metric.histogram.sample_sum)
            for one in metric.histogram.bucket:
                yield line("_bucket", one.cumulative_count, le=number(one.upper_bound))
            yield line("_bucket", metric.histogram.sample_count, le="+Inf")
        else:
            yield line("", getattr(metric, TYPES[message.type]).value)


def rows(exposition):
    stamps = exposition.timestamps
    return [
        (
            exposition.labels_of(key, exposition.type_at(index)),
            exposition.values[index].tobytes(),
            NO_TIMESTAMP if stamps is None else int(stamps[index]),
        )
        for index, key in enumerate(exposition.keys)
    ]


@given(st.lists(families(), max_size=4))
def test_a_protobuf_body_of_classic_metrics_means_what_the_text_body_means(messages):
    body = delimited(*messages)
    text = "".join(f"{line}\n" for message in messages if message.metric for line in lines(message)).encode()
    assert rows(parse_protobuf(body, classic_too=False, keep_native=True)) == rows(parse_text(text))


def read(body, **options):
    """The exposition and its admitted histograms; None if the scrape fails."""
    try:
        exposition = parse_protobuf(body, **options)
        for index, key in enumerate(exposition.keys):
            exposition.labels_of(key, exposition.type_at(index))
        admitted = [
            HistogramLimits(bucket_limit=20).admit(one)
            for one in (exposition.histograms.histograms if exposition.histograms else ())
        ]
    except (ExpositionError, InvalidValueError):
        return None
    return exposition, admitted


options = st.fixed_dictionaries(
    {"classic_too": st.booleans(), "keep_native": st.booleans(), "convert_classic": st.booleans()}
)


@given(st.binary(max_size=60), options)
@settings(max_examples=500)
def test_any_bytes_are_read_or_refused(body, given_options):
    read(body, **given_options)
    read(delimited(body), **given_options)


ints = st.integers(-3, 6)
spans = st.lists(st.builds(lambda o, n: {"offset": o, "length": n}, ints, st.integers(0, 3)), max_size=3)
floats = st.floats() | ints.map(float)
exemplars = st.fixed_dictionaries(
    {}, optional={"value": floats, "timestamp": st.just({"seconds": 3, "nanos": -1_500_000})}
)
histograms = st.fixed_dictionaries(
    {},
    optional={
        "schema": st.integers(-5, 9) | st.just(-53),
        "sample_count": st.integers(0, 40),
        "sample_count_float": floats,
        "sample_sum": floats,
        "zero_count": st.integers(0, 3),
        "zero_count_float": floats,
        "zero_threshold": floats,
        "positive_span": spans,
        "negative_span": spans,
        "positive_delta": st.lists(ints, max_size=6),
        "negative_delta": st.lists(ints, max_size=6),
        "positive_count": st.lists(floats, max_size=6),
        "negative_count": st.lists(floats, max_size=6),
        "exemplars": st.lists(exemplars, max_size=2),
        "bucket": st.lists(
            st.builds(
                lambda bound, count: {"upper_bound": bound, "cumulative_count": count}, floats, st.integers(0, 9)
            ),
            max_size=3,
        ),
    },
)


@given(histograms, st.sampled_from([HISTOGRAM, 5]), options)
@settings(max_examples=500)
def test_any_histogram_is_read_or_refused(histogram, kind, given_options):
    found = read(delimited(family("h", kind, {"histogram": histogram})), **given_options)
    if found is None:
        return
    exposition, admitted = found
    assert len(admitted) <= 1
    assert len(exposition) + len(admitted) > 0
