"""One target's loop, on virtual time: what it appends, when, and what turns stale."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from harness.virtual_time import EPOCH_MS
from promscout.exposition.samples import MetricMetadata
from promscout.model.duration import Duration
from promscout.model.group import TargetGroup
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.scrape.cache import SeriesCache
from promscout.scrape.config import ScrapeProtocol
from promscout.scrape.loop import Ending, ScrapeLoop
from promscout.scrape.loop_appender import LoopAppender
from promscout.scrape.schedule import GRID_MS
from promscout.scrape.target_builder import TargetBuilder
from promscout.scrape.transport import Fetched, FetchFailed
from unit.scrape.fakes import STALE, TEXT, FakeTransport, Recorder, config, context, options

REPORTS = [
    "scrape_duration_seconds",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
    "up",
]


def target(**labels):
    (built,) = TargetBuilder(config()).build(TargetGroup.of("g", ({"__address__": "h", **labels},)))
    return built


class Scraper:
    """A loop with everything around it."""

    def __init__(self, clock, *bodies, labels=(), **chosen):
        self.recorder = Recorder()
        self.transport = FakeTransport(*bodies)
        self.context = context(self.recorder, clock)
        self.loop = ScrapeLoop(target(**dict(labels)), options(self.transport, **chosen), self.context)

    @asynccontextmanager
    async def running(self, scrapes, ending=Ending.SHUTDOWN):
        """Runs until that many scrapes are done, then ends as said."""
        self.loop.start()
        await self.scraped(scrapes)
        yield self
        self.loop.stop(ending)
        await self.loop.ended()

    async def scraped(self, scrapes):
        await until(lambda: self.loop.scrapes >= scrapes)

    async def run(self, scrapes, ending=Ending.SHUTDOWN):
        async with self.running(scrapes, ending):
            pass
        return self.recorder


async def until(condition):
    async with asyncio.timeout(1000):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.5)


def values(samples):
    return [value for _, value in samples]


async def test_scrapes_happen_at_the_slots_and_have_their_times(clock):
    scraper = Scraper(clock, "a 1\n")
    recorder = await scraper.run(4)
    offset = scraper.loop.target.digest % 10_000 // GRID_MS * GRID_MS
    first = EPOCH_MS + (offset - EPOCH_MS) % 10_000
    assert [at for at, _ in recorder.of("a")] == [first + 10_000 * slot for slot in range(4)]
    assert [at for at, _ in recorder.of("up")] == [at for at, _ in recorder.of("a")]


async def test_every_scrape_reports_about_itself(clock):
    drop = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("c"), action=Action.DROP)
    bodies = ["a 1\nb 2\nc 3\n", "a 1\nb 2\nc 3\n", "a 1\nd 2\n"]
    recorder = await Scraper(clock, *bodies, labels={"x": "y"}, metric_relabel_configs=(drop,)).run(3)
    assert values(recorder.of("up", job="j", instance="h", x="y")) == [1, 1, 1]
    assert values(recorder.of("scrape_samples_scraped", x="y")) == [3, 3, 2]
    assert values(recorder.of("scrape_samples_post_metric_relabeling")) == [2, 2, 2]
    assert values(recorder.of("scrape_series_added")) == [2, 0, 1]
    assert len(recorder.of("scrape_duration_seconds")) == 3


async def test_the_duration_is_that_of_the_fetch(clock):
    recorder = await Scraper(clock, 1.5).run(1)
    assert values(recorder.of("scrape_duration_seconds")) == pytest.approx([1.5])


async def test_series_in_steady_state_share_one_table(clock):
    recorder = await Scraper(clock, "a 1\n", "a 2\n", "a 3\n").run(3)
    tables = {id(batch.series) for batch in recorder.batches}
    assert len(tables) == 2  # what the target exposes, and the report
    assert values(recorder.of("a")) == [1, 2, 3]


async def test_a_vanished_series_turns_stale_at_the_time_of_the_scrape(clock):
    recorder = await Scraper(clock, "a 1\nb 1\n", "a 2\n").run(3)
    (first, second, _) = [at for at, _ in recorder.of("a")]
    assert recorder.of("b") == [(first, 1), (second, STALE)]
    assert recorder.names(STALE) == ["b"]


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (FetchFailed("refused"), "refused"),
        (60, "timed out"),
        ("a 1\nb {\n", "line 2"),
        ('a{x="1",x="2"} 1\n', "not unique"),
        ("a 1\nb 1\nc 1\n", "sample limit exceeded (limit: 2)"),
    ],
    ids=["refused", "time-out", "not parsed", "bad labels", "too many"],
)
async def test_a_failed_scrape_is_reported_and_its_series_turn_stale_once(failure, error, clock):
    scraper = Scraper(clock, "a 1\nb 1\n", failure, failure, "a 2\nb 2\n", "a 3\nb 3\n", sample_limit=2)
    async with scraper.running(3):
        assert error in scraper.loop.last.error
        assert not scraper.loop.last.up
        await scraper.scraped(5)
    recorder = scraper.recorder
    assert values(recorder.of("up")) == [1, 0, 0, 1, 1]
    assert values(recorder.of("a")) == [1, STALE, 2, 3]
    assert [at for at, _ in recorder.of("a")][1] == [at for at, _ in recorder.of("up")][1]
    kept = 3 if "limit" in error else 0  # how many there are says how far beyond the limit they go
    assert values(recorder.of("scrape_samples_post_metric_relabeling")) == [2, kept, kept, 2, 2]
    assert values(recorder.of("scrape_series_added")) == [2, 0, 0, 0, 0], "known series come back"
    assert recorder.names(STALE) == ["a", "b"]


async def test_a_target_that_hangs_costs_its_timeout_and_not_its_next_slot(clock):
    recorder = await Scraper(clock, 60).run(3)
    assert values(recorder.of("scrape_duration_seconds")) == pytest.approx([5, 5, 5])
    times = [at for at, _ in recorder.of("up")]
    assert [later - first for first, later in pairwise(times)] == [10_000] * 2


async def test_an_answer_in_a_format_that_is_not_known_fails_the_scrape_unless_there_is_a_fallback(clock):
    class Typeless(FakeTransport):
        async def fetch(self, target, limit):
            return Fetched(b"a 1\n", "")

    for fallback, up in ((None, 0), (ScrapeProtocol.PROMETHEUS_TEXT_0_0_4, 1)):
        scraper = Scraper(clock, "", fallback_scrape_protocol=fallback)
        scraper.loop.reconfigure(options(Typeless(""), fallback_scrape_protocol=fallback))
        recorder = await scraper.run(1)
        assert values(recorder.of("up")) == [up]


async def test_a_body_that_is_too_large_is_counted(clock):
    scraper = Scraper(clock, FetchFailed("body size limit exceeded", too_large=True))
    await scraper.run(2)
    assert scraper.context.metrics.body_too_large._value.get() == 2


async def test_a_removed_target_leaves_markers_for_all_its_series(clock):
    recorder = await Scraper(clock, "a 1\nb 1\n").run(2, Ending.REMOVED)
    assert recorder.names(STALE) == sorted(["a", "b", *REPORTS])
    for name in ("a", "up"):
        samples = recorder.of(name)
        assert [value is STALE for _, value in samples] == [False, False, True]
        assert samples[-1][0] >= samples[-2][0]


async def test_a_removed_target_that_is_down_leaves_markers_for_its_reports_only_once_for_the_rest(clock):
    recorder = await Scraper(clock, "a 1\n", FetchFailed("refused")).run(2, Ending.REMOVED)
    assert values(recorder.of("a")) == [1, STALE]
    assert values(recorder.of("up")) == [1, 0, STALE]


async def test_a_target_removed_before_its_first_scrape_leaves_nothing(clock):
    recorder = await Scraper(clock, "a 1\n").run(0, Ending.REMOVED)
    assert recorder.batches == []


async def test_a_target_removed_during_a_scrape_leaves_markers_and_no_half_scrape(clock):
    scraper = Scraper(clock, "a 1\n", 4)
    async with scraper.running(1, Ending.REMOVED):
        await until(lambda: len(scraper.transport.fetched) == 2)
    assert values(scraper.recorder.of("a")) == [1, STALE]
    assert values(scraper.recorder.of("up")) == [1, STALE]


@pytest.mark.parametrize("ending", [Ending.SHUTDOWN, Ending.REPLACED])
async def test_no_marker_is_left_when_the_series_go_on_elsewhere(ending, clock):
    recorder = await Scraper(clock, "a 1\n").run(2, ending)
    assert recorder.names(STALE) == []


async def test_other_options_count_from_the_next_scrape_on_and_change_neither_slots_nor_live_series(clock):
    drop = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("b"), action=Action.DROP)
    scraper = Scraper(clock, "a 1\nb 1\n")
    async with scraper.running(2):
        other = FakeTransport("a 2\nb 2\n")
        scraper.loop.reconfigure(options(other, metric_relabel_configs=(drop,)))
        await scraper.scraped(4)
    recorder = scraper.recorder
    assert (len(scraper.transport.fetched), len(other.fetched)) == (2, 2)
    times = [at for at, _ in recorder.of("up")]
    assert [later - first for first, later in pairwise(times)] == [10_000] * 3
    assert values(recorder.of("a")) == [1, 1, 2, 2]
    assert values(recorder.of("b")) == [1, 1, STALE]
    assert values(recorder.of("scrape_series_added")) == [2, 0, 1, 0]


async def test_after_other_options_a_removal_still_leaves_every_marker(clock):
    scraper = Scraper(clock, "a 1\n")
    async with scraper.running(1, Ending.REMOVED):
        scraper.loop.reconfigure(options(scraper.transport))
    assert scraper.recorder.names(STALE) == sorted(["a", *REPORTS])


async def test_a_loop_that_takes_over_continues_the_series_of_the_other(clock):
    old = Scraper(clock, "a 1\nb 1\n")
    new = Scraper(clock, "a 2\n", labels={"__metrics_path__": "/other"})
    async with old.running(1, Ending.REPLACED):
        new.loop.take_over(old.loop)
    await new.run(1)
    assert new.recorder.names(STALE) == ["b"]
    assert values(new.recorder.of("scrape_series_added")) == [1]
    streams = {batch.series.stream for batch in (*old.recorder.batches[:-1], *new.recorder.batches)}
    assert len(streams) == 1, "order is kept within a stream"


async def test_what_was_taken_over_turns_stale_when_its_new_loop_is_removed_before_a_scrape(clock):
    old, new = Scraper(clock, "a 1\n"), Scraper(clock, "a 2\n", labels={"__metrics_path__": "/other"})
    async with old.running(1):
        new.loop.take_over(old.loop)
    recorder = await new.run(0, Ending.REMOVED)
    assert recorder.names(STALE) == sorted(["a", *REPORTS])


async def test_slots_that_pass_while_a_scrape_is_under_way_are_counted(clock):
    class Slow(FakeTransport):
        async def fetch(self, target, limit):
            await asyncio.sleep(25)
            return Fetched(b"a 1\n", "text/plain")

    scraper = Scraper(clock, "")
    scraper.loop.reconfigure(options(Slow("")))
    await scraper.run(1)
    await asyncio.sleep(0)
    assert scraper.context.metrics.missed._value.get() == 2


async def test_the_intervals_of_the_target_rule_not_those_of_the_job(clock):
    scraper = Scraper(
        clock,
        60,
        labels={"__scrape_interval__": "1m", "__scrape_timeout__": "2s"},
        scrape_interval=Duration(10),
    )
    recorder = await scraper.run(2)
    (first, second) = [at for at, _ in recorder.of("up")]
    assert second - first == 60_000
    assert values(recorder.of("scrape_duration_seconds")) == [2, 2]


async def test_scrapes_that_begin_more_than_50_ms_after_their_slot_are_counted_as_late(clock):
    scraper = Scraper(clock, "a 1\n")
    metrics = scraper.context.metrics
    async with scraper.running(2):
        assert metrics.late._value.get() == 0
    metrics.started(0.05)
    metrics.started(0.051)
    metrics.started(-0.001)  # a scrape ahead of a slot that is far away is not late
    assert metrics.late._value.get() == 1
    assert metrics.lateness._sum.get() == pytest.approx(0.101)
    assert sum(bucket.get() for bucket in metrics.lateness._buckets) == 5


async def test_a_loop_knows_when_it_scrapes_next(clock):
    scraper = Scraper(clock, "a 1\n", 4)
    assert scraper.loop.next_ms is None
    async with scraper.running(1):
        ((first, _),) = scraper.recorder.of("up")
        assert scraper.loop.next_ms == first + 10_000
        await until(lambda: len(scraper.transport.fetched) == 2)
        assert scraper.loop.next_ms == first + 20_000  # one is under way
        await scraper.scraped(2)
        assert scraper.loop.next_ms == first + 20_000
    assert scraper.loop.next_ms is None


async def test_metadata_is_that_of_the_last_body_that_could_be_used(clock):
    text = "# TYPE a counter\n# HELP a Of\\nus.\na 1\n"
    scraper = Scraper(clock, text, FetchFailed("refused"), "# TYPE b gauge\nb {\n", "c 1\n")
    assert scraper.loop.metadata() == {}
    async with scraper.running(1):
        for _ in range(3):
            assert scraper.loop.metadata() == {"a": MetricMetadata("counter", "Of\nus.")}
            await scraper.scraped(scraper.loop.scrapes + 1)
        assert scraper.loop.metadata() == {}


@pytest.mark.real_time
async def test_a_large_body_is_read_while_others_have_their_turn(clock, monkeypatch):
    monkeypatch.setattr("promscout.scrape.loop_appender.LARGE", 10)
    readers = []

    class Noting(SeriesCache):
        def resolve(self, body, read, timestamp_ms):
            readers.append(threading.current_thread() is threading.main_thread())
            return super().resolve(body, read, timestamp_ms)

    monkeypatch.setattr("promscout.scrape.loop_appender.SeriesCache", Noting)
    recorder = Recorder()
    appender = LoopAppender(target(), 1, context(recorder, clock))
    chosen = options(FakeTransport(""))
    for body in (b"a 1\n", b"a 2\nb 3\nc 4\n"):
        assert not (await appender.append(Fetched(body, TEXT), chosen, 1)).error
    assert readers == [True, False]
    assert values(recorder.of("a")) == [1, 2]
