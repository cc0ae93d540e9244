"""What a scrape reports about itself beyond the five samples that every scrape has."""

from __future__ import annotations

import pytest

from promscout.relabel.config import RelabelConfig
from promscout.scrape.loop import Ending
from promscout.scrape.report import EXTRA_METRICS, METRICS
from promscout.scrape.transport import FetchFailed
from unit.scrape.fakes import STALE, options
from unit.scrape.test_scrape_loop import Scraper, values

TOO_LARGE = FetchFailed("body size limit exceeded", too_large=True)


async def test_extra_scrape_metrics_tell_timeout_sample_limit_and_body_size(clock):
    bodies = ["a 1\n", "a 1\nb 1\nc 1\n", "a {\n", FetchFailed("refused"), TOO_LARGE, ""]
    scraper = Scraper(clock, *bodies, extra_scrape_metrics=True, sample_limit=2, labels={"x": "y"})
    recorder = await scraper.run(6)
    assert values(recorder.of("up")) == [1, 0, 0, 0, 0, 1]
    # A body that was read has its size, whatever is wrong with it.
    assert values(recorder.of("scrape_body_size_bytes", x="y", job="j")) == [4, 12, 4, 0, -1, 0]
    assert values(recorder.of("scrape_timeout_seconds", x="y")) == [5] * 6
    assert values(recorder.of("scrape_sample_limit", x="y")) == [2] * 6


async def test_without_them_there_are_five_report_samples_and_no_limit_is_zero(clock):
    recorder = await Scraper(clock, "a 1\n").run(1)
    assert recorder.names(STALE) == []
    assert {labels["__name__"] for labels, _, _ in recorder.samples} == {"a", *METRICS}
    recorder = await Scraper(clock, "a 1\n", extra_scrape_metrics=True).run(1)
    assert values(recorder.of("scrape_sample_limit")) == [0]


async def test_extra_metrics_come_and_go_with_a_reload_and_turn_stale_when_they_go(clock):
    scraper = Scraper(clock, "a 1\n")
    async with scraper.running(1):
        scraper.loop.reconfigure(options(scraper.transport, extra_scrape_metrics=True, sample_limit=5))
        await scraper.scraped(2)
        scraper.loop.reconfigure(options(scraper.transport, extra_scrape_metrics=True, sample_limit=6))
        await scraper.scraped(3)
        scraper.loop.reconfigure(options(scraper.transport, extra_scrape_metrics=False))
        await scraper.scraped(5)
    recorder = scraper.recorder
    assert recorder.names(STALE) == sorted(EXTRA_METRICS)
    assert values(recorder.of("scrape_sample_limit")) == [5, 6, STALE]
    times = [at for at, _ in recorder.of("up")]
    assert [at for at, _ in recorder.of("scrape_timeout_seconds")] == times[1:4]
    assert values(recorder.of("up")) == [1] * 5


async def test_a_removed_target_leaves_markers_for_its_extra_metrics_too(clock):
    recorder = await Scraper(clock, "a 1\n", extra_scrape_metrics=True).run(1, Ending.REMOVED)
    assert recorder.names(STALE) == sorted(["a", *METRICS, *EXTRA_METRICS])


async def test_a_report_keeps_what_the_target_sent_and_how_it_was_read(clock):
    scraper = Scraper(clock, "a 1\nb 2\n", "a {\n", FetchFailed("refused"), TOO_LARGE)
    async with scraper.running(1):
        last = scraper.loop.last
        assert (last.size, last.format, last.scraped, last.kept, last.added) == (8, "text/plain", 2, 2, 2)
        await scraper.scraped(2)
        assert (scraper.loop.last.size, scraper.loop.last.format) == (4, "text/plain")
        await scraper.scraped(3)
        assert (scraper.loop.last.size, scraper.loop.last.format, scraper.loop.last.too_large) == (0, "", False)
        await scraper.scraped(4)
        assert (scraper.loop.last.size, scraper.loop.last.too_large) == (0, True)


@pytest.mark.parametrize(("limit", "up"), [(0, 1), (3, 1), (2, 0)])
async def test_samples_left_out_as_duplicates_are_reported_and_do_not_count_for_the_sample_limit(clock, limit, up):
    body = "a 1\nb 1\na 2\nc 1\na 1\n"
    scraper = Scraper(clock, body, sample_limit=limit)
    recorder = await scraper.run(1)
    assert values(recorder.of("up")) == [up]
    assert values(recorder.of("scrape_samples_scraped")) == [5]
    assert values(recorder.of("scrape_samples_post_metric_relabeling")) == [5]
    assert values(recorder.of("a")) == [1] * up
    assert scraper.context.metrics.too_many_samples._value.get() == 1 - up


async def test_series_that_become_equal_count_once_for_the_sample_limit(clock):
    rename = RelabelConfig(target_label="__name__", replacement="same")
    scraper = Scraper(
        clock, 'a{x="1"} 1\na{ x = "1" } 2\nb{x="1"} 3\n', sample_limit=1, metric_relabel_configs=(rename,)
    )
    recorder = await scraper.run(1)
    assert values(recorder.of("up")) == [1]
    assert values(recorder.of("same")) == [1]
    assert values(recorder.of("scrape_samples_post_metric_relabeling")) == [3]
