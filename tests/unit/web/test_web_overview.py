"""The start page, and the frame around every page."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import pytest

from promscout.discovery.kubernetes.status import WatchState, WatchStatus
from promscout.scrape.report import Report
from promscout.store.status import StoreStatus
from promscout.web import ConfigStatus
from promscout.web.pages import overview
from promscout.web.pages.notices import (
    TROUBLES_SHOWN,
    Notice,
    delivery_notices,
    discovery_notices,
    store_notices,
    target_notices,
)
from promscout.web.pages.overview import SAMPLER, Trends
from promscout.web.pages.providers import ProviderRow, ProviderState
from promscout.web.pages.rendering import rate
from promscout.web.pages.survey import Survey, Surveyor, Trouble, survey
from promscout.web.vitals import Vital
from promscout.write.status import RemoteWriteStatus
from unit.web.agent_view import NOW_MS, Site, agent_view, serving
from unit.web.test_web_pages import EVIL, Page, page
from unit.write.statuses import queue_status

pytestmark = pytest.mark.real_time


async def two_jobs(site: Site) -> None:
    """a: two down with the same error, one up; b: one that was not scraped yet."""
    site.view.add_pool("a")
    site.view.add_pool("b")
    targets = site.view.sync("a", "a", ["127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1"])
    for number, active in enumerate(targets[:2]):
        url = active.loop.target.url
        address = url.split("/")[2]
        active.loop.last = Report(NOW_MS - 5000 + number, 0.5, f"{url}: cannot connect to {address}: refused")
    targets[2].loop.last = Report(NOW_MS, 0.25, scraped=86400)
    site.view.sync("b", "b", ["127.0.0.5:1"])


async def test_the_overview_shows_every_job_with_its_numbers(site: Site) -> None:
    await two_jobs(site)
    shown = await page(site, "/")
    assert "Targets up 1 of 4 1 not scraped yet" in shown.text
    assert "Targets down 2 in 1 of 2 jobs" in shown.text
    assert "a every 1d 1 / 3 2 down 1.0 500 ms" in shown.text
    assert "b every 1d 0 / 1 1 unknown 0" in shown.text
    assert "/targets?pool=a" in shown.links()


async def test_targets_that_fail_for_the_same_reason_are_one_notice_with_a_link_to_them(site: Site) -> None:
    await two_jobs(site)
    shown = await page(site, "/")
    assert "2 \N{MULTIPLICATION SIGN} cannot connect to …: refused in job a" in shown.text
    (link,) = [link for link in shown.links() if "error=cannot" in link]
    assert (await page(site, link)).endpoints() == ["http://127.0.0.2:1/metrics", "http://127.0.0.3:1/metrics"]


async def test_an_agent_without_jobs_is_told_what_to_do(site: Site) -> None:
    assert "The configuration has no scrape_configs" in (await page(site, "/")).text
    site.view.add_pool("a")
    assert "Nothing has been discovered yet" in (await page(site, "/")).text


async def test_an_agent_that_is_well_says_so(site: Site) -> None:
    site.view.add_pool("a")
    (active,) = site.view.sync("a", "a", ["127.0.0.2:1"])
    assert "The first scrapes are under way" in (await page(site, "/")).text
    active.loop.last = Report(NOW_MS, 0.1)
    assert "All is well" in (await page(site, "/")).text


async def test_a_survey_is_used_again_for_as_long_as_it_is_worth(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    async def count(scrape: object) -> Survey:
        made.append(scrape)
        return Survey()

    monkeypatch.setattr("promscout.web.pages.survey.survey", count)
    async with agent_view() as view:
        surveyor = Surveyor(lambda: view.scrape)
        await surveyor.current()
        surveyor._fresh_until = float("inf")
        await surveyor.current()
        assert len(made) == 1
        surveyor._fresh_until = 0
        await surveyor.current()
        assert len(made) == 2


async def test_a_survey_does_not_count_what_was_lost(site: Site) -> None:
    site.view.add_pool("a")
    (active,) = site.view.sync("a", "a", ["127.0.0.2:1"])
    active.places = 0
    (row,) = (await survey(site.view.scrape)).jobs
    assert row.total == 0


async def test_of_very_many_jobs_those_that_fail_come_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "JOBS_SHOWN", 1)
    site.view.add_pool("a")
    site.view.add_pool("b")
    (active,) = site.view.sync("b", "b", ["127.0.0.2:1"])
    active.loop.last = Report(NOW_MS, 0.1, "broken")
    shown = await page(site, "/")
    assert "1 of 2 jobs, those with targets that are down first" in shown.text
    assert "b every 1d" in shown.text
    assert "a every 1d" not in shown.text


def watch(state: WatchState, error: str = "", jobs: tuple[str, ...] = ("pods",), attached: tuple[str, ...] = ()):
    return WatchStatus(
        server="http://127.0.0.1:1",
        resource="nodes",
        namespace="",
        label_selector="",
        field_selector="",
        state=state,
        jobs=jobs,
        attached_by=attached,
        objects=1,
        bytes=2,
        lists=3,
        watches=4,
        last_seen_seconds=None,
        error=error,
    )


def provider(name: str, state: ProviderState, error: str = "") -> ProviderRow:
    return ProviderRow(name, name.partition("/")[0], "", state, ("web",), 0, 0, None, error)


def test_what_discovery_lacks_is_told_once() -> None:
    watches = (watch(WatchState.FAILING, "no answer"), watch(WatchState.FORBIDDEN, "not allowed", (), ("pods",)))
    providers = (
        provider("kubernetes/0", ProviderState.FAILING, "no answer"),
        provider("http/1", ProviderState.FAILING, "status 500"),
        provider("file/2", ProviderState.WAITING),
        provider("static/3", ProviderState.SYNCED),
    )
    assert [(one.title, one.is_bad) for one in discovery_notices(providers, watches)] == [
        ("Watching nodes fails", True),
        ("Targets lack the labels of nodes", False),
        ("Discovery by http/1 fails", True),
        ("Discovery is under way", False),
    ]


def test_only_the_most_frequent_errors_are_told_one_by_one() -> None:
    many = tuple(Trouble("j", f"error {number}", 50 - number) for number in range(TROUBLES_SHOWN + 2))
    told = list(target_notices(Survey((), many)))
    assert told[0] == Notice("50 \N{MULTIPLICATION SIGN} error 0", "in job j", many[0].url)
    assert told[-1] == Notice("83 more targets are down", "with 2 other errors", "/targets?health=down")
    assert len(told) == TROUBLES_SHOWN + 1


def test_every_receiver_in_difficulties_is_a_notice() -> None:
    queues = (
        queue_status(name="ok", attempted=1),
        queue_status(name="gone", failing_for=3.0, last_error="no answer"),
        queue_status(name="strict", last_error="status 400"),
        queue_status(name="slow", oldest_pending_age=1000.0, pending_samples=1234),
    )
    assert list(delivery_notices(queues)) == [
        Notice("Receiver gone cannot be reached", "no answer", "/remote-write"),
        Notice("Receiver strict rejects samples", "status 400", "/remote-write"),
        Notice("Receiver slow is behind", "1,234 samples wait", "/remote-write", is_bad=False),
    ]


def test_a_store_that_cannot_be_written_is_a_notice() -> None:
    assert list(store_notices(None)) == list(store_notices(StoreStatus(path=Path("/d"), active=True))) == []
    (told,) = store_notices(StoreStatus(path=Path("/d"), active=True, error="disk full"))
    assert told == Notice("The local store cannot be written", "disk full", "/graph")


async def test_what_fails_comes_before_what_is_not_yet_as_it_should_be(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_jobs(site)
    monkeypatch.setattr(overview, "provider_rows", lambda *_: [provider("file/2", ProviderState.WAITING)])
    text = (await page(site, "/")).text
    assert text.index("cannot connect to") < text.index("Discovery is under way file/2")


async def test_watches_and_receivers_are_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = (watch(WatchState.OK, jobs=("pods", "nodes"), attached=("services",)),)
    monkeypatch.setattr(overview, "watch_statuses", lambda _: shown)
    status = RemoteWriteStatus(queues=(queue_status(name="central", url="http://127.0.0.1:9/w", attempted=1),))
    monkeypatch.setattr(site.view.remote_write, "status", lambda: status)
    text = (await page(site, "/")).text
    assert "nodes http://127.0.0.1:1 ok 1 never pods , nodes ; labels for services" in text
    assert "central http://127.0.0.1:9/w delivering" in text


async def test_the_history_is_drawn_with_a_name_for_screen_readers(site: Site) -> None:
    async with agent_view() as view:
        view.add_pool("a")
        async with serving(view) as server:
            runner = server._runner
            assert runner is not None
            history = runner.app[SAMPLER].history
            for number in range(3):
                history.add(dict.fromkeys(Vital, 1.0 + number))
            trends = Trends.read(history, {})
            assert trends.span == "5 minutes"
            assert trends.of[Vital.CPU].value == 3.0
            for _ in range(100):
                history.add({})
            assert Trends.read(history, {}).span == "9 minutes"
            assert Trends.read(history, {}).of[Vital.CPU].value == 3.0
            for _ in range(700):
                history.add({})
            assert Trends.read(history, {}).span == "hour"
            assert Trends.read(history, {Vital.UP: 7}).of[Vital.UP].value == 7
            assert Trends.read(history, {}).of[Vital.CPU].value is None


async def test_a_refused_configuration_is_announced_on_every_page(site: Site) -> None:
    site.view.config_status = ConfigStatus(NOW_MS, tuple(f"problem {number} {EVIL}" for number in range(7)))
    for path in ("/", "/targets", "/remote-write", "/graph", "/config", "/status"):
        text = await site.text(path)
        shown = Page(text)
        assert "The configuration was refused at the last reload" in shown.text
        assert "problem 4" in shown.text
        assert "problem 5" not in shown.text
        assert "and 2 more" in shown.text
        assert "<script>" not in text


async def test_every_page_tells_version_uptime_and_health(site: Site) -> None:
    await two_jobs(site)
    site.view.started_ms = NOW_MS - 3_600_000
    for path in ("/", "/targets", "/config"):
        text = (await page(site, path)).text
        assert "1 up 2 down" in text
        assert "up for 1 h" in text


async def test_the_page_that_is_open_is_marked_in_the_navigation(site: Site) -> None:
    for path in ("/", "/targets", "/config", "/status", "/graph", "/remote-write"):
        shown = await page(site, path)
        current = [a["href"] for tag, a in shown.tags if tag == "a" and a.get("aria-current") == "page"]
        assert current == [path]


async def test_the_title_is_the_one_that_was_asked_for() -> None:
    async with (
        agent_view() as view,
        serving(view, page_title=f"Cluster {EVIL}") as server,
        aiohttp.ClientSession(server.url) as client,
    ):
        text = await Site(view, server, client).text("/config")
    assert "· Cluster &#34;" in text
    assert "<script>" not in text


async def test_a_page_of_the_agent_that_stops_says_so(site: Site) -> None:
    assert "starting or stopping" not in (await page(site, "/config")).text
    site.view.ready = False
    assert "starting or stopping" in (await page(site, "/config")).text


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.04, "0.0"), (1.26, "1.3"), (9.94, "9.9"), (9.96, "10"), (657.85, "658"), (123456.0, "123 k")],
)
def test_a_rate_has_tenths_only_where_they_matter(number: float, text: str) -> None:
    assert rate(number) == text
