"""The files that failed scrapes are logged to."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from contextlib import asynccontextmanager

import msgspec

from harness.virtual_time import EPOCH_MS
from promscout.scrape import failure_log
from promscout.scrape.failure_log import FailureLog
from promscout.scrape.manager import ScrapeManager
from promscout.scrape.transport import FetchFailed
from unit.scrape.fakes import FakeTransport, Recorder, config, context
from unit.scrape.test_scrape_loop import Scraper
from unit.scrape.test_scrape_pool import KEY, group


@asynccontextmanager
async def failures():
    log = FailureLog()
    try:
        yield log
    finally:
        await log.close()


def lines(path):
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def told(caplog):
    return [(record.levelname, record.getMessage(), record.facts) for record in caplog.records]


async def test_a_failure_is_a_line_with_the_fields_of_prometheus(tmp_path):
    file = tmp_path / "failures"
    async with failures() as log:
        log.failed(str(file), "j", "http://127.0.0.1:1/metrics?a=1&b", 'line 3: "x"\n', EPOCH_MS + 20)
        log.failed("", "j", "http://127.0.0.1:2/", "not logged", EPOCH_MS)
    assert file.read_text() == (
        '{"time":"2023-11-14T22:13:20.07Z","level":"ERROR","msg":"line 3: \\"x\\"\\n",'
        '"job_name":"j","target":"http://127.0.0.1:1/metrics?a=1&b"}\n'
    )


async def test_jobs_share_a_file_in_the_order_of_their_failures(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    async with failures() as log:
        for number in range(300):
            log.failed(str(one if number % 3 else other), f"j{number % 2}", "u", str(number), EPOCH_MS)
            if number % 50 == 0:
                await asyncio.sleep(0.001)
    assert [int(line["msg"]) for line in lines(one)] == [number for number in range(300) if number % 3]
    assert [int(line["msg"]) for line in lines(other)] == list(range(0, 300, 3))


async def test_a_file_that_was_moved_away_is_made_anew_and_one_that_is_there_is_continued(tmp_path):
    file = tmp_path / "f"
    file.write_text('{"msg":"before"}\n')
    async with failures() as log:
        log.failed(str(file), "j", "u", "1", EPOCH_MS)
        await asyncio.sleep(1)
        file.rename(tmp_path / "moved")
        log.failed(str(file), "j", "u", "2", EPOCH_MS)
    assert [line["msg"] for line in lines(tmp_path / "moved")] == ["before", "1"]
    assert [line["msg"] for line in lines(file)] == ["2"]


async def test_a_file_that_cannot_be_written_is_told_once_and_when_it_can_be_again(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    file = tmp_path / "gone" / "f"
    async with failures() as log:
        for number in range(3):
            log.failed(str(file), "j", "u", str(number), EPOCH_MS)
            await asyncio.sleep(1)
        file.parent.mkdir()
        log.failed(str(file), "j", "u", "at last", EPOCH_MS)
    problem = f"[Errno 2] No such file or directory: '{file}'"
    assert told(caplog) == [
        ("ERROR", "scrape failures cannot be logged", {"file": str(file), "error": problem}),
        ("INFO", "scrape failures are logged again", {"file": str(file)}),
    ]
    assert [line["msg"] for line in lines(file)] == ["at last"]


async def test_a_pipe_that_nobody_reads_and_a_path_that_is_none_hold_nobody_up(tmp_path, caplog):
    os.mkfifo(tmp_path / "pipe")
    async with failures() as log:
        log.failed(str(tmp_path / "pipe"), "j", "u", "1", EPOCH_MS)
        log.failed("a\0b", "j", "u", "1", EPOCH_MS)
    assert sorted(facts["error"][:10] for _, _, facts in told(caplog)) == ["[Errno 6] ", "embedded n"]


async def test_what_a_slow_disk_does_not_take_is_bounded_and_counted(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(failure_log, "_MOST_WAITING", 3)
    written, go_on = [], threading.Event()

    def slow(_path, data):
        go_on.wait(5)
        written.append(data.count(b"\n"))
        return ""

    monkeypatch.setattr(failure_log, "_append", slow)
    async with failures() as log:
        log.failed(str(tmp_path / "f"), "j", "u", "first", EPOCH_MS)
        await asyncio.sleep(0)
        for _ in range(10):
            log.failed(str(tmp_path / "f"), "j", "u", "more", EPOCH_MS)
        go_on.set()
    assert written == [1, 3]
    assert [facts["count"] for _, _, facts in told(caplog)] == [7]


async def test_every_failed_scrape_is_logged_whatever_failed(clock, tmp_path):
    file = tmp_path / "f"
    bodies = [FetchFailed("refused"), FetchFailed("refused"), "a 1\n", "a {\n"]
    scraper = Scraper(clock, *bodies, scrape_failure_log_file=str(file))
    await scraper.run(4)
    await scraper.context.failures.close()
    found = lines(file)
    assert [line["msg"] for line in found[:2]] == ["refused", "refused"]
    assert len(found) == 3
    assert found[2]["msg"] == scraper.loop.last.error
    assert {line["target"] for line in found} == {"http://h/metrics"}


async def test_a_reload_names_another_file_and_the_end_waits_for_what_is_written(clock, tmp_path):
    shared = context(Recorder(), clock, lambda _: FakeTransport(FetchFailed("refused")))
    async with ScrapeManager(shared) as manager:
        for name in ("one", "other"):
            manager.apply_config([config(scrape_failure_log_file=str(tmp_path / name))])
            manager.pools["j"].sync({KEY: group("a")})
            await asyncio.sleep(25)
    assert len(lines(tmp_path / "one")) >= 2
    assert len(lines(tmp_path / "other")) >= 2
