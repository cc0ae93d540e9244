import gc

import numpy as np
import pytest

from promscout.model.metadata import KnownFamilies, MetricMetadata
from promscout.write.journal import Lost
from promscout.write.portion import Items, Portion, SeriesTemplate
from promscout.write.record import KnownTemplates, Record
from promscout.write.segment import SegmentFile
from promscout.write.status import Kind
from unit.write.journal_cases import (
    ALL,
    HISTOGRAM,
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


SMALL = 1  # bytes after which a segment is full: each append begins another one


def test_a_record_of_every_kind_is_read_again_as_it_was_by_the_next_process(tmp_path, opened):
    written = [Record(7 * i, NOW + i, one) for i, one in enumerate(every_kind(), 1)]
    opened(tmp_path).append(written)
    journal = opened(tmp_path)
    backlog, damage = opened.backlog, opened.damage
    read, looked = journal.read(0, (), ALL)
    assert list(map(facts, read)) == list(map(facts, written))
    assert (looked, damage, backlog.records, backlog.next_number) == (49, [], 7, 50)
    assert backlog.streams == {1: 6, (1 << 64) - 1: 1}
    assert backlog.kinds == {Kind.SAMPLES: 11, Kind.HISTOGRAMS: 2, Kind.EXEMPLARS: 2}
    assert backlog.oldest_ms == NOW + 1


def test_whole_numbers_of_a_histogram_stay_whole(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append([Record(1, NOW, Items(Kind.HISTOGRAMS, template(), (0,), (HISTOGRAM,), (NOW,)))])
    (record,) = everything(journal)
    (read,) = record.portion.items
    assert repr(read) == repr(HISTOGRAM)
    assert isinstance(read.count, int)


def test_an_empty_journal_has_nothing(tmp_path, opened):
    journal = opened(tmp_path / "made" / "deep")
    backlog, damage = opened.backlog, opened.damage
    assert (backlog.records, backlog.streams, backlog.kinds, backlog.next_number) == (0, {}, {}, 1)
    assert backlog.oldest_ms is None
    assert damage == []
    assert journal.read(3, (), ALL) == ([], 3)
    assert (journal.bytes, journal.segments) == (0, 0)


def test_nothing_appended_makes_no_segment(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append([])
    assert segment_files(tmp_path) == []


def test_numbers_that_do_not_ascend_are_refused(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(5))
    for wrong in ((5,), (4,), (7, 6), (6, 6)):
        with pytest.raises(ValueError, match="ascend"):
            journal.append(records(*wrong))
    assert numbers(everything(journal)) == [5]


def test_a_template_that_somebody_holds_is_the_same_object_in_every_frame_and_segment(tmp_path, opened):
    journal = opened(tmp_path, segment_bytes=SMALL)
    mine = template()
    for number in (1, 2):
        journal.append([Record(number, NOW, portion(mine))])
    assert {record.portion.template for record in everything(journal)} == {mine}
    other = opened(tmp_path)
    first, second = everything(other)
    assert first.portion.template is second.portion.template
    (again, *_), _ = opened(tmp_path).read(0, (), 1)
    assert again.portion.template is not mine


def test_equal_templates_of_different_streams_stay_apart(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, stream=1) + records(2, stream=2))
    assert [record.portion.stream for record in everything(opened(tmp_path))] == [1, 2]


def test_equal_templates_are_written_once_in_a_segment(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append([Record(1, NOW, portion(template(series=500)))])
    before = journal.bytes
    journal.append([Record(2, NOW, portion(template(series=500)))])
    assert journal.bytes - before < before / 2
    assert [facts(record)[3:6] for record in everything(opened(tmp_path))] == [
        facts(Record(0, 0, portion(template(series=500))))[3:6]
    ] * 2


def test_templates_are_not_kept_alive_by_the_journal(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1))
    gc.collect()
    assert not len(journal._templates._known)


def test_the_part_of_a_template_in_the_middle_of_a_table_is_read_as_such(tmp_path, opened):
    whole = template(series=4)
    part = SeriesTemplate(1, whole.encoded, whole.offsets[1:4])
    opened(tmp_path).append([Record(1, NOW, portion(part))])
    (record,) = everything(opened(tmp_path))
    assert record.portion.template.label_sets(0, 2) == whole.label_sets(1, 3)


def test_families_are_those_of_the_first_process(tmp_path, opened):
    families = {"m": MetricMetadata("gauge", "Hilfe: ü", "seconds"), "n": MetricMetadata()}
    opened(tmp_path).append([Record(1, NOW, portion(template(families=families)))])
    (record,) = everything(opened(tmp_path))
    assert record.portion.template.families.by_family() == families


def test_reading_takes_up_where_it_left_off(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2, 3))
    journal.append(records(8, 9))
    one = records(1)[0].portion.memory
    read, at = journal.read(0, (), 2 * one)
    assert (numbers(read), at) == ([1, 2], 2)
    read, at = journal.read(at, (), 2 * one)
    assert (numbers(read), at) == ([3, 8], 8)
    journal.append(records(10))
    read, at = journal.read(at, (), ALL)
    assert (numbers(read), at) == ([9, 10], 10)
    assert journal.read(at, (), ALL) == ([], 10)


def test_at_least_one_record_is_read_however_little_room_there_is(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2))
    read, at = journal.read(0, (), 1)
    assert (numbers(read), at) == ([1], 1)


def test_what_is_held_or_settled_is_not_read(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2, 3, 4, 5))
    journal.settle([2, 99])
    read, at = journal.read(0, {1, 4, 5}, ALL)
    assert (numbers(read), at) == ([3], 5)


