"""What is remembered of the last scrapes of a target."""

from __future__ import annotations

import asyncio
import sys

import pytest

from promscout.model.group import TargetGroup
from promscout.scrape.history import KEPT, LONGEST, SHORTEST, noted, past_scrapes
from promscout.scrape.loop import Ending, ScrapeLoop
from promscout.scrape.target_builder import TargetBuilder
from promscout.scrape.transport import FetchFailed
from unit.scrape.fakes import FakeTransport, Recorder, config, context, options


@pytest.mark.parametrize("duration", [SHORTEST, 0.001, 0.0123, 0.5, 1.0, 10.0, LONGEST])
@pytest.mark.parametrize("up", [True, False])
def test_a_duration_is_known_to_within_six_percent(duration: float, *, up: bool) -> None:
    (scrape,) = past_scrapes(noted(b"", duration, up=up))
    assert scrape.duration == pytest.approx(duration, rel=0.06)
    assert scrape.up is up


@pytest.mark.parametrize(("duration", "told"), [(0.0, SHORTEST), (1e-9, SHORTEST), (1e9, LONGEST)])
def test_a_duration_beyond_all_others_counts_as_the_last_one(duration: float, told: float) -> None:
    (scrape,) = past_scrapes(noted(b"", duration, up=True))
    assert scrape.duration == pytest.approx(told)


def test_the_oldest_scrapes_are_forgotten() -> None:
    history = b""
    for number in range(KEPT + 5):
        history = noted(history, 1.0, up=number >= 6)
    ups = [scrape.up for scrape in past_scrapes(history)]
    assert ups == [False] + [True] * (KEPT - 1)
    assert sys.getsizeof(history) <= 64


async def test_a_loop_remembers_its_scrapes_and_those_of_the_one_it_replaces(clock) -> None:
    chosen = options(FakeTransport("a 1\n", FetchFailed("gone")))
    around = context(Recorder(), clock)
    group = TargetGroup.of("g", [{"__address__": "127.0.0.2:1"}])
    (target,) = TargetBuilder(config()).build(group)
    loop = ScrapeLoop(target, chosen, around)
    loop.start()
    await asyncio.sleep(25)
    loop.stop(Ending.REPLACED)
    await loop.ended()
    assert [scrape.up for scrape in past_scrapes(loop.history)][:2] == [True, False]
    after = ScrapeLoop(target, chosen, around)
    after.take_over(loop)
    assert after.history == loop.history
    assert after.last is loop.last
