from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from promscout.kube.lines import LineBlocks


@given(st.lists(st.text(alphabet="ab\n", max_size=8).map(str.encode)))
def test_however_a_stream_is_cut_its_whole_lines_come_in_order_and_the_rest_waits(chunks):
    lines, given_out = LineBlocks(), b""
    for chunk in chunks:
        blocks = [bytes(block) for block in lines.feed(chunk)]
        assert all(block.endswith(b"\n") for block in blocks)
        given_out += b"".join(blocks)
    stream = b"".join(chunks)
    assert given_out == stream[: stream.rfind(b"\n") + 1]
    assert lines.waiting == len(stream) - len(given_out)


def test_only_the_lines_at_the_ends_of_a_chunk_are_copied():
    lines = LineBlocks()
    chunk = b"nd\n" + b"whole\n" * 3 + b"beg"
    assert lines.feed(b"beginning, e") == []
    joined, middle = lines.feed(chunk)
    assert joined == b"beginning, end\n"
    assert isinstance(middle, memoryview)
    assert middle.obj is chunk
    assert bytes(middle) == b"whole\n" * 3