def test_settled_records_come_back_in_the_next_process_unless_committed(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2, 3, 4))
    journal.settle([1, 3])
    journal.commit()
    journal.settle([2])
    following = opened(tmp_path)
    backlog = opened.backlog
    assert numbers(everything(following)) == [2, 4]
    assert (backlog.records, backlog.streams, backlog.next_number, backlog.oldest_ms) == (2, {1: 2}, 5, NOW + 2)


def test_a_segment_is_removed_when_all_in_it_is_settled(tmp_path, opened):
    journal = opened(tmp_path, segment_bytes=SMALL)
    for number in (1, 2, 3):
        journal.append(records(number))
    journal.settle([2])
    journal.commit()
    assert journal.segments == len(segment_files(tmp_path)) == 2
    assert journal.bytes == sum(path.stat().st_size for path in segment_files(tmp_path))
    assert numbers(everything(opened(tmp_path))) == [1, 3]


def test_no_segment_stays_when_nothing_is_left_and_numbers_go_on(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 7))
    journal.settle([1, 7])
    journal.commit()
    assert (segment_files(tmp_path), journal.bytes, journal.segments) == ([], 0, 0)
    following = opened(tmp_path)
    backlog = opened.backlog
    assert (backlog.records, backlog.next_number) == (0, 8)
    following.append(records(8))
    assert numbers(everything(opened(tmp_path))) == [8]


def test_after_everything_was_settled_the_journal_goes_on(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1))
    journal.settle([1])
    journal.commit()
    journal.append(records(2))
    assert numbers(everything(journal)) == numbers(everything(opened(tmp_path))) == [2]


def test_trimming_removes_the_oldest_segments_and_tells_what_is_lost(tmp_path, opened):
    journal = opened(tmp_path, segment_bytes=SMALL)
    for number in (1, 2, 3, 4):
        journal.append(records(number, stream=number))
    journal.settle([1])
    size = journal.bytes
    lost = journal.trim(size // 4 + 1, 0, {2})
    assert lost == Lost({3: 1}, {Kind.SAMPLES: 3})
    assert numbers(everything(journal)) == numbers(everything(opened(tmp_path))) == [4]


def test_trimming_removes_what_is_too_old(tmp_path, opened):
    journal = opened(tmp_path, segment_bytes=SMALL)
    for number in (1, 2, 3):
        journal.append(records(number))
    lost = journal.trim(ALL, NOW + 3, ())
    assert lost == Lost({1: 2}, {Kind.SAMPLES: 6})
    assert numbers(everything(journal)) == [3]


def test_trimming_may_remove_everything(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2))
    assert journal.trim(0, 0, ()).streams == {1: 2}
    assert (segment_files(tmp_path), journal.segments) == ([], 0)
    journal.append(records(3))
    assert numbers(everything(opened(tmp_path))) == [3]


def test_nothing_is_trimmed_within_the_limits(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1))
    assert journal.trim(journal.bytes, NOW, ()) == Lost()
    assert numbers(everything(journal)) == [1]


def test_a_large_append_goes_over_several_segments(tmp_path, opened):
    journal = opened(tmp_path, segment_bytes=1 << 20)
    series = template(series=50_000)
    rng = np.random.default_rng(1)
    written = [Record(number, NOW, Portion(series, 0, rng.random(50_000), NOW)) for number in range(1, 10)]
    journal.append(written)
    assert journal.segments > 1
    read = everything(opened(tmp_path))
    assert numbers(read) == list(range(1, 10))
    assert all((one.portion.values == other.portion.values).all() for one, other in zip(read, written, strict=True))


def test_values_that_change_little_take_a_quarter_of_their_bytes(tmp_path, opened):
    journal = opened(tmp_path)
    series = template(series=1_000)
    rng = np.random.default_rng(1)
    values = rng.integers(1, 10**9, 1_000).astype(float)
    journal.append([Record(1, NOW, Portion(series, 0, values, NOW))])
    before = journal.bytes
    for number in range(2, 22):
        values = values + np.where(np.arange(1_000) % 2, rng.integers(1, 1_000, 1_000), 0)
        journal.append([Record(number, NOW, Portion(series, 0, values, NOW))])
    assert (journal.bytes - before) / 20_000 < 2


def test_closed_segments_are_listed_read_on_their_own_and_removed(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2))
    assert journal.closed() == []
    journal.rotate()
    journal.append(records(3))
    (path,) = journal.closed()
    with SegmentFile(path, KnownTemplates()) as segment:
        assert list(map(facts, segment.records())) == list(map(facts, records(1, 2)))
        assert segment.damage == []
    journal.remove(path)
    assert not path.exists()
    assert numbers(everything(journal)) == [3]


def test_other_files_in_the_directory_are_left_alone(tmp_path, opened):
    for name in ("notes.txt", "x.segment", "settled.new"):
        (tmp_path / name).write_text("mine")
    journal = opened(tmp_path)
    journal.append(records(1))
    journal.settle([1])
    assert opened.damage == []
    assert {path.name for path in tmp_path.glob("*[!0-9].*")} >= {"notes.txt", "x.segment"}


def test_families_without_text_are_known_by_name(tmp_path, opened):
    bare = SeriesTemplate(1, template().encoded, template().offsets, KnownFamilies({"m": MetricMetadata()}))
    opened(tmp_path).append([Record(1, NOW, portion(bare))])
    (record,) = everything(opened(tmp_path))
    assert record.portion.template.families.by_family() == {"m": MetricMetadata()}
