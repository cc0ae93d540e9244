import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.model.series import STALE_NAN_BITS, SampleBatch, SeriesTable, encode_varint
from promscout.write.encoding import RequestEncoder, encode_message
from promscout.write.packed import FIRST_TIMESTAMP, LAST_TIMESTAMP, MAX_LABELS, PackedSeries
from promscout.write.portion import Portion
from promscout.write.templates import Templates
from unit.write.write_wire import decode_request, expected_series

NOW = 1_790_000_000_123

# Few letters and few names: neighbours shall have much in common, and differ in all the places where they can.
names = st.sampled_from(["__name__", "a", "instance", "job", "le", "path"])
contents = st.text("ab", min_size=1, max_size=6) | st.sampled_from(["x" * 59, "x" * 130, "y" * 300, "é" * 40])
labels = st.dictionaries(names, contents, min_size=1).map(lambda one: tuple(sorted(one.items())))
bits = st.integers(0, 2**64 - 1) | st.sampled_from([0, STALE_NAN_BITS, 0x7FF8000000000001])
stamps = st.integers(FIRST_TIMESTAMP, LAST_TIMESTAMP) | st.sampled_from([FIRST_TIMESTAMP, LAST_TIMESTAMP, NOW])


@st.composite
def batches(draw, stream=1):
    sets = draw(st.lists(labels, min_size=1, max_size=30))
    values = draw(st.lists(bits, min_size=len(sets), max_size=len(sets)))
    each = st.lists(stamps, min_size=len(sets), max_size=len(sets)).map(lambda one: np.array(one, dtype=np.int64))
    return SampleBatch(
        SeriesTable.from_label_sets(stream, sets), np.array(values, np.uint64).view(np.float64), draw(stamps | each)
    )


def packed_body(portion: Portion):
    template = portion.template
    sets = template.label_sets(portion.first, portion.first + len(portion))
    packed = PackedSeries(sets, own_time=not isinstance(portion.timestamps, int))
    body = bytearray(packed.body)
    packed.fill(body, 0, portion.values, portion.timestamps)
    return encode_varint(packed.size) + bytes(body)


def portion_of(batch):
    return Templates({}, ()).portion(batch)


def counters(families=50, series=20, stream=1):
    sets = [
        (
            ("__name__", f"bench_counter_{family}_total"),
            ("code", str(200 + number % 5)),
            ("instance", "127.0.0.1:20000"),
            ("job", "bench"),
            ("method", ("GET", "POST")[number % 2]),
            ("series", str(number)),
        )
        for family in range(families)
        for number in range(series)
    ]
    return SeriesTable.from_label_sets(stream, sets)


@given(batches())
@settings(max_examples=400, deadline=None)
def test_packed_series_decompress_to_the_plain_encoding(one):
    portion = portion_of(one)
    assert bytes(cramjam.snappy.decompress_raw(packed_body(portion))) == encode_message([portion])


@given(batches(), batches(stream=2), st.data())
@settings(max_examples=200, deadline=None)
def test_requests_of_packed_and_single_portions_and_their_parts_decompress_to_the_plain_encoding(one, other, data):
    encoder, whole = RequestEncoder(), [portion_of(one), portion_of(other)]
    start = data.draw(st.integers(0, len(one) - 1))
    part = whole[0].part(start, data.draw(st.integers(start, len(one))))
    requests = data.draw(st.lists(st.permutations([*whole, part]), min_size=1, max_size=12))
    for portions in requests:
        assert bytes(cramjam.snappy.decompress_raw(encoder.encode(portions))) == encode_message(portions)


@pytest.mark.parametrize("timestamps", [NOW, np.arange(NOW, NOW + 1000)])
def test_packed_series_take_hardly_more_than_what_a_compressor_makes_of_them(timestamps):
    values = np.random.default_rng(1).random(1000)
    portion = portion_of(SampleBatch(counters(), values, timestamps))
    compressed = bytes(cramjam.snappy.compress_raw(encode_message([portion])))
    encoder = RequestEncoder()
    sizes = [len(encoder.encode([portion])) for _ in range(12)]
    assert all(portion.template._packed.values())
    assert sizes[-1] < 1.25 * len(compressed)


def test_packed_series_take_little_memory():
    table = counters()
    packed = PackedSeries([table.encoded_labels(index) for index in range(len(table))], own_time=False)
    assert packed.memory < 45_000


def test_a_series_from_far_back_is_no_longer_copied():
    large = [(("__name__", "m"), ("path", str(number) + "x" * 5_000)) for number in range(20)]
    sets = [(("__name__", "seldom"),), *large, (("__name__", "seldom"),)]
    portion = portion_of(SampleBatch(SeriesTable.from_label_sets(1, sets), np.ones(len(sets)), NOW))
    assert bytes(cramjam.snappy.decompress_raw(packed_body(portion))) == encode_message([portion])


@pytest.mark.parametrize("size", [MAX_LABELS - 20, MAX_LABELS, 200_000])
def test_label_sets_too_large_to_be_packed_are_sent_all_the_same(size):
    sets = [(("__name__", "m"), ("path", "x" * size), ("n", str(number))) for number in range(3)]
    one = SampleBatch(SeriesTable.from_label_sets(1, sets), np.arange(3.0), NOW)
    portion, encoder = portion_of(one), RequestEncoder()
    for _ in range(5):
        assert decode_request(encoder.encode([portion])) == expected_series([one])


def test_series_are_packed_when_they_are_sent_again_and_little_by_little():
    encoder, tables = RequestEncoder(), [counters(stream=stream) for stream in range(8)]
    portions = [portion_of(SampleBatch(table, np.ones(1000), NOW)) for table in tables]

    def packed():
        return sum(one is not None for portion in portions for one in portion.template._packed.values())

    counts = []
    for _ in range(10):
        for portion in portions:
            encoder.encode([portion])
        counts.append(packed())
    assert counts[0] == 0
    # For 8,000 samples 1,000 series may be packed: four times 250, and one part more that was begun before.
    assert all(count <= 4 * rounds + 1 for rounds, count in enumerate(counts, start=1))
    assert counts[1] < 32
    assert counts[-1] == 32


def test_parts_of_changing_sizes_do_not_pile_up():
    encoder, portion = RequestEncoder(), portion_of(SampleBatch(counters(), np.ones(1000), NOW))
    for size in range(1, 300):
        for start in range(0, 1000, size):
            encoder.encode([portion.part(start, min(start + size, 1000))])
    assert len(portion.template._packed) < 2 * 1000


def test_a_portion_larger_than_what_is_packed_as_one_is_sent_whole():
    one = SampleBatch(counters(families=250), np.arange(5000.0), NOW)
    encoder, portion = RequestEncoder(), portion_of(one)
    for _ in range(10):
        assert decode_request(encoder.encode([portion])) == expected_series([one])
    assert [key for key, packed in portion.template._packed.items() if packed] == [
        (first, 250, False) for first in range(0, 5000, 250)
    ]
