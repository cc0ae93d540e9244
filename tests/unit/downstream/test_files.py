"""Target files: what is in them, when they are written, and what a bad disk does."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from promscout.discovery.manager import DiscoveryManager
from promscout.discovery.metrics import DiscoveryMetrics
from promscout.downstream.directory import MANIFEST
from promscout.downstream.files import RETRY, FileSDMetrics, FileSDOptions, FileSDWriter
from promscout.model.group import TargetGroup
from unit.discovery.test_manager import A, B, Scripted, ScriptedConfig
from unit.web.agent_view import agent_view

TICK = 1.2  # seconds, in which there is one look


class Kept:
    """A directory that a writer keeps for a view."""

    def __init__(self, view, directory, registry):
        self.view = view
        self.directory = directory
        self._registry = registry

    def names(self):
        return sorted(path.name for path in self.directory.iterdir() if not path.name.startswith("."))

    def addresses(self, name="web.json"):
        return sorted(one for group in json.loads((self.directory / name).read_text()) for one in group["targets"])

    def written(self, name="web.json"):
        """Another value for each time that the file was written."""
        return (self.directory / name).stat().st_ino, (self.directory / name).stat().st_mtime_ns

    def count(self, what):
        return self._registry.get_sample_value(f"promscout_sd_file_{what}_total")


@asynccontextmanager
async def keeping(view, directory, shards=None):
    registry = CollectorRegistry()
    writer = FileSDWriter(view, FileSDOptions(directory, shards), FileSDMetrics(registry))
    running = asyncio.create_task(writer.run())
    try:
        yield Kept(view, directory, registry)
    finally:
        running.cancel()
        await asyncio.wait([running])


@pytest.fixture
async def view():
    async with agent_view() as view:
        yield view


@pytest.fixture
async def kept(view, tmp_path):
    view.add_pool("web")
    view.sync("web", "a", ["127.0.0.1:1", "127.0.0.1:2"])
    async with keeping(view, tmp_path / "sd") as kept:
        await asyncio.sleep(TICK)
        yield kept


async def test_a_file_has_the_targets_and_may_be_read_by_others(kept):
    assert kept.names() == ["web.json"]
    assert kept.addresses() == ["127.0.0.1:1", "127.0.0.1:2"]
    assert (kept.directory / "web.json").stat().st_mode & 0o777 == 0o644


async def test_a_file_is_written_again_only_when_its_content_differs(kept):
    before = kept.written()
    kept.view.sync("web", "b", ["127.0.0.1:3"])
    kept.view.sync("web", "b", [])
    await asyncio.sleep(5 * TICK)
    assert (kept.written(), kept.count("writes")) == (before, 1)
    for number in range(10):
        kept.view.sync("web", "b", [f"127.0.0.1:{number + 3}"])
        await asyncio.sleep(0.05)
    await asyncio.sleep(2 * TICK)
    assert kept.addresses() == ["127.0.0.1:1", "127.0.0.1:12", "127.0.0.1:2"]
    assert kept.count("writes") <= 3


async def test_no_file_is_touched_before_every_provider_has_found_out_what_there_is(view, tmp_path):
    scripted = Scripted()
    directory = tmp_path / "sd"
    directory.mkdir()
    before = '[{"targets": ["127.0.0.1:9"]}]'
    (directory / "web.json").write_text(before)
    async with DiscoveryManager({ScriptedConfig: scripted}, DiscoveryMetrics(CollectorRegistry())) as manager:
        view.discovery = manager
        view.add_pool("web")
        manager.apply_config({"web": [A, B]})
        scraping = asyncio.create_task(view.scrape.run(manager.receive))
        async with keeping(view, directory) as kept:
            await asyncio.sleep(TICK)
            scripted.publish["a"]([TargetGroup.of("s", [{"__address__": "127.0.0.1:1"}])])
            await asyncio.sleep(TICK)
            assert (directory / "web.json").read_text() == before
            scripted.publish["b"]([])
            await asyncio.sleep(TICK)
            assert kept.addresses() == ["127.0.0.1:1"]
        scraping.cancel()
        await asyncio.wait([scraping])


async def test_no_file_is_touched_while_the_agent_starts_or_stops(view, tmp_path):
    view.ready = False
    async with keeping(view, tmp_path / "sd") as kept:
        view.add_pool("web")
        view.sync("web", "a", ["127.0.0.1:1"])
        await asyncio.sleep(TICK)
        assert not kept.directory.exists()
        view.ready = True
        await asyncio.sleep(TICK)
        view.ready = False
        view.scrape.apply_config([])
        await asyncio.sleep(TICK)
        assert kept.addresses() == ["127.0.0.1:1"]


async def test_a_file_is_not_written_while_a_change_is_half_carried_out(kept):
    kept.view.scrape.pools["web"].put({("static/0", "a"): TargetGroup("a")})
    await asyncio.sleep(3 * TICK)
    assert kept.addresses() == ["127.0.0.1:1", "127.0.0.1:2"]
    kept.view.scrape.pools["web"].settle()
    await asyncio.sleep(TICK)
    assert kept.addresses() == []


async def test_files_of_jobs_that_are_no_more_are_removed_and_no_others(kept):
    (kept.directory / "mine.json").write_text("[]")
    kept.view.scrape.apply_config([])
    await asyncio.sleep(TICK)
    assert kept.names() == ["mine.json"]


async def test_a_writer_that_comes_after_another_knows_its_files(kept, view):
    view.add_pool("gone")
    view.sync("gone", "a", ["127.0.0.1:1"])
    await asyncio.sleep(TICK)
    assert kept.names() == ["gone.json", "web.json"]
    async with agent_view() as restarted:
        restarted.add_pool("web")
        restarted.sync("web", "x", ["127.0.0.1:2"])
        restarted.sync("web", "y", ["127.0.0.1:1"])
        before = kept.written()
        async with keeping(restarted, kept.directory) as again:
            await asyncio.sleep(TICK / 2)
            assert again.names() == ["web.json"]
            assert (again.count("writes"), again.written()) == (0, before)


async def test_shards_have_a_file_each_and_together_all_targets(view, tmp_path):
    view.add_pool("web")
    view.sync("web", "a", [f"127.0.0.{number + 1}:1" for number in range(50)])
    async with keeping(view, tmp_path, 3) as kept:
        await asyncio.sleep(TICK)
        assert kept.names() == ["web.0.json", "web.1.json", "web.2.json"]
        found = [kept.addresses(name) for name in kept.names()]
        assert all(found)
        assert len({one for shard in found for one in shard}) == sum(map(len, found)) == 50


async def test_job_names_and_what_stands_in_their_way_lead_nowhere_else(view, tmp_path):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    directory = tmp_path / "sd"
    directory.mkdir()
    (directory / "web.json").symlink_to(outside)
    (directory / ".promscout-new").symlink_to(outside)
    (directory / MANIFEST).write_text(json.dumps({"../outside": "x", "/etc/hosts.json": "y", ".hidden.json": "z"}))
    (directory / ".hidden.json").write_text("precious")
    for job in ("web", "../outside", "/a"):
        view.add_pool(job)
        view.sync(job, "a", ["127.0.0.1:1"])
    async with keeping(view, directory) as kept:
        await asyncio.sleep(TICK)
        assert kept.names() == ["%2E.%2Foutside.json", "%2Fa.json", "web.json"]
        assert not (directory / "web.json").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "sd"]
    assert outside.read_text() == (directory / ".hidden.json").read_text() == "precious"


async def told(caplog):
    return [record.message for record in caplog.records if record.name == "promscout.downstream"]


async def test_a_directory_that_vanishes_is_told_once_and_filled_when_it_is_back(kept, caplog):
    caplog.set_level(logging.INFO)
    kept.directory.rename(kept.directory.with_name("away"))
    await asyncio.sleep(5 * RETRY)
    assert await told(caplog) == ["target files cannot be written"]
    assert caplog.records[-1].facts["reason"] == "No such file or directory"
    assert kept.count("failures") >= 3
    kept.directory.mkdir()
    await asyncio.sleep(RETRY)
    assert kept.addresses() == ["127.0.0.1:1", "127.0.0.1:2"]
    assert json.loads((kept.directory / MANIFEST).read_text()) == {"web.json": "web"}
    assert await told(caplog) == ["target files cannot be written", "target files are written again"]


async def test_a_full_disk_is_told_once_and_leaves_the_file_before(kept, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    full = True

    def fsync(number):
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    kept.view.sync("web", "b", ["127.0.0.1:3"])
    await asyncio.sleep(3 * RETRY)
    assert kept.addresses() == ["127.0.0.1:1", "127.0.0.1:2"]
    assert sorted(path.name for path in kept.directory.iterdir()) == [MANIFEST, "web.json"]
    assert await told(caplog) == ["target files cannot be written"]
    full = False
    await asyncio.sleep(RETRY)
    assert kept.addresses() == ["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]


async def test_a_file_that_cannot_be_replaced_does_not_keep_others_from_it(view, tmp_path):
    (tmp_path / "bad.json" / "x").mkdir(parents=True)
    for job in ("bad", "web"):
        view.add_pool(job)
        view.sync(job, "a", ["127.0.0.1:1"])
    async with keeping(view, tmp_path) as kept:
        await asyncio.sleep(TICK)
        assert kept.addresses() == ["127.0.0.1:1"]
        assert kept.count("failures") >= 1


async def test_a_file_that_somebody_removes_is_written_again(kept):
    (kept.directory / "web.json").unlink()
    await asyncio.sleep(TICK)
    assert kept.addresses() == ["127.0.0.1:1", "127.0.0.1:2"]
