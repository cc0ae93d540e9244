import os

from promscout.write.buffers import Buffers, Forsaken
from promscout.write.spool import BufferLimits

URL = "http://127.0.0.1/write"
NOW = 1_790_000_000.0


def test_a_receiver_has_the_same_directory_in_every_process_and_no_other_receiver_has_it(tmp_path):
    buffers = Buffers(tmp_path)
    first = buffers.buffer_of(URL, ())
    assert Buffers(tmp_path).buffer_of(URL, ()) == first
    assert first.directory.parent == tmp_path / "remote-write"
    second = buffers.buffer_of(URL, {first.directory})
    assert second.directory.name == f"{first.directory.name}-1"
    assert buffers.buffer_of(URL + "2", ()).directory not in {first.directory, second.directory}
    assert "127" not in first.directory.name


def make(path, size, age):
    path.mkdir(parents=True)
    file = path / "00000001.segment"
    file.write_bytes(bytes(size))
    os.utime(file, (NOW - age, NOW - age))
    (path / "settled").write_bytes(b"x")
    return path


def test_buffers_of_receivers_that_are_gone_are_told_and_removed_when_they_are_too_old(tmp_path):
    buffers = Buffers(tmp_path, BufferLimits(max_age=100))
    assert buffers.forsaken((), NOW) == []
    known = make(buffers.buffer_of(URL, ()).directory, 10, 1000)
    young = make(tmp_path / "remote-write/a", 20, 99)
    old = make(tmp_path / "remote-write/b", 30, 101)
    empty = tmp_path / "remote-write/c"
    empty.mkdir()
    assert buffers.forsaken({known}, NOW) == [Forsaken(young, 20, removed=False), Forsaken(old, 30, removed=True)]
    assert [path.exists() for path in (known, young, old, empty)] == [True, True, False, False]


def test_without_a_greatest_age_nothing_is_removed(tmp_path):
    old = make(tmp_path / "remote-write/b", 30, 1e6)
    assert Buffers(tmp_path, BufferLimits(max_age=0)).forsaken((), NOW) == [Forsaken(old, 30, removed=False)]
