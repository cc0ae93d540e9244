import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.model.series import STALE_NAN_BITS, SampleBatch, SeriesTable, encode_varint
from promscout.write.encoding import RequestEncoder, encode_message
from promscout.write.messages import FIRST_TIMESTAMP, LAST_TIMESTAMP, SeriesMessages
from promscout.write.packed import _MARKS, _OTHER_MARKS, MOST_SERIES, PackedSeries
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
    edges = portion.template.edges(portion.first, portion.first + len(portion))
    packed = PackedSeries.pack(portion.template.encoded, edges, own_time=not isinstance(portion.timestamps, int))
    assert packed is not None
    body = bytearray(packed.body)
    packed.fill(body, 0, portion.values, portion.timestamps)
    return encode_varint(packed.size) + bytes(body)


def pack(table, *, own_time=False):
    packed = PackedSeries.pack(table.encoded, table.offsets, own_time=own_time)
    assert packed is not None
    return packed


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
    packed = pack(counters(families=12))
    assert packed.memory < 240 * 35


def test_as_many_series_as_there_are_marks_are_packed():
    table = counters(families=13)
    packed = PackedSeries.pack(table.encoded, table.offsets[: MOST_SERIES + 1], own_time=False)
    assert packed is not None


def test_series_whose_time_stamp_is_copied_in_part_are_packed():
    # Their tags and sizes differ, so a compressor finds what their time stamps have in common only after some bytes.
    sets = [(("__name__", "m"), ("x", "y" * (3 * number))) for number in range(200)]
    portion = portion_of(SampleBatch(SeriesTable.from_label_sets(1, sets), np.arange(200.0), NOW))
    assert bytes(cramjam.snappy.decompress_raw(packed_body(portion))) == encode_message([portion])


def test_nothing_is_taken_for_packed_that_does_not_decompress_to_the_messages():
    table = counters(families=1)
    right, plain = pack(table), SeriesMessages(table.encoded, table.offsets)
    assert right._is_right(plain, own_time=False)
    for shift in (1, -9):
        wrong = PackedSeries(right.body, right.size, right._places + shift, right._stamps)
        assert not wrong._is_right(plain, own_time=False)
    assert not PackedSeries(right.body, right.size, right._places, ())._is_right(plain, own_time=False)
    swapped = right._places.copy()
    swapped[3], swapped[4] = right._places[4], right._places[3]
    assert not PackedSeries(right.body, right.size, swapped, right._stamps)._is_right(plain, own_time=False)


def test_every_byte_of_a_mark_is_told_from_every_other_by_what_it_is_in_both():
    pairs = [
        pair
        for one, other in ((_MARKS, _OTHER_MARKS),)
        for mark, change in (
            (one.values.tobytes(), other.values.tobytes()),
            (one.stamps.tobytes(), other.stamps.tobytes()),
            (one.common, other.common),
        )
        for pair in zip(mark, change, strict=True)
    ]
    own_time, common = pairs[: -len(_MARKS.common)], pairs[: 8 * MOST_SERIES] + pairs[-len(_MARKS.common) :]
    assert len(set(own_time)) == len(own_time) == 14 * MOST_SERIES
    assert len(set(common)) == len(common)
    assert all(mark != change for mark, change in pairs)


def test_no_four_bytes_of_marks_are_equal():
    texts = [
        b"".join((value.tobytes(), b"\x10", stamp.tobytes()))
        for value, stamp in zip(_MARKS.values, _MARKS.stamps, strict=True)
    ]
    windows = [text[at : at + 4] for text in texts for at in range(len(text) - 3)]
    assert len(set(windows)) == len(windows)


def test_large_series_are_packed_in_blocks():
    sets = [(("__name__", "m"), ("path", str(number) + "x" * 600)) for number in range(250)]
    portion = portion_of(SampleBatch(SeriesTable.from_label_sets(1, sets), np.arange(250.0), NOW))
    assert bytes(cramjam.snappy.decompress_raw(packed_body(portion))) == encode_message([portion])


def test_series_with_a_mark_among_their_labels_are_sent_all_the_same():
    # A label set that is no text, and not even labels: what is in it does not matter to a request.
    odd = _MARKS.values[:3].tobytes()
    table = SeriesTable(1, [odd, b"\x0a\x04" + odd[:8], odd * 2])
    portion, encoder = portion_of(SampleBatch(table, np.arange(3.0), NOW)), RequestEncoder()
    for _ in range(4):
        assert bytes(cramjam.snappy.decompress_raw(encoder.encode([portion]))) == encode_message([portion])
    assert portion.template._packed == {(0, 3, False): None}


def test_a_series_from_far_back_is_no_longer_copied():
    large = [(("__name__", "m"), ("path", str(number) + "x" * 5_000)) for number in range(20)]
    sets = [(("__name__", "seldom"),), *large, (("__name__", "seldom"),)]
    portion = portion_of(SampleBatch(SeriesTable.from_label_sets(1, sets), np.ones(len(sets)), NOW))
    assert bytes(cramjam.snappy.decompress_raw(packed_body(portion))) == encode_message([portion])


@pytest.mark.parametrize("size", [60_000, (1 << 16) - 30, 200_000])
def test_label_sets_larger_than_what_a_compressor_looks_back_to_are_sent_all_the_same(size):
    sets = [(("__name__", "m"), ("path", "x" * size), ("n", str(number))) for number in range(3)]
    one = SampleBatch(SeriesTable.from_label_sets(1, sets), np.arange(3.0), NOW)
    portion, encoder = portion_of(one), RequestEncoder()
    for _ in range(5):
        assert decode_request(encoder.encode([portion])) == expected_series([one])


@pytest.mark.parametrize("timestamps", [NOW, np.arange(NOW, NOW + 1000)])
def test_series_are_packed_when_they_are_sent_again(timestamps):
    encoder, portion = RequestEncoder(), portion_of(SampleBatch(counters(), np.ones(1000), timestamps))
    encoder.encode([portion])
    assert portion.template._packed == {}
    encoder.encode([portion])
    assert [packed is not None for packed in portion.template._packed.values()] == [True] * 4


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
