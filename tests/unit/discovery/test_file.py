from __future__ import annotations

import asyncio
import json
import logging
import os
from contextlib import asynccontextmanager

import pytest

from promscout.discovery.file.config import FileSDConfig
from promscout.discovery.file.discoverer import FileFactory
from promscout.discovery.target_groups import MAX_SIZE
from promscout.model.duration import Duration
from unit.discovery.discovered import Discovered


class FileDiscovered(Discovered):
    """File discoverers; paths are those within ``directory``."""

    def __init__(self, directory):
        super().__init__(FileFactory)
        self.directory = directory

    @property
    def relative_changes(self):
        return [[source.removeprefix(f"{self.directory}/") for source in sources] for sources in self.changes]

    @asynccontextmanager
    async def running(self, *files, refresh="5m"):
        config = FileSDConfig(files=files, refresh_interval=Duration.parse(refresh)).with_directory(self.directory)
        async with self.discovering(config):
            await asyncio.sleep(0.5)
            yield

    @property
    def addresses(self):
        return self.addresses_without(f"{self.directory}/")

    def value(self, name, **labels):
        return self.registry.get_sample_value(f"prometheus_sd_file_{name}", labels)


@pytest.fixture
def discovered(tmp_path):
    return FileDiscovered(tmp_path)


@pytest.fixture
def write(tmp_path):
    """Writes a file that has not changed for long, as far as time stamps tell; each call's is a second younger."""
    stamps = iter(range(1_600_000_000, 1_700_000_000))

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        os.utime(path, (0, next(stamps)))
        return path

    return write


def listed(*addresses, **labels):
    return [{"targets": [address], "labels": labels} for address in addresses]


async def test_files_in_json_and_yaml_become_groups_with_their_path(discovered, write, tmp_path):
    write("a.json", [{"targets": ["x:1", "x:2"], "labels": {"env": "prod", "__meta_filepath": "other"}}])
    write("b.yml", "- targets: [y]\n- targets: [z]\n")
    write("c.YAML", "- targets: [w]\n")
    write("d.txt", listed("no"))
    async with discovered.running("*.json", "b.yml", "*.YAML", "a.json", "none.json"):
        assert discovered.addresses == {
            "a.json:0": ["x:1", "x:2"],
            "b.yml:0": ["y"],
            "b.yml:1": ["z"],
            "c.YAML:0": ["w"],
        }
        group = discovered.groups[f"{tmp_path}/a.json:0"]
        assert group.labels_of(0) == {"__address__": "x:1", "env": "prod", "__meta_filepath": f"{tmp_path}/a.json"}
        assert len(discovered.relative_changes) == 1
        assert discovered.value("mtime_seconds", filename=f"{tmp_path}/b.yml") == 1_600_000_001
        assert discovered.value("scan_duration_seconds_count") == 1
        assert discovered.value("read_errors_total") == 0
    assert discovered.value("mtime_seconds", filename=f"{tmp_path}/b.yml") is None


async def test_nothing_is_published_too_when_there_are_no_files(discovered):
    async with discovered.running("none/*.json"):
        await asyncio.sleep(5)
        assert discovered.relative_changes == [[]]


async def test_changes_show_within_a_second_and_only_then(discovered, write, tmp_path):
    write("a.json", listed("x"))
    write("b.json", listed("y"))
    async with discovered.running("*.json"):
        write("a.json", listed("x2"))
        await asyncio.sleep(1)
        assert discovered.addresses == {"a.json:0": ["x2"], "b.json:0": ["y"]}
        write("c.json", listed("z"))
        await asyncio.sleep(1)
        (tmp_path / "b.json").unlink()
        await asyncio.sleep(1)
        assert discovered.addresses == {"a.json:0": ["x2"], "c.json:0": ["z"]}
        await asyncio.sleep(100)
        assert discovered.relative_changes == [["a.json:0", "b.json:0"], ["a.json:0"], ["c.json:0"], ["b.json:0"]]
        assert discovered.value("mtime_seconds", filename=f"{tmp_path}/b.json") is None


async def test_groups_that_a_file_has_no_more_are_gone(discovered, write):
    write("a.json", listed("x", "y", "z"))
    async with discovered.running("a.json"):
        write("a.json", listed("y"))
        await asyncio.sleep(1)
        assert discovered.addresses == {"a.json:0": ["y"]}
        write("a.json", "[]")
        await asyncio.sleep(1)
        assert discovered.addresses == {}


async def test_a_file_replaced_by_renaming_is_read_even_with_the_same_size_and_time(discovered, write, tmp_path):
    path = write("a.json", listed("x"))
    async with discovered.running("a.json"):
        new = write("new", listed("y"))
        os.utime(new, (0, path.stat().st_mtime))
        new.rename(path)
        await asyncio.sleep(1)
        assert discovered.addresses == {"a.json:0": ["y"]}


async def test_a_mounted_config_map_is_read_when_its_link_is_swapped(discovered, write, tmp_path):
    write("..1/a.json", listed("x"))
    write("..2/a.json", listed("y"))
    write("..2/b.json", listed("z"))
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "a.json").symlink_to("..data/a.json")
    async with discovered.running("*.json"):
        assert discovered.addresses == {"a.json:0": ["x"]}
        (tmp_path / "b.json").symlink_to("..data/b.json")
        await asyncio.sleep(1)
        assert discovered.addresses == {"a.json:0": ["x"]}
        assert discovered.value("read_errors_total") == 1
        (tmp_path / "..tmp").symlink_to("..2")
        (tmp_path / "..tmp").rename(tmp_path / "..data")
        await asyncio.sleep(1)
        assert discovered.addresses == {"a.json:0": ["y"], "b.json:0": ["z"]}


