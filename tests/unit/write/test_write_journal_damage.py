import os
import shutil

import pytest

from promscout.write.frame import MAGIC, parse_header
from promscout.write.journal import Lost
from promscout.write.record import KnownTemplates, Record
from promscout.write.segment import SegmentFile
from promscout.write.status import Kind
from unit.write.journal_cases import (
    NOW,
    Journals,
    every_kind,
    everything,
    facts,
    numbers,
    portion,
    records,
    segment_files,
    template,
)


@pytest.fixture
def opened():
    with Journals() as journals:
        yield journals


@pytest.fixture
def segment(tmp_path, opened):
    """A small segment of three frames, the records in it, and where each frame begins."""
    journal = opened(tmp_path / "whole")
    one, two = template(series=2), template(stream=2, series=1)
    written = [Record(i, NOW + i, each) for i, each in enumerate(every_kind(), 1)]
    frames = [
        [Record(1, NOW, portion(one))],
        [
            Record(2, NOW, portion(one)),
            Record(3, NOW, portion(two)),
            *(each._replace(number=each.number + 3) for each in written),
        ],
        [Record(20, NOW, portion(two)), Record(21, NOW, portion(one))],
    ]
    starts = []
    for frame in frames:
        starts.append(journal.bytes)
        journal.append(frame)
    (path,) = segment_files(tmp_path / "whole")
    return path.read_bytes(), [record for frame in frames for record in frame], [*starts, journal.bytes]


