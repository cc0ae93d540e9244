"""The browser itself: what it is made of, and that it ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from browser.chromium import launched
from e2e.promscout_process import until
from peers import find_chromium

pytestmark = pytest.mark.asyncio(loop_scope="session")


def chromiums():
    """The processes that run Chromium below this one: pid → what they have mapped."""
    parents, mapped = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            mapped[int(process.name)] = (process / "maps").read_text()
        except OSError:  # it has ended, or belongs to somebody else
            continue
    mine = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in mine} - mine:
        mine |= more
    return {pid: maps for pid, maps in mapped.items() if pid in mine and "chromium" in maps}


def is_alive(pid):
    try:
        return bool(Path(f"/proc/{pid}/maps").read_text())  # empty where only its exit code is left
    except OSError:
        return False


@pytest.mark.skipif(bool(os.environ.get("PROMSCOUT_PEERS_DIR")), reason="the programs may be those of the system")
async def test_it_uses_no_library_of_this_machine(tmp_path):
    own = str(find_chromium().resolve().parent)
    before = chromiums()
    async with launched(find_chromium(), tmp_path) as browser:
        await (await browser.new_page()).goto("data:text/html,<p>one")
        started = [maps for pid, maps in chromiums().items() if pid not in before]
    libraries = {line.split()[-1] for maps in started for line in maps.splitlines() if ".so" in line}
    assert len(libraries) > 30
    assert [one for one in libraries if not one.startswith(own)] == []


async def test_nothing_of_it_is_left_when_it_ends(tmp_path):
    before = chromiums().keys()
    async with launched(find_chromium(), tmp_path) as browser:
        await (await browser.new_page()).goto("data:text/html,<p>one")
        started = chromiums().keys() - before
    assert len(started) >= 3
    await until(lambda: not any(map(is_alive, started)), 5, "all of them have ended")
