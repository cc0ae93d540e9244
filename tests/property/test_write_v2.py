"""Requests of remote write 2.0, compared with those that the protobuf package makes."""

import cramjam
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.messages import REMOTE_WRITE_V2
from promscout.model.metadata import KnownFamilies, MetricMetadata
from promscout.model.series import STALE_NAN_BITS, SeriesTable, decode_label_set
from promscout.write.encoding_v2 import RequestEncoderV2
from promscout.write.messages import FIRST_TIMESTAMP, LAST_TIMESTAMP
from promscout.write.portion import Portion, SeriesTemplate

NUMBERS = {"counter": 1, "gauge": 2, "histogram": 3, "gaugehistogram": 4, "summary": 5, "info": 6, "stateset": 7}
SUFFIXES = {
    "counter": ("_total", "_created"),
    "histogram": ("_bucket", "_count", "_sum", "_created"),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "summary": ("_count", "_sum", "_created"),
    "info": ("_info",),
}

NAMES = st.sampled_from(["a", "b", "a_total", "b_bucket", "b_created", "a_created", "a_info", "b_sum", "é" * 70])
TEXTS = st.one_of(st.sampled_from(["", "x", "1", "0.5"]), st.text(max_size=12), st.just("v" * 17_000))
METADATA = st.builds(MetricMetadata, st.sampled_from([*NUMBERS, "unknown", "untyped"]), TEXTS, TEXTS)
FAMILIES = st.dictionaries(NAMES, METADATA, max_size=6)
LABELS = st.dictionaries(st.sampled_from(["le", "quantile", "job", "z" * 200]), TEXTS.filter(bool), max_size=4)
SERIES = st.builds(lambda name, labels: tuple(sorted({"__name__": name, **labels}.items())), NAMES, LABELS)
BITS = st.one_of(
    st.integers(0, 2**64 - 1),
    st.sampled_from([STALE_NAN_BITS, 0x7FF8000000000001, 0]),
    st.floats(1.6e9, 1.7e9).map(lambda number: int(np.float64(number).view(np.uint64))),
)
USUAL_STAMPS = st.integers(FIRST_TIMESTAMP, LAST_TIMESTAMP)
STAMPS = st.one_of(USUAL_STAMPS, st.integers(-(2**63), 2**63 - 1))


@st.composite
def portions(draw):
    """Portions of several templates, some of them parts, some of the same template again."""
    found = []
    for stream in range(draw(st.integers(1, 3))):
        label_sets = draw(st.lists(SERIES, min_size=1, max_size=12))
        table = SeriesTable.from_label_sets(stream, label_sets)
        template = SeriesTemplate(stream, table.encoded, table.offsets, KnownFamilies(draw(FAMILIES)))
        for _ in range(draw(st.integers(1, 3))):
            first = draw(st.integers(0, len(label_sets) - 1))
            count = draw(st.integers(1, len(label_sets) - first))
            bits = np.array(draw(st.lists(BITS, min_size=count, max_size=count)), np.uint64)
            stamps = draw(st.one_of(STAMPS, st.lists(USUAL_STAMPS, min_size=count, max_size=count).map(np.array)))
            found.append(Portion(template, first, bits.view(np.float64), stamps))
    return draw(st.permutations(found))


def reference(some):
    """The same message by the protobuf package, as the specification says."""
    request, symbols = REMOTE_WRITE_V2["Request"](), {"": 0}

    def symbol(text):
        return symbols.setdefault(text, len(symbols))

    for portion in some:
        label_sets = [
            decode_label_set(portion.template.encoded_labels(index))
            for index in range(portion.first, portion.first + len(portion))
        ]
        bits = portion.values.view(np.uint64).tolist()
        stamps = np.broadcast_to(portion.timestamps, len(portion)).tolist()
        families = portion.template.families.by_family()
        # As in a dictionary of what is sent, the last of several equal series counts.
        began = {
            (family, _others(labels)): value
            for labels, value in zip(label_sets, portion.values.tolist(), strict=True)
            for family in [family_of(dict(labels)["__name__"], families)]
            if family is not None
            and dict(labels)["__name__"] == family + "_created"
            and "_created" in SUFFIXES.get(families[family].type, ())
        }
        for labels, value, stamp in zip(label_sets, bits, stamps, strict=True):
            name = dict(labels)["__name__"]
            family = family_of(name, families)
            series = request.timeseries.add(labels_refs=[symbol(text) for pair in labels for text in pair])
            sample = series.samples.add(timestamp=stamp)
            sample.value = np.uint64(value).view(np.float64)
            one = families.get(family, MetricMetadata())
            series.metadata.type = NUMBERS.get(one.type, 0)
            series.metadata.help_ref, series.metadata.unit_ref = symbol(one.help), symbol(one.unit)
            seconds = began.get((family, _others(labels)), 0.0)
            if name != f"{family}_created" and FIRST_TIMESTAMP / 1000 <= seconds <= LAST_TIMESTAMP / 1000:
                sample.start_timestamp = int(np.rint(seconds * 1000))
    request.symbols[:] = list(symbols)
    return request


def family_of(name, families):
    if name in families:
        return name
    for family, one in families.items():
        if any(name == family + suffix for suffix in SUFFIXES.get(one.type, ())):
            return family
    return None


def _others(labels):
    return tuple(pair for pair in labels if pair[0] not in {"__name__", "le", "quantile"})


def resolved(request):
    """A message without references, so that the order of symbols makes no difference, and with bits for numbers."""
    texts = request.symbols
    return [
        (
            [texts[reference] for reference in series.labels_refs],
            [(np.float64(one.value).view(np.uint64), one.timestamp, one.start_timestamp) for one in series.samples],
            (series.metadata.type, texts[series.metadata.help_ref], texts[series.metadata.unit_ref]),
        )
        for series in request.timeseries
    ]


@settings(max_examples=300, deadline=None)
@given(st.lists(portions(), min_size=1, max_size=3))
def test_a_request_says_what_the_protobuf_package_would_say(requests):
    encoder = RequestEncoderV2()
    for some in requests:
        body = encoder.encode(some)
        request = REMOTE_WRITE_V2["Request"].FromString(bytes(cramjam.snappy.decompress_raw(body)))
        expected = reference(some)
        assert resolved(request) == resolved(expected)
        assert sorted(request.symbols) == sorted(expected.symbols)
