"""Parts of a job's targets: what one server more changes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promscout.downstream.shards import Shard, digest_of, shard_of

digests = st.integers(0, (1 << 64) - 1)
counts = st.integers(1, 1023)


@given(st.text(), counts)
def test_every_place_is_in_exactly_one_shard(place, count):
    chosen = shard_of(digest_of(place), count)
    assert 0 <= chosen < count
    for index in {0, chosen, count - 1}:
        assert (place in Shard(index, count)) is (index == chosen)


@given(digests, counts)
def test_with_one_shard_more_a_target_stays_or_moves_to_the_new_one(digest, count):
    assert shard_of(digest, count + 1) in (shard_of(digest, count), count)


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_a_shard_more_moves_its_share_and_all_shards_are_alike(count):
    step = 0x9E3779B97F4A7C15
    spread = [number * step % (1 << 64) for number in range(20_000)]
    before, after = ([shard_of(digest, shards) for digest in spread] for shards in (count, count + 1))
    moved = sum(old != new for old, new in zip(before, after, strict=True))
    assert moved / len(spread) == pytest.approx(1 / (count + 1), rel=0.15)
    for shard in range(count + 1):
        assert after.count(shard) / len(spread) == pytest.approx(1 / (count + 1), rel=0.2)


@pytest.mark.parametrize(
    ("digest", "count", "shard"),
    [(0, 1, 0), (0, 60, 0), (1, 1, 0), (1, 10, 6), (0xDEAD10CC, 1, 0), (0xDEAD10CC, 666, 361), (256, 1024, 520)],
)
def test_shards_are_those_of_the_published_algorithm(digest, count, shard):
    assert shard_of(digest, count) == shard
