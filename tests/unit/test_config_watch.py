"""When files that have changed are loaded, and when they are not."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager

import pytest

from promscout.config_watch import LEAST_INTERVAL, QUIET_SECONDS, ConfigWatch
from promscout.errors import ConfigError, Problem

INTERVAL = 30
MAIN = "scrape_config_files: [jobs/*.yml]\nrule_files: ['rules/*.yml']\n"


class Watched:
    """A directory with a configuration; ``reloads`` are the times at which it was loaded again."""

    def __init__(self, directory):
        self.directory = directory
        self.main = directory / "prometheus.yml"
        self.write("prometheus.yml", MAIN)
        self.write("jobs/a.yml", "scrape_configs: []\n")
        self.write("rules/r.yml", "groups: []\n")
        self.reloads = []
        self.refuses = False
        self.watch = ConfigWatch(self.main, lambda: None)

    def write(self, name, text):
        file = self.directory / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)

    async def reload(self):
        self.reloads.append(asyncio.get_running_loop().time())
        await asyncio.to_thread(self.watch.load)
        if self.refuses:
            raise ConfigError((Problem(str(self.main), 0, 0, "", "no"),))

    @asynccontextmanager
    async def running(self, interval=INTERVAL):
        self.watch.load()
        task = asyncio.create_task(self.watch.run(self.reload, interval))
        await asyncio.sleep(INTERVAL / 2)
        yield self
        task.cancel()

    async def found(self):
        """How many reloads there were in the next five minutes."""
        before = len(self.reloads)
        await asyncio.sleep(300)
        return len(self.reloads) - before


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


CHANGES = {
    "the main file": lambda it: it.write("prometheus.yml", MAIN + "# changed\n"),
    "an included file": lambda it: it.write("jobs/a.yml", "scrape_configs: [] # changed\n"),
    "a rule file": lambda it: it.write("rules/r.yml", "groups: [] # changed\n"),
    "a file that matches now": lambda it: it.write("jobs/b.yml", ""),
    "a file that is gone": lambda it: (it.directory / "jobs/a.yml").unlink(),
    "another name": lambda it: (it.directory / "jobs/a.yml").rename(it.directory / "jobs/b.yml"),
    "another pattern": lambda it: it.write("prometheus.yml", "scrape_config_files: [rules/*.yml]\n"),
    "the main file is gone": lambda it: it.main.unlink(),
    "the main file is not YAML": lambda it: it.write("prometheus.yml", "a: ["),
    "the main file is a pipe": lambda it: (it.main.unlink(), os.mkfifo(it.main)),
    "the main file is binary": lambda it: it.main.write_bytes(b"\xff\xfe"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_a_change_is_loaded_once_when_the_files_have_come_to_rest(watched, change):
    async with watched.running():
        change(watched)
        assert await watched.found() == 1
        assert watched.reloads == [INTERVAL + QUIET_SECONDS]


NO_CHANGES = {
    "nothing": lambda _: None,
    "the same content again": lambda it: it.write("prometheus.yml", MAIN),
    "a file that nothing matches": lambda it: it.write("jobs/a.json", "{}"),
    "a file beside it": lambda it: it.write("other.yml", "global: {}"),
}


@pytest.mark.parametrize("change", NO_CHANGES.values(), ids=NO_CHANGES)
async def test_what_is_no_change_is_not_loaded(watched, change):
    async with watched.running():
        change(watched)
        assert await watched.found() == 0


async def test_files_that_keep_changing_are_not_loaded_before_they_are_complete(watched):
    async with watched.running():
        for number in range(40):
            watched.write("prometheus.yml", MAIN + f"# {number}\n")
            await asyncio.sleep(QUIET_SECONDS)
        assert watched.reloads == []
        assert await watched.found() == 1


async def test_what_is_taken_back_before_it_is_loaded_is_not_loaded(watched):
    async with watched.running():
        await asyncio.sleep(INTERVAL / 2 - 0.1)
        watched.write("prometheus.yml", "global: {}\n")
        await asyncio.sleep(0.5)
        watched.write("prometheus.yml", MAIN)
        assert await watched.found() == 0


async def test_content_that_was_refused_is_not_loaded_again_until_it_changes(watched):
    async with watched.running():
        watched.refuses = True
        watched.write("prometheus.yml", "bad")
        assert await watched.found() == 1
        watched.write("prometheus.yml", "bad too")
        assert await watched.found() == 1
        watched.refuses = False
        watched.write("prometheus.yml", MAIN)
        assert await watched.found() == 1


async def test_what_somebody_else_loaded_is_not_loaded_again(watched):
    async with watched.running():
        watched.write("prometheus.yml", MAIN + "# changed\n")
        await watched.reload()
        assert await watched.found() == 0


async def test_a_change_between_looking_and_loading_is_noticed(watched):
    watched.watch = ConfigWatch(watched.main, lambda: watched.write("jobs/late.yml", ""))
    async with watched.running():
        assert await watched.found() == 1


async def test_intervals_have_a_lower_bound(watched):
    async with watched.running(interval=0.001):
        watched.write("prometheus.yml", "global: {}\n")
        await asyncio.sleep(LEAST_INTERVAL + QUIET_SECONDS + 0.1)
        assert len(watched.reloads) == 1