def read_damaged(opened, directory, content):
    """What a journal and a plain reader of its segment tell when the segment is ``content``."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    path = directory / "00000001.segment"
    path.write_bytes(content)
    with SegmentFile(path, KnownTemplates()) as file:
        plain = [facts(record) for record in file.records()]
    extents = [*file.damage]
    with Journals() as journals:
        journal = journals(directory)
        read = [facts(record) for record in everything(journal)]
        found = journals.damage + journal.damage()[0]
    return read, plain, found, extents


def is_covered(extents, at):
    return any(extent.start <= at < extent.stop for extent in extents)


def is_part(found, whole):
    """Whether ``found`` is ``whole`` without some, in the same order."""
    rest = iter(whole)
    return all(one in rest for one in found)


@pytest.mark.parametrize("mask", [0x01, 0xFF], ids=["a bit", "all bits"])
def test_a_wrong_byte_anywhere_costs_no_more_than_its_frame_and_what_was_defined_in_it(tmp_path, opened, segment, mask):
    content, written, starts = segment
    written = [facts(record) for record in written]
    last = written[-2:]
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= mask
        read, plain, found, extents = read_damaged(opened, tmp_path / "damaged", damaged)
        assert read == plain, at
        assert is_part(read, written), at
        assert is_covered(found, at), at
        assert is_covered(extents, at), at
        if at >= starts[2]:
            assert read == written[:-2], at
        elif at >= starts[1]:
            assert read[0] == written[0], at
            assert last[1] in read, at  # its template is defined in the first frame
        else:
            assert last[0] in read, at  # its template is defined in the second frame


def test_a_segment_cut_anywhere_has_the_frames_before(tmp_path, opened, segment):
    content, written, starts = segment
    whole = [facts(record) for record in written]
    frames = [whole[:0], whole[:1], whole[:-2], whole]
    for size in range(len(content)):
        read, plain, found, _ = read_damaged(opened, tmp_path / "cut", content[:size])
        complete = sum(stop <= size for stop in starts[1:])
        assert read == plain == frames[complete], size
        assert [(extent.start, extent.stop) for extent in found] == [(starts[complete], size)] * (
            size > starts[complete]
        ), size


def test_a_torn_end_is_cut_off_and_reported_once(tmp_path, opened, segment):
    content, _, starts = segment
    path = tmp_path / "00000007.segment"
    path.write_bytes(content[:-1])
    journal = opened(tmp_path)
    ((extent,), size) = (opened.damage, path.stat().st_size)
    assert (extent.path, extent.start, extent.stop) == (path, starts[2], len(content) - 1)
    assert extent.reason
    assert size == starts[2] == journal.bytes
    opened(tmp_path)
    assert opened.damage == []


def test_a_segment_in_which_nothing_can_be_read_is_removed(tmp_path, opened):
    for name, content in (("00000001", b""), ("00000002", b"\0" * 5_000), ("00000003", MAGIC * 100)):
        (tmp_path / f"{name}.segment").write_bytes(content)
    journal = opened(tmp_path)
    assert [(extent.path.stem, extent.start, extent.stop) for extent in opened.damage] == [
        ("00000002", 0, 5_000),
        ("00000003", 0, 800),
    ]
    assert (segment_files(tmp_path), journal.segments) == ([], 0)
    journal.append(records(1))
    assert [path.stem for path in segment_files(tmp_path)] == ["00000004"]


def test_what_stands_between_two_frames_is_skipped(tmp_path, opened, segment):
    content, written, starts = segment
    junk = MAGIC + b"\0" * 70_000 + MAGIC[:3]  # longer than what is searched at once
    damaged = content[: starts[1]] + junk + content[starts[1] :]
    read, plain, found, _ = read_damaged(opened, tmp_path / "junk", damaged)
    assert read == plain == [facts(record) for record in written]
    assert [(extent.start, extent.stop) for extent in found] == [(starts[1], starts[1] + len(junk))]


def test_a_magic_that_begins_at_the_end_of_a_window_is_found(tmp_path, opened, segment):
    content, written, _ = segment
    for before in range(65_530, 65_546):
        read, *_ = read_damaged(opened, tmp_path / "window", b"\0" * before + content)
        assert read == [facts(record) for record in written], before


def test_a_frame_that_is_there_twice_is_read_once(tmp_path, opened, segment):
    content, written, starts = segment
    read, plain, found, _ = read_damaged(opened, tmp_path / "twice", content + content[starts[2] :])
    assert read == plain == [facts(record) for record in written]
    assert [extent.reason for extent in found] == ["numbers do not ascend"]


def test_what_is_in_two_segments_is_read_once(tmp_path, opened):
    opened(tmp_path / "one").append(records(1, 2, 3))
    opened(tmp_path / "other").append(records(2, 3, 4))
    shutil.copy(segment_files(tmp_path / "other")[0], tmp_path / "one" / "00000002.segment")
    journal = opened(tmp_path / "one")
    assert opened.backlog.records == 4
    assert numbers(everything(journal)) == [1, 2, 3, 4]


def test_damaged_samples_are_counted_when_they_are_found(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2, 3))
    journal.append(records(4))
    (path,) = segment_files(tmp_path)
    content = bytearray(path.read_bytes())
    header = parse_header(content)
    content[header.data_at] ^= 1
    path.write_bytes(content)
    journal = opened(tmp_path)
    assert opened.damage == []
    journal.settle([2])
    assert numbers(everything(journal)) == [4]
    extents, lost = journal.damage()
    assert [(extent.start, extent.stop, extent.reason) for extent in extents] == [
        (header.data_at, header.size, "checksum of the samples")
    ]
    assert lost == Lost({1: 2}, {Kind.SAMPLES: 6})
    assert journal.damage() == ([], Lost())
    journal.commit()
    assert numbers(everything(opened(tmp_path))) == [4]


def test_records_whose_template_is_damaged_are_counted_and_the_others_read(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, stream=1))
    journal.append(records(2, stream=2))
    journal.append(records(3, stream=1) + records(4, stream=2))
    (path,) = segment_files(tmp_path)
    content = bytearray(path.read_bytes())
    content[parse_header(content).definitions_at] ^= 1
    path.write_bytes(content)
    journal = opened(tmp_path)
    assert numbers(everything(journal)) == [2, 4]
    extents, lost = journal.damage()
    assert [extent.reason for extent in extents] == ["checksum of the definitions"]
    assert lost.streams == {1: 2}


def test_a_damaged_file_of_what_is_settled_means_that_nothing_is(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2))
    journal.settle([1])
    journal.commit()
    content = (tmp_path / "settled").read_bytes()
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 0x10
        (tmp_path / "settled").write_bytes(damaged)
        following = opened(tmp_path)
        assert [(extent.path.name, extent.start, extent.stop) for extent in opened.damage] == [
            ("settled", 0, len(content))
        ]
        assert numbers(everything(following)) == [1, 2]
    for size in range(len(content)):
        (tmp_path / "settled").write_bytes(content[:size])
        assert numbers(everything(opened(tmp_path))) == [1, 2]
        assert len(opened.damage) == (size > 0)


def test_a_segment_that_cannot_be_opened_is_skipped(tmp_path, opened):
    (tmp_path / "00000001.segment").mkdir()
    journal = opened(tmp_path)
    assert [extent.reason for extent in opened.damage] == [os.strerror(21)]
    journal.append(records(1))
    assert numbers(everything(journal)) == [1]


def test_a_record_is_not_taken_for_another_when_a_segment_was_exchanged(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2))
    opened(tmp_path / "other").append(records(2, 9))
    shutil.copy(segment_files(tmp_path / "other")[0], segment_files(tmp_path)[0])
    assert numbers(everything(journal)) == [2]
    assert journal.damage()[1].streams == {1: 1}
