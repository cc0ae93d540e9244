"""The strict receiver finds each broken rule, and nothing in requests that keep them all."""

import json
import math
import re
import struct

import cramjam
import pytest

from harness import prompb
from harness.strict_receiver.faults import KINDS, Faults, Plan
from harness.strict_receiver.history import History
from harness.strict_receiver.reading import V1, V2, Reader, UnreadableError, bits_of
from harness.strict_receiver.record import EXEMPLAR, SAMPLE, Items, Record, Recorded
from harness.strict_receiver.rules import STALE, SeriesRules, header_problems, message_of

LABELS = (("__name__", "m_total"), ("instance", "127.0.0.1:9090"), ("job", "j"))
HEADERS = {
    V1: {
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "snappy",
        "User-Agent": "promscout/1.0",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    },
    V2: {
        "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "Content-Encoding": "snappy",
        "User-Agent": "promscout/1.0 (linux)",
        "X-Prometheus-Remote-Write-Version": "2.0.0",
    },
}


def value(bits):
    return struct.unpack("<d", bits.to_bytes(8, "little"))[0]


def series_v1(labels=LABELS, *samples, **parts):
    one = prompb.WriteRequest().timeseries.add()
    for name, text in labels:
        one.labels.add(name=name, value=text)
    for at, number in samples or ((1000, 1.5),):
        one.samples.add(timestamp=at, value=number)
    return one


def request_v1(*series):
    message = prompb.WriteRequest()
    for one in series or (series_v1(),):
        message.timeseries.add().MergeFrom(one)
    return message


def request_v2():
    """One series with two samples and an exemplar."""
    message = prompb.Request(symbols=["", "__name__", "m_total", "job", "j", "Things.", "seconds", "trace_id", "abc"])
    one = message.timeseries.add(labels_refs=[1, 2, 3, 4])
    one.samples.add(timestamp=1000, value=1, start_timestamp=900)
    one.samples.add(timestamp=2000, value=2, start_timestamp=900)
    one.exemplars.add(labels_refs=[7, 8], value=1, timestamp=1000)
    one.metadata.type, one.metadata.help_ref, one.metadata.unit_ref = 1, 5, 6
    return message


def packed(message):
    return bytes(cramjam.snappy.compress_raw(message.SerializeToString()))


def problems(message, name=None, **options):
    name = name or message.DESCRIPTOR.full_name
    content = Reader().read(packed(message), name)
    rules = SeriesRules(**options)
    return content.problems + [text for one in content.series for text in rules.problems(one, name)]


def histogram_of(message, **changes):
    """A series with a valid histogram, changed."""
    one = message.timeseries.add()
    if message.DESCRIPTOR.full_name == V1:
        one.labels.add(name="__name__", value="h")
    else:
        message.symbols.extend(["", "__name__", "h"])
        one.labels_refs.extend([1, 2])
    fields = {
        "count_int": 7,
        "sum": 3.5,
        "schema": 3,
        "zero_threshold": 0.001,
        "zero_count_int": 1,
        "positive_deltas": [1, 1],
        "negative_deltas": [3],
        "timestamp": 1000,
        **changes,
    }
    spans = {
        name: fields.pop(name, default)
        for name, default in (("positive_spans", [(0, 2)]), ("negative_spans", [(-1, 1)]))
    }
    histogram = one.histograms.add(**fields)
    for name, pairs in spans.items():
        for offset, length in pairs:
            getattr(histogram, name).add(offset=offset, length=length)
    return message


