"""Bodies that somebody asked to see."""

from __future__ import annotations

import asyncio

from promscout.model.group import TargetGroup
from promscout.scrape import captures as module
from promscout.scrape.captures import KEPT_SECONDS, MAX_WANTED, Captured, Captures
from promscout.scrape.loop import Ending, ScrapeLoop
from promscout.scrape.target_builder import TargetBuilder
from promscout.scrape.transport import Fetched, FetchFailed
from unit.scrape.fakes import TEXT, FakeTransport, Recorder, config, context, options


def targets(count):
    group = TargetGroup.of("g", [{"__address__": f"127.0.0.{place + 1}:1"} for place in range(count)])
    return list(TargetBuilder(config()).build(group))


def fetched(text):
    return Fetched(text.encode(), TEXT)


async def test_the_next_body_is_kept_and_none_after_it() -> None:
    captures, (target,) = Captures(), targets(1)
    captures.take(target, fetched("before"), 1)
    assert captures.of(target) is None
    assert captures.want(target)
    assert captures.is_wanted(target)
    captures.take(target, fetched("asked for"), 2)
    captures.take(target, fetched("after"), 3)
    assert captures.of(target) == Captured(2, b"asked for", TEXT, 9)
    assert not captures.is_wanted(target)
    assert not captures


async def test_a_scrape_without_a_body_is_kept_as_its_reason() -> None:
    captures, (target,) = Captures(), targets(1)
    captures.want(target)
    captures.take(target, FetchFailed("connection refused"), 5)
    assert captures.of(target) == Captured(5, error="connection refused")


async def test_nothing_is_kept_or_waited_for_longer_than_ten_minutes() -> None:
    captures, (one, other) = Captures(), targets(2)
    captures.want(one)
    captures.want(other)
    captures.take(one, fetched("a"), 1)
    await asyncio.sleep(KEPT_SECONDS - 1)
    assert captures.of(one) is not None
    assert captures
    await asyncio.sleep(2)
    assert captures.of(one) is None
    assert not captures


async def test_a_body_that_comes_anew_is_kept_for_its_own_time() -> None:
    captures, (target,) = Captures(), targets(1)
    captures.want(target)
    captures.take(target, fetched("a"), 1)
    await asyncio.sleep(KEPT_SECONDS - 1)
    captures.want(target)
    captures.take(target, fetched("b"), 2)
    await asyncio.sleep(KEPT_SECONDS - 1)
    assert captures.of(target) == Captured(2, b"b", TEXT, 1)


async def test_what_is_waited_for_and_kept_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    captures, all_targets = Captures(), targets(MAX_WANTED + 1)
    assert [captures.want(target) for target in all_targets] == [True] * MAX_WANTED + [False]
    assert captures.want(all_targets[0])
    for target in all_targets[:3]:
        captures.take(target, fetched("x" * 40), 1)
    assert [captures.of(target) is not None for target in all_targets[:3]] == [False, True, True]
    captures.take(all_targets[3], fetched("x" * 1000), 1)
    kept = captures.of(all_targets[3])
    assert (len(kept.body), kept.size) == (100, 1000)
    assert captures.of(all_targets[2]) is None


async def test_many_small_ones_are_bounded_in_number() -> None:
    captures, all_targets = Captures(), targets(MAX_WANTED + 5)
    for target in all_targets:
        captures.want(target)
        captures.take(target, fetched("a"), 1)
    assert sum(captures.of(target) is not None for target in all_targets) == MAX_WANTED


async def test_a_loop_hands_over_what_it_fetches_and_fetches_no_more_for_it(clock) -> None:
    transport = FakeTransport("a 1\n", "not { a body\n", "a 3\n")
    around = context(Recorder(), clock)
    (target,) = targets(1)
    loop = ScrapeLoop(target, options(transport), around)
    loop.start()
    await asyncio.sleep(11)
    around.captures.want(target)
    await asyncio.sleep(20)
    loop.stop(Ending.REPLACED)
    await loop.ended()
    assert len(transport.fetched) == 3
    assert around.captures.of(target).body == b"not { a body\n"
