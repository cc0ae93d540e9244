from __future__ import annotations

import gzip

from promscout.sim.streaming import gzipped, in_chunks

PARTS = [bytes([number % 251]) * 1000 for number in range(2000)]


def test_many_small_parts_become_few_large_chunks():
    chunks = list(in_chunks(PARTS))
    assert b"".join(chunks) == b"".join(PARTS)
    assert len(chunks) == 8
    assert max(map(len, chunks)) <= 256 * 1024 + 1000


def test_a_compressed_stream_is_one_gzip_member_sent_as_it_grows():
    packed = list(gzipped(in_chunks([str(number).encode() for number in range(600_000)])))
    assert len(packed) > 3
    assert gzip.decompress(b"".join(packed)) == b"".join(str(number).encode() for number in range(600_000))


def test_nothing_is_still_a_body():
    assert b"".join(in_chunks([])) == b""
    assert gzip.decompress(b"".join(gzipped(iter(())))) == b""