def test_requests_that_keep_the_rules_have_no_problems():
    stale = series_v1(LABELS, (1000, math.inf), (2000, value(STALE)), (3000, math.nan))
    assert problems(request_v1(stale, series_v1((("__name__", "a:b"), ("é", "ü")))), utf8_names=True) == []
    assert problems(request_v1(stale)) == []
    assert problems(request_v2()) == []
    assert problems(histogram_of(prompb.WriteRequest())) == []
    assert problems(histogram_of(prompb.Request())) == []
    assert problems(prompb.WriteRequest(metadata=[{"metric_family_name": "m", "type": 1, "help": "Things."}])) == []
    for name, headers in HEADERS.items():
        assert message_of(headers["Content-Type"]) == name
        assert list(header_problems("POST", list(headers.items()))) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"Content-Type": "application/json"}, "Content-Type 'application/json'"),
        ({"Content-Type": "application/x-protobuf;proto=x.Y"}, "Content-Type 'application/x-protobuf;proto=x.Y'"),
        ({"Content-Type": "application/x-protobuf;q=1"}, "Content-Type 'application/x-protobuf;q=1'"),
        ({"Content-Type": ""}, "Content-Type ''"),
        ({"Content-Encoding": "gzip"}, "Content-Encoding 'gzip'"),
        ({"Content-Encoding": None}, "Content-Encoding None"),
        ({"User-Agent": "promscout"}, "User-Agent 'promscout'"),
        ({"User-Agent": None}, "User-Agent None"),
        ({"X-Prometheus-Remote-Write-Version": "2.0.0"}, "version '2.0.0' of prometheus.WriteRequest"),
        ({"X-Prometheus-Remote-Write-Version": None}, "version '' of prometheus.WriteRequest"),
        ({"Retry-Attempt": "0"}, "Retry-Attempt '0'"),
        ({"Retry-Attempt": "once"}, "Retry-Attempt 'once'"),
    ],
    ids=str,
)
def test_a_broken_header_is_found(change, problem):
    headers = [(name, text) for name, text in (HEADERS[V1] | change).items() if text is not None]
    assert list(header_problems("POST", headers)) == [problem]


def test_methods_versions_and_headers_that_are_there_twice_are_found():
    headers = list(HEADERS[V2].items())
    assert list(header_problems("PUT", headers)) == ["method PUT"]
    assert list(header_problems("POST", [*headers, ("content-encoding", "snappy")])) == [
        "header Content-Encoding is there twice"
    ]
    old = HEADERS[V2] | {"X-Prometheus-Remote-Write-Version": "0.1.0"}
    assert list(header_problems("POST", list(old.items()))) == ["version '0.1.0' of io.prometheus.write.v2.Request"]


def test_bodies_that_hold_no_message_are_found():
    reader, data = Reader(), request_v1().SerializeToString()
    with pytest.raises(UnreadableError, match="framed"):
        reader.read(bytes(cramjam.snappy.compress(data)), V1)
    with pytest.raises(UnreadableError, match="no snappy block"):
        reader.read(data, V1)
    with pytest.raises(UnreadableError, match="no snappy block"):
        reader.read(packed(request_v1())[:-1], V1)
    with pytest.raises(UnreadableError, match=r"no prometheus\.WriteRequest"):
        reader.read(bytes(cramjam.snappy.compress_raw(data[:-1])), V1)
    with pytest.raises(UnreadableError, match=r"no prometheus\.WriteRequest"):
        reader.read(packed(request_v1()).replace(b"127.0.0.1", b"\xff\xfe\xfd.0.0.1"), V1)


def test_empty_requests_and_fields_of_other_schemas_are_found():
    assert problems(prompb.WriteRequest()) == ["request without series and without metadata"]
    assert "fields that the schema does not have" in problems(request_v2(), V1)
    assert "fields that the schema does not have" in problems(request_v1(), V2)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ((LABELS[0], LABELS[2], LABELS[1]), "labels are not sorted"),
        ((LABELS[0], ("b", "1"), ("B", "1")), "labels are not sorted"),
        ((*LABELS, LABELS[2]), "a label name is there twice"),
        ((("", "x"), *LABELS), "empty label name"),
        ((*LABELS, ("zone", "")), "empty label value"),
        (LABELS[1:], "series without __name__"),
        ((), "series without __name__"),
        ((("__name__", "no-name"),), "metric name 'no-name'"),
        ((*LABELS, ("z.z", "1")), "label name 'z.z'"),
    ],
    ids=str,
)
def test_broken_labels_are_found(labels, problem):
    assert problem in problems(request_v1(series_v1(labels)))


def test_broken_series_are_found():
    both = histogram_of(prompb.WriteRequest())
    both.timeseries[0].samples.add(timestamp=1, value=1)
    assert problems(both) == ["samples and histograms in one series"]
    bare = request_v1()
    del bare.timeseries[0].samples[:]
    assert problems(bare) == ["series without samples and histograms"]
    bare.timeseries[0].exemplars.add(timestamp=1, value=1)
    assert problems(bare) == []
    bare_v2 = request_v2()
    del bare_v2.timeseries[0].samples[:]
    assert problems(bare_v2) == ["series without samples and histograms"]
    for stamps in ((2000, 1000), (1000, 1000)):
        assert problems(request_v1(series_v1(LABELS, *((at, 1) for at in stamps)))) == [
            "samples of one series are not in the order of time"
        ]
    assert problems(request_v1(series_v1(LABELS, (1, value(STALE + 1))))) == ["a NaN with the bits 0x7ff0000000000003"]
    late = request_v2()
    late.timeseries[0].samples[0].start_timestamp = 1001
    assert problems(late) == ["start time stamp after the sample's"]


