import errno
import os
import resource
import shutil
import subprocess
from contextlib import contextmanager

import numpy as np
import pytest

from promscout.write.portion import Portion
from promscout.write.record import Record
from promscout.write.status import Kind
from unit.write.journal_cases import ALL, NOW, Journals, everything, numbers, records, segment_files, template


@pytest.fixture
def opened():
    with Journals() as journals:
        yield journals


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {made.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def no_file_above(size):
    """Writing beyond ``size`` bytes of a file fails, after what fits was written, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def large(*of, series=8_192):
    """Records that cannot be made much smaller: 64 kB each."""
    rng = np.random.default_rng(of[0])
    one = template(1, series)
    return [Record(n, NOW + n, Portion(one, 0, rng.random(series), NOW)) for n in of]


def fill(disk):
    """Use what is left of a file system, to the last byte."""
    filler = os.open(disk / "filler", os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(OSError, match="No space left"):
            _write_on(filler)
    finally:
        os.close(filler)


def _write_on(file):
    while os.write(file, b"x" * 4096):
        pass


@pytest.mark.parametrize("more", [-1, 0, 1, 60, 200])
def test_a_write_that_stops_in_the_middle_leaves_the_journal_as_it_was(tmp_path, opened, more):
    journal = opened(tmp_path)
    journal.append(records(1))
    (path,) = segment_files(tmp_path)
    before = path.read_bytes()
    with no_file_above(len(before) + more), pytest.raises(OSError, match="File too large"):
        journal.append(records(2, 3, stream=7))
    with no_file_above(10), pytest.raises(OSError, match="File too large"):
        journal.append(records(2, 3, stream=7))
    assert (path.read_bytes(), segment_files(tmp_path), journal.bytes) == (before, [path], len(before))
    assert numbers(everything(journal)) == [1]
    journal.append(records(2, 3, stream=7))
    assert numbers(everything(journal)) == numbers(everything(opened(tmp_path))) == [1, 2, 3]
    assert opened.damage == []


def test_an_append_over_several_segments_is_all_or_nothing(tmp_path, opened):
    journal = opened(tmp_path, segment_bytes=1)
    journal.append(records(1))
    (path,) = segment_files(tmp_path)
    before = path.stat().st_size
    first, second = large(*range(2, 18)), large(18, series=200_000)  # a frame each, in a segment of its own
    with no_file_above(1_200_000), pytest.raises(OSError, match="File too large"):
        journal.append([*first, *second])
    assert (segment_files(tmp_path), journal.segments, journal.bytes) == ([path], 1, before)
    assert numbers(everything(opened(tmp_path))) == [1]
    journal.append([*first, *second])
    assert (numbers(everything(opened(tmp_path))), journal.segments) == (list(range(1, 19)), 3)


def test_a_full_disk_is_survived_and_used_again_when_there_is_room(small_disk, opened):
    journal = opened(small_disk / "journal")
    journal.append(records(1))
    journal.append(large(2))
    for _ in range(3):
        with pytest.raises(OSError, match="No space left") as error:
            journal.append(large(3, 4, 5, 6))
        assert error.value.errno == errno.ENOSPC
        assert numbers(everything(journal)) == [1, 2]
    journal.append(records(3))
    assert numbers(everything(opened(small_disk / "journal"))) == [1, 2, 3]
    journal.settle([1, 2, 3])
    journal.commit()
    journal.append(large(4, 5))
    assert numbers(everything(opened(small_disk / "journal"))) == [4, 5]
    assert opened.damage == []


def test_segments_are_removed_from_a_disk_that_is_full_to_the_last_byte(small_disk, opened):
    journal = opened(small_disk / "journal", segment_bytes=1)
    journal.append(large(1))
    journal.append(records(2))
    fill(small_disk)
    journal.settle([1])
    journal.commit()
    assert numbers(everything(opened(small_disk / "journal"))) == [2]


def test_a_disk_that_becomes_read_only_and_writable_again(small_disk, opened):
    journal = opened(small_disk / "journal")
    journal.append(records(1, 2))
    journal.rotate()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    try:
        journal.settle([1, 2])
        for write in (
            lambda: journal.append(records(3)),
            journal.commit,
            lambda: journal.trim(0, 0, ()),
        ):
            with pytest.raises(OSError, match="Read-only") as error:
                write()
            assert error.value.errno == errno.EROFS
        assert numbers(everything(opened(small_disk / "journal"))) == [1, 2]
    finally:
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    journal.append(records(3))
    journal.commit()
    assert numbers(everything(opened(small_disk / "journal"))) == [3]


def test_a_failed_sync_is_as_if_nothing_had_been_written(tmp_path, opened, monkeypatch):
    journal = opened(tmp_path)
    journal.append(records(1))

    def fail(_file):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        with pytest.raises(OSError, match="Input/output"):
            journal.append(records(2))
        with pytest.raises(OSError, match="Input/output"):
            journal.append(records(2))
        assert len(segment_files(tmp_path)) == 1
    assert numbers(everything(opened(tmp_path))) == [1]
    journal.append(records(2))
    assert numbers(everything(journal)) == numbers(everything(opened(tmp_path))) == [1, 2]


def test_bytes_that_could_not_be_cut_off_are_not_read_twice(tmp_path, opened, monkeypatch):
    journal = opened(tmp_path)
    journal.append(records(1))

    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fail)
        patch.setattr(os, "ftruncate", fail)
        with pytest.raises(OSError, match="Input/output"):
            journal.append(records(2, 3))
    journal.append(records(3, 4))
    assert numbers(everything(journal)) == [1, 3, 4]
    following = opened(tmp_path)
    assert (numbers(everything(following)), opened.backlog.records, opened.damage) == ([1, 2, 3, 4], 4, [])


def test_a_directory_that_vanished_is_made_again(tmp_path, opened):
    journal = opened(tmp_path / "journal")
    journal.append(records(1, 2, stream=1))
    journal.rotate()
    journal.append(records(3, stream=2))
    journal.settle([1])
    shutil.rmtree(tmp_path / "journal")
    journal.append(records(4))
    extents, lost = journal.damage()
    assert [(extent.path.stem, extent.start, extent.reason) for extent in extents] == [
        ("00000001", 0, "removed"),
        ("00000002", 0, "removed"),
    ]
    assert (lost.streams, lost.kinds) == ({1: 1, 2: 1}, {Kind.SAMPLES: 6})
    journal.commit()
    assert (journal.segments, numbers(everything(journal))) == (1, [4])
    assert numbers(everything(opened(tmp_path / "journal"))) == [4]


def test_a_segment_that_was_removed_while_it_is_written_is_followed_by_another(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1))
    segment_files(tmp_path)[0].unlink()
    journal.append(records(2))
    assert numbers(everything(opened(tmp_path))) == [2]
    assert numbers(everything(journal)) == [2]
    assert journal.damage()[1].streams == {1: 1}


def test_a_segment_that_was_replaced_while_it_is_written_is_followed_by_another(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1))
    (path,) = segment_files(tmp_path)
    path.unlink()
    path.write_bytes(b"")
    journal.append(records(2))
    assert numbers(everything(opened(tmp_path))) == [2]
    assert numbers(everything(journal)) == [2]


def test_a_closed_segment_that_was_removed_is_noticed_when_it_is_read(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1))
    journal.rotate()
    journal.append(records(2))
    segment_files(tmp_path)[0].unlink()
    assert journal.read(0, (), ALL)[1] == 2
    extents, lost = journal.damage()
    assert [extent.reason for extent in extents] == ["No such file or directory"]
    assert lost.streams == {1: 1}
    journal.commit()
    assert (journal.segments, numbers(everything(journal))) == (1, [2])


def test_a_directory_that_cannot_be_made_is_an_error_until_it_can(tmp_path, opened):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotADirectoryError):
        opened(tmp_path / "file" / "journal")
    journal = opened(tmp_path / "journal")
    journal.append(records(1))
    shutil.rmtree(tmp_path / "journal")
    (tmp_path / "journal").write_text("in the way")
    for _ in range(2):
        with pytest.raises(OSError, match=r"exists|directory"):
            journal.append(records(2))
        with pytest.raises(OSError, match=r"exists|directory"):
            journal.commit()
    (tmp_path / "journal").unlink()
    journal.append(records(2))
    assert numbers(everything(opened(tmp_path / "journal"))) == [2]


def test_nothing_is_lost_when_there_are_too_many_open_files(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            everything(journal)
        with pytest.raises(OSError, match="Too many open files"):
            opened(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert numbers(everything(journal)) == [1]
    assert journal.damage()[0] == []


def test_a_failed_commit_is_made_up_for_by_the_next(tmp_path, opened):
    journal = opened(tmp_path)
    journal.append(records(1, 2))
    journal.settle([1])
    with no_file_above(10), pytest.raises(OSError, match="File too large"):
        journal.commit()
    assert numbers(everything(opened(tmp_path))) == [1, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000001.segment"]
    journal.commit()
    assert numbers(everything(opened(tmp_path))) == [2]
