from itertools import pairwise

import cramjam
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promscout.model.series import STALE_NAN_BITS, SampleBatch, SeriesTable, stale_markers
from promscout.write.encoding import RequestEncoder, encode_message
from promscout.write.templates import Templates
from unit.write.write_wire import decode_message, decode_request, expected_series, plain_message

NOW = 1_790_000_000_123

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=200)
label_sets = st.lists(
    st.dictionaries(text, text, min_size=1, max_size=4).map(lambda labels: tuple(sorted(labels.items()))), max_size=8
)
bits = st.integers(0, 2**64 - 1) | st.just(STALE_NAN_BITS)
stamps = st.integers(2**35, 2**42 - 1) | st.sampled_from(
    [-(2**63), -1, 0, 2**35 - 1, 2**35, 2**42 - 1, 2**42, 2**63 - 1]
)


@st.composite
def batches(draw):
    sets = draw(label_sets)
    values = np.array(draw(st.lists(bits, min_size=len(sets), max_size=len(sets))), dtype=np.uint64).view(np.float64)
    each = st.lists(stamps, min_size=len(sets), max_size=len(sets)).map(lambda one: np.array(one, dtype=np.int64))
    return SampleBatch(SeriesTable.from_label_sets(1, sets), values, draw(stamps | each))


def portions(*given_batches, templates=None):
    templates = templates or Templates({}, ())
    return [templates.portion(batch) for batch in given_batches]


def batch(count=3, timestamps=NOW, stream=1):
    table = SeriesTable.from_label_sets(stream, [(("__name__", "m"), ("n", str(index))) for index in range(count)])
    return SampleBatch(table, np.arange(count, dtype=np.float64), timestamps)


@given(st.lists(batches(), max_size=4))
@settings(max_examples=300, deadline=None)
def test_a_request_decodes_to_what_a_plain_encoder_writes(several):
    message = encode_message(portions(*several))
    assert message == plain_message(several)
    assert decode_message(message) == expected_series(several)


@given(batches(), st.data())
@settings(max_examples=200, deadline=None)
def test_parts_of_a_portion_encode_to_parts_of_the_request(one, data):
    (portion,) = portions(one)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(one)), max_size=3)))
    edges = [0, *cuts, len(one)]
    parts = [portion.part(start, stop) for start, stop in pairwise(edges)]
    assert encode_message(parts) == encode_message([portion])
    assert [len(part) for part in parts] == np.diff(edges).tolist()


@given(batches(), stamps)
@settings(max_examples=200, deadline=None)
def test_since_keeps_exactly_the_samples_of_that_time_or_later(one, oldest):
    (portion,) = portions(one)
    young = decode_message(encode_message(portion.since(oldest)))
    assert young == [series for series in expected_series([one]) if series[1][0][1] >= oldest]


@given(st.lists(batches(), max_size=4))
@settings(max_examples=200, deadline=None)
def test_bodies_hold_the_message_each_time_they_are_encoded_whatever_the_time_stamps(several):
    encoder, sent = RequestEncoder(), portions(*several)
    for _ in range(3):
        assert bytes(cramjam.snappy.decompress_raw(encoder.encode(sent))) == plain_message(several)


def test_a_body_is_one_snappy_block_of_the_message():
    one = batch(500)
    body = RequestEncoder().encode(portions(one))
    assert bytes(cramjam.snappy.decompress_raw(body)) == plain_message([one])


def test_a_smaller_request_after_a_larger_one_has_nothing_of_it():
    encoder = RequestEncoder()
    large, small = batch(1000), batch(2, timestamps=NOW + 1)
    assert decode_request(encoder.encode(portions(large))) == expected_series([large])
    assert decode_request(encoder.encode(portions(small))) == expected_series([small])


def test_staleness_markers_keep_their_bits():
    markers = stale_markers(batch(3).series, NOW)
    decoded = decode_request(RequestEncoder().encode(portions(markers)))
    assert [samples for _, samples in decoded] == [[(STALE_NAN_BITS, NOW)]] * 3


def test_encoding_leaves_the_template_as_it_was():
    one, templates = batch(3), Templates({}, ())
    first = encode_message(portions(one, templates=templates))
    encode_message(portions(SampleBatch(one.series, one.values + 7, NOW + 7), templates=templates))
    assert encode_message(portions(one, templates=templates)) == first


@pytest.mark.parametrize(("timestamps", "extra"), [(NOW, 0), (np.full(3, NOW, dtype=np.int64), 24)])
def test_the_memory_of_a_portion_counts_its_arrays(timestamps, extra):
    (portion,) = portions(batch(3, timestamps))
    assert portion.memory == 400 + 24 + extra