def test_broken_symbols_are_found():
    def changed(change):
        message = request_v2()
        change(message, message.timeseries[0])
        return problems(message)

    def set_symbol(message, number, text):
        message.symbols[number] = text

    assert "the first symbol is not the empty string" in changed(lambda m, _: set_symbol(m, 0, "x"))
    assert "a symbol is there twice" in changed(lambda m, _: set_symbol(m, 6, "Things."))
    assert "symbols that nothing refers to, for example 'more'" in changed(lambda m, _: m.symbols.append("more"))
    assert "odd number of labels_refs" in changed(lambda _, s: s.labels_refs.append(3))
    assert "labels_refs beyond the symbols" in changed(lambda _, s: s.labels_refs.extend([9, 1]))
    assert "odd number of exemplar labels_refs" in changed(lambda _, s: s.exemplars[0].labels_refs.append(7))
    assert "exemplar labels_refs beyond the symbols" in changed(lambda _, s: s.exemplars[0].labels_refs.extend([9, 1]))
    assert "help_ref beyond the symbols" in changed(lambda _, s: setattr(s.metadata, "help_ref", 9))
    assert "unit_ref beyond the symbols" in changed(lambda _, s: setattr(s.metadata, "unit_ref", 9))
    assert "metadata of the unknown type 8" in changed(lambda _, s: setattr(s.metadata, "type", 8))


def test_broken_exemplars_are_found():
    def changed(**exemplar):
        message = request_v1()
        labels = exemplar.pop("labels", (("trace_id", "abc"),))
        one = message.timeseries[0].exemplars.add(**{"timestamp": 1, "value": 1} | exemplar)
        for name, text in labels:
            one.labels.add(name=name, value=text)
        return problems(message)

    assert changed() == []
    assert changed(labels=()) == []
    assert changed(timestamp=0) == ["exemplar without time stamp"]
    assert changed(labels=(("b", "1"), ("a", "1"))) == ["exemplar: labels are not sorted"]
    assert changed(labels=(("a", "1"), ("a", "1"))) == ["exemplar: a label name is there twice"]
    assert changed(labels=(("", "1"),)) == ["exemplar: empty label name"]
    assert changed(labels=(("a", "x" * 128),)) == ["exemplar: labels of more than 128 characters"]


def test_broken_metadata_of_1_0_are_found():
    assert problems(prompb.WriteRequest(metadata=[{"type": 1}])) == ["metadata without the name of a family"]
    assert problems(prompb.WriteRequest(metadata=[{"type": 9, "metric_family_name": "m"}])) == [
        "metadata of the unknown type 9"
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"schema": 9}, "histogram of schema 9"),
        ({"zero_count_float": 1.0}, "histogram with counts of both kinds"),
        ({"reset_hint": 4}, "histogram with the reset hint 4"),
        ({"zero_threshold": -1}, "histogram with a negative zero threshold"),
        ({"custom_values": [1]}, "histogram with custom values and a standard schema"),
        ({"positive_counts": [1]}, "histogram with buckets of both kinds"),
        ({"positive_deltas": [1]}, "histogram whose spans do not fit its buckets"),
        ({"positive_spans": [(0, 1), (-1, 1)]}, "histogram with a negative offset between spans"),
        ({"positive_deltas": [1, -2]}, "histogram with a negative bucket"),
        ({"count_int": 8}, "histogram whose buckets do not add up to its count"),
        ({"sum": math.nan, "count_int": 6}, "histogram whose buckets do not add up to its count"),
        ({"start_timestamp": 1001}, "start time stamp after the histogram's"),
    ],
    ids=str,
)
def test_broken_histograms_are_found(changes, problem):
    assert problem in problems(histogram_of(prompb.Request(), **changes))


def test_histograms_with_nan_observations_stale_ones_and_custom_buckets_may_be_sent():
    assert problems(histogram_of(prompb.Request(), sum=math.nan, count_int=8)) == []
    assert problems(histogram_of(prompb.Request(), sum=value(STALE), count_int=0, schema=99)) == []
    custom = {
        "schema": -53,
        "custom_values": [1, 2],
        "zero_count_int": 0,
        "zero_threshold": 0,
        "negative_deltas": [],
        "negative_spans": [],
        "count_int": 3,
    }
    assert problems(histogram_of(prompb.Request(), **custom)) == []
    assert problems(histogram_of(prompb.WriteRequest(), **custom)) == ["histogram with custom buckets in 1.0"]
    for changes, problem in (
        ({"custom_values": [2, 1]}, "custom values are not ascending"),
        ({"positive_spans": [(2, 2)]}, "custom buckets beyond their bounds"),
        ({"zero_count_int": 1, "count_int": 4}, "custom buckets with negative ones or a zero bucket"),
    ):
        assert problems(histogram_of(prompb.Request(), **custom | changes)) == [problem]