async def test_a_directory_may_come_and_go(discovered, write, tmp_path):
    async with discovered.running("sub/*.json"):
        path = write("sub/a.json", listed("x"))
        await asyncio.sleep(1)
        assert discovered.addresses == {"sub/a.json:0": ["x"]}
        path.unlink()
        path.parent.rmdir()
        await asyncio.sleep(1)
        assert discovered.addresses == {}


async def test_a_broken_file_keeps_its_last_groups_and_harms_no_other(discovered, write, tmp_path, caplog):
    write("a.json", listed("x", "y"))
    write("b.yml", "- targets: [z]\n")
    async with discovered.running("*.json", "*.yml"):
        with caplog.at_level(logging.ERROR):
            write("a.json", '[{"targets": ["hunter2"')
            write("b.yml", "- targets: [z2]\n")
            await asyncio.sleep(60)
            assert discovered.addresses == {"a.json:0": ["x"], "a.json:1": ["y"], "b.yml:0": ["z2"]}
            assert discovered.value("read_errors_total") == 1
            assert discovered.value("mtime_seconds", filename=f"{tmp_path}/a.json") == 1_600_000_000
            assert [record.facts["path"] for record in caplog.records] == [f"{tmp_path}/a.json"]
            assert "hunter2" not in str([record.facts for record in caplog.records])
        write("a.json", listed("new"))
        await asyncio.sleep(1)
        assert discovered.addresses == {"a.json:0": ["new"], "b.yml:0": ["z2"]}
        write("a.json", "{")
        await asyncio.sleep(1)
        (tmp_path / "a.json").unlink()
        await asyncio.sleep(1)
        assert discovered.addresses == {"b.yml:0": ["z2"]}


async def test_a_file_broken_from_the_start_has_no_targets_and_counts_at_every_refresh(discovered, write, tmp_path):
    write("a.yml", "- targets: [a]\n  unknown: b\n")
    async with discovered.running("a.yml", refresh="10s"):
        await asyncio.sleep(29)
        assert discovered.relative_changes == [[]]
        assert discovered.value("read_errors_total") == 3
        assert discovered.value("scan_duration_seconds_count") == 3
        assert discovered.value("mtime_seconds", filename=f"{tmp_path}/a.yml") is None


async def test_a_refresh_reads_what_looks_the_same(discovered, write, tmp_path, monkeypatch):
    path = write("a.json", listed("x"))
    status = path.stat()
    real = os.stat
    monkeypatch.setattr(os, "stat", lambda name, **options: status if name == str(path) else real(name, **options))
    async with discovered.running("a.json", refresh="20s"):
        write("a.json", listed("y"))
        await asyncio.sleep(19)
        assert discovered.addresses == {"a.json:0": ["x"]}
        await asyncio.sleep(1)
        assert discovered.addresses == {"a.json:0": ["y"]}


async def test_refreshes_more_often_than_once_a_second_are_possible(discovered, write):
    write("a.json", listed("x"))
    async with discovered.running("a.json", refresh="100ms"):
        write("a.json", listed("y"))
        await asyncio.sleep(0.1)
        assert discovered.addresses == {"a.json:0": ["y"]}


async def test_a_file_that_just_changed_is_read_again(discovered, write, tmp_path):
    path = write("a.json", listed("x"))
    async with discovered.running("a.json"):
        path.write_text(json.dumps(listed("y")))
        await asyncio.sleep(2)
        assert discovered.addresses == {"a.json:0": ["y"]}
        assert discovered.value("scan_duration_seconds_count") == 3


@pytest.mark.parametrize(
    ("name", "reason"), [("a.json", "not a list of target groups: JSON is malformed"), ("a.yml", "not valid UTF-8")]
)
async def test_what_is_no_file_or_too_large_is_an_error(discovered, tmp_path, name, reason, caplog):
    os.mkfifo(tmp_path / f"pipe-{name}")
    (tmp_path / f"directory-{name}").mkdir()
    with (tmp_path / f"large-{name}").open("wb") as file:
        file.truncate(MAX_SIZE + 1)
    (tmp_path / f"text-{name}").write_bytes(b"- \xff")
    with caplog.at_level(logging.ERROR):
        async with discovered.running(f"*{name}"):
            assert discovered.relative_changes == [[]]
    errors = [record.facts["error"] for record in caplog.records]
    assert errors[:3] == ["not a regular file", f"larger than {MAX_SIZE} bytes", "not a regular file"]
    assert reason in errors[3]
    assert discovered.value("read_errors_total") == 4


async def test_a_name_that_is_not_utf8_is_an_error_and_no_label(discovered, tmp_path):
    (tmp_path / os.fsdecode(b"\xff.json")).write_text("[]")
    async with discovered.running("*.json"):
        assert discovered.value("read_errors_total") == 1


async def test_a_directory_that_cannot_be_read_keeps_the_targets(discovered, write, tmp_path):
    write("sub/a.json", listed("x"))
    (tmp_path / "link").symlink_to("sub")
    async with discovered.running("link/*.json"):
        (tmp_path / "link").unlink()
        (tmp_path / "link").symlink_to("link")
        await asyncio.sleep(30)
        assert discovered.addresses == {"link/a.json:0": ["x"]}
        errors = discovered.value("read_errors_total")
        assert errors == 2  # the directory and the file, once
        (tmp_path / "link").unlink()
        await asyncio.sleep(1)
        assert discovered.addresses == {}


async def test_two_discoverers_show_the_times_of_their_own_files(discovered, write, tmp_path):
    write("a.json", listed("x"))
    write("b.json", listed("y"))
    async with discovered.running("a.json", "b.json"):
        async with discovered.running("b.json"):
            pass
        assert discovered.value("mtime_seconds", filename=f"{tmp_path}/b.json") == 1_600_000_001