def test_time_goes_forward_in_each_series_and_what_comes_again_is_told_apart():
    history = History()
    assert [history.add(0, 10, 1), history.add(0, 20, 2), history.add(1, 5, 1)] == ["", "", ""]
    assert history.add(0, 20, 2) == ""
    assert history.repeats == {"unanswered": 1}
    history.answer(0, 20)
    assert history.add(0, 10, 1) == ""
    assert history.repeats == {"unanswered": 1, "answered": 1}
    assert history.add(0, 20, 3) == "comes again with another value at 20"
    assert history.add(0, 15, 3) == "goes back in time, from 20 to 15"
    assert len(history) == 3


def test_a_record_is_read_as_it_was_written_and_gone_on_with(tmp_path):
    path = tmp_path / "record"
    rows = [(0, SAMPLE, 1000, bits_of(1.5)), (1, EXEMPLAR, 1001, STALE)]
    record = Record(path)
    assert [record.number(LABELS), record.number(()), record.number(LABELS)] == [0, 1, 0]
    assert record.request(1.5, Items.of(rows), taken=True) == 0
    record.request(2.5, Items.of(rows[:1]), taken=False)
    assert record.request(3.5, Items.of(rows[1:]), taken=True) == 1
    record.answered(1)
    record.problem("é")
    record.close()
    again = Record(path)
    assert again.number((("__name__", "new"),)) == 2
    assert again.request(4.5, Items.of([]), taken=True) == 2
    again.close()
    found = Recorded.read(path)
    assert found.labels == [LABELS, (), (("__name__", "new"),)]
    assert [(one.at, one.taken, one.answered) for one in found.requests] == [
        (1.5, True, False),
        (2.5, False, False),
        (3.5, True, True),
        (4.5, True, False),
    ]
    assert found.problems == ["é"]
    columns = [found.column(name).tolist() for name in ("series", "kinds", "stamps", "bits")]
    assert list(zip(*columns, strict=True)) == [*rows, rows[1]]
    assert found.column("stamps", taken=False).tolist() == [1000]


def test_a_record_that_was_cut_short_anywhere_keeps_what_is_whole(tmp_path):
    path = tmp_path / "record"
    record = Record(path)
    ends = [0]
    for number in range(3):
        series = record.number((("n", str(number)),))
        record.request(float(number), Items.of([(series, SAMPLE, 1, 1)]), taken=True)
        ends.append(path.stat().st_size)
    record.close()
    whole = path.read_bytes()
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        again = Record(path)
        again.request(9.0, Items.of([]), taken=True)
        again.close()
        times = [one.at for one in Recorded.read(path).requests]
        assert times == [*map(float, range(sum(end <= cut for end in ends[1:]))), 9.0]


def test_faults_are_the_same_for_the_same_seed_and_as_many_as_wanted():
    def deal(**plan):
        faults = Faults(Plan.from_json(json.loads(json.dumps(plan))))
        return [faults.next() for _ in range(1000)], faults.dealt

    assert deal() == ([""] * 1000, {})
    one = deal(seed=1, rate=0.3, kinds=KINDS)
    assert one == deal(seed=1, rate=0.3, kinds=KINDS) != deal(seed=2, rate=0.3, kinds=KINDS)
    assert one[1].keys() == set(KINDS)
    assert 200 < one[1].total() < 400
    assert deal(rate=1, kinds=["500"], limit=7)[0] == ["500"] * 7 + [""] * 993
    with pytest.raises(ValueError, match="unknown kinds: 418"):
        deal(kinds=["418"])


def test_the_descriptors_are_those_of_the_schemas_beside_them():
    written = [
        (name, int(number))
        for path in prompb.HERE.glob("*.proto")
        for name, number in re.findall(r"(\w+) *= *(\d+);", path.read_text())
    ]
    known = []
    waiting = [message for file in prompb.files() for message in file.message_type]
    for message in waiting:
        waiting += message.nested_type
        known += [(one.name, one.number) for one in message.field]
        known += [(one.name, one.number) for enum in message.enum_type for one in enum.value]
    assert len(known) > 80
    assert sorted(known) == sorted(written)
