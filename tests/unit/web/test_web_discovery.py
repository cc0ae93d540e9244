"""The page of what was discovered, and what relabelling made of it."""

from __future__ import annotations

import pytest

from promscout.discovery.config import StaticSDConfig
from promscout.discovery.kubernetes.status import WatchState, WatchStatus
from promscout.discovery.provider import Provider
from promscout.discovery.static import StaticDiscoverer
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.web.pages import discovery as module
from promscout.web.pages.discovery_query import DiscoveryQuery
from promscout.web.pages.drop_counts import COUNTED_UNASKED, DropCounter
from unit.web.agent_view import Site
from unit.web.page_text import EVIL, Page, page

pytestmark = pytest.mark.real_time

KEEP_WEB = RelabelConfig(source_labels=("app", "tier"), regex=Regex.parse("web;.*"), action=Action.KEEP)
COPY = RelabelConfig(source_labels=("app",), target_label="service")
DROP_MARKED = RelabelConfig(source_labels=("drop",), regex=Regex.parse("yes"), action=Action.DROP)
NO_ADDRESS = RelabelConfig(
    source_labels=("bad",), regex=Regex.parse("yes"), target_label="__address__", replacement="a/b"
)
RULES = (KEEP_WEB, COPY, DROP_MARKED, NO_ADDRESS)


async def mixed_job(site: Site) -> None:
    """.2 active; .3 dropped by rule 0, .4 and .5 by rule 2; .6 refused; .2 once more."""
    site.view.add_pool("web", relabel_configs=RULES)
    site.view.sync("web", "a", ["127.0.0.2:1"], app="web", tier="front")
    site.view.sync("web", "b", ["127.0.0.3:1"], app="db", tier="back")
    site.view.sync("web", "c", ["127.0.0.4:1", "127.0.0.5:1"], app="web", drop="yes")
    site.view.sync("web", "d", ["127.0.0.6:1"], app="web", bad="yes")
    site.view.sync("web", "e", ["127.0.0.2:1"], app="web", tier="front")


async def job_page(site: Site, **params: str) -> Page:
    return await page(site, "/discovery", **({"job": "web"} | params))


async def test_all_jobs_are_listed_with_what_became_of_their_targets(site: Site) -> None:
    await mixed_job(site)
    site.view.add_pool("empty")
    shown = await page(site, "/discovery")
    assert "web synced nothing 5 6 1 3 1 1" in shown.text
    assert "empty synced nothing 0 0 0 0 0 0" in shown.text
    assert {"/discovery?job=web", "/discovery?job=web&state=dropped", "/discovery?job=web&state=refused"} <= {
        link for link in shown.links() if link.startswith("/discovery?")
    }


async def test_the_tabs_of_a_job_count_what_became_of_its_targets(site: Site) -> None:
    await mixed_job(site)
    assert "All 6 Active 1 Dropped 3 Refused 1 Duplicates 1" in (await job_page(site)).text
    assert "All 2 Active 0 Dropped 2 Refused 0 Duplicates 0" in (await job_page(site, q="drop=yes")).text


@pytest.mark.parametrize(
    ("params", "last"),
    [
        ({}, [2, 3, 4, 5, 6, 2]),
        ({"state": "active"}, [2]),
        ({"state": "dropped"}, [3, 4, 5]),
        ({"state": "refused"}, [6]),
        ({"state": "duplicate"}, [2]),
        ({"state": "nonsense"}, [2, 3, 4, 5, 6, 2]),
        ({"rule": "0"}, [3]),
        ({"rule": "2", "state": "dropped"}, [4, 5]),
        ({"rule": "1"}, []),
        ({"rule": "-1"}, [2, 3, 4, 5, 6, 2]),
        ({"q": "TIER=back"}, [3]),
        ({"q": 'app="web" 0.5'}, [5]),
        ({"q": "nothing"}, []),
    ],
)
async def test_state_rule_and_search_choose_targets(site: Site, params: dict[str, str], last: list[int]) -> None:
    await mixed_job(site)
    heads = [
        attributes
        for tag, attributes in (await job_page(site, **params)).tags
        if tag == "a" and "aria-label" in attributes
    ]
    tried = [a["aria-label"] for a in heads if (a["aria-label"] or "").startswith("Try rules on")]
    assert tried == [f"Try rules on 127.0.0.{one}:1" for one in last]


async def test_a_dropped_target_is_shown_with_the_rule_and_the_value_that_was_compared(site: Site) -> None:
    await mixed_job(site)
    assert (
        "Rule 0 keep source_labels: [app, tier] regex: web;.* compared value db;back"
        in (await job_page(site, q="0.0.3")).text
    )
    assert "Rule 2 drop source_labels: [drop] regex: yes compared value yes" in (await job_page(site, q="0.0.4")).text


async def test_of_a_rule_that_compares_two_labels_both_values_are_shown(site: Site) -> None:
    equal = RelabelConfig(source_labels=("wanted",), target_label="port", action=Action.KEEPEQUAL)
    site.view.add_pool("web", relabel_configs=(equal,))
    site.view.sync("web", "a", ["127.0.0.2:1"], wanted="9090", port="8080")
    assert "target_label: port compared value 9090 with 8080" in (await job_page(site)).text


async def test_a_refused_target_is_shown_with_the_reason(site: Site) -> None:
    await mixed_job(site)
    assert '"a/b" is not a valid hostname' in (await job_page(site, state="refused")).text


async def test_an_active_target_is_shown_with_its_labels_before_and_after(site: Site) -> None:
    await mixed_job(site)
    shown = await job_page(site, state="active")
    assert "app web web kept" in shown.text
    assert "service none web added" in shown.text
    assert "instance none 127.0.0.2:1 added" in shown.text
    (details,) = [link for link in shown.links() if link.startswith("/target?")]
    assert "http://127.0.0.2:1/metrics" in Page(await site.text(details)).text


async def test_each_rule_tells_how_many_targets_it_drops(site: Site) -> None:
    await mixed_job(site)
    shown = await job_page(site)
    assert "Rule 0 keep source_labels: [app, tier] regex: web;.* drops 1" in shown.text
    assert "Rule 1 replace source_labels: [app] target_label: service Rule 2" in shown.text
    assert "Rule 2 drop source_labels: [drop] regex: yes drops 2" in shown.text
    assert "/discovery?job=web&state=dropped&rule=2" in shown.links()


async def test_counts_are_those_of_now_whenever_something_has_changed(site: Site) -> None:
    await mixed_job(site)
    await job_page(site)
    site.view.sync("web", "f", ["127.0.0.7:1"], app="web", drop="yes")
    assert "regex: yes drops 3" in (await job_page(site)).text
    site.view.add_pool("other")
    site.view.scrape.pools["web"].reload(site.view.scrape.pools["web"].config)
    assert "regex: yes drops 3" in (await job_page(site)).text


async def test_many_dropped_targets_are_counted_when_asked_for(site: Site) -> None:
    site.view.add_pool("web", relabel_configs=(DROP_MARKED,))
    count = COUNTED_UNASKED + 1
    site.view.sync("web", "a", (f"127.1.{number // 250}.{number % 250}:1" for number in range(count)), drop="yes")
    shown = await job_page(site)
    assert f"Count what each rule drops : {count:,} targets are relabelled" in shown.text
    assert "show what it drops" in shown.text
    (link,) = [link for link in shown.links() if "count=1" in link]
    assert f"drops {count:,}" in Page(await site.text(link)).text


async def test_what_was_counted_is_not_counted_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await mixed_job(site)
    counter, pool = DropCounter(), site.view.scrape.pools["web"]
    first = await counter.count(pool, asked=False)
    monkeypatch.setattr("promscout.web.pages.drop_counts._count", None)
    assert (await counter.count(pool, asked=True)).rules == first.rules


async def test_many_discovered_targets_come_in_pages(site: Site) -> None:
    site.view.add_pool("web")
    site.view.sync("web", "a", [f"127.0.0.{number + 1}:1" for number in range(60)])
    shown = await job_page(site, page="3")
    assert "51 to 60 of 60" in shown.text
    assert "Try rules on 127.0.0.51:1" in [a.get("aria-label") for _, a in shown.tags]
    assert "Try rules on 127.0.0.50:1" not in [a.get("aria-label") for _, a in shown.tags]


async def test_a_job_that_is_not_there_shows_all_jobs(site: Site) -> None:
    await mixed_job(site)
    assert "There is no job nope" in (await page(site, "/discovery", job="nope")).text
    assert "Nothing has been discovered yet" not in (await page(site, "/discovery")).text


async def test_an_agent_without_jobs_says_so(site: Site) -> None:
    assert "No jobs: the configuration has no scrape_configs." in (await page(site, "/discovery")).text
    site.view.add_pool("web")
    assert "Nothing has been discovered yet." in (await job_page(site)).text


class Failing(StaticDiscoverer):
    last_error = EVIL


def provider(name: str, *jobs: str, kind: type[StaticDiscoverer] = StaticDiscoverer) -> Provider:
    made = Provider(name, StaticSDConfig(), kind(StaticSDConfig()), lambda *_: None)
    made.jobs = frozenset(jobs)
    return made


async def test_providers_are_waiting_synced_or_failing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.view.add_pool("web")
    site.view.add_pool("db")
    waiting, synced, failing = provider("static/0", "web"), provider("static/1"), provider("http/2", "db", kind=Failing)
    synced._update([])
    monkeypatch.setattr(type(site.view.discovery), "providers", (waiting, synced, failing))
    shown = await page(site, "/discovery")
    assert "static/0 waiting web 0 0 none yet" in shown.text
    assert "static/1 synced 0 0 just now" in shown.text
    assert "http/2 failing" in shown.text
    assert "db failing static" in shown.text
    assert "static/0 has not listed its targets yet." in (await job_page(site)).text
    assert "http/2 fails." in (await page(site, "/discovery", job="db")).text


async def test_what_the_account_may_not_see_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.view.add_pool("web")
    forbidden = WatchStatus(
        server="https://127.0.0.1:6443",
        resource="nodes",
        namespace="",
        label_selector="",
        field_selector="",
        state=WatchState.FORBIDDEN,
        jobs=(),
        attached_by=("web",),
        objects=0,
        bytes=0,
        lists=0,
        watches=0,
        last_seen_seconds=None,
        error="nodes is forbidden",
    )
    monkeypatch.setattr(module, "watch_statuses", lambda _: (forbidden,))
    assert (
        "web: targets lack the labels of nodes (forbidden). nodes is forbidden" in (await page(site, "/discovery")).text
    )
    assert (
        "nodes https://127.0.0.1:6443 forbidden nodes is forbidden none web 0 none yet"
        in (await page(site, "/discovery")).text
    )
    assert "Targets lack the labels of nodes (forbidden). nodes is forbidden" in (await job_page(site)).text


async def test_everything_of_discovery_is_escaped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    evil = RelabelConfig(source_labels=(EVIL,), regex=Regex.parse("x.*|"), target_label="a", replacement=EVIL)
    drop = RelabelConfig(source_labels=(EVIL,), regex=Regex.parse(".*script.*"), action=Action.DROP, separator=EVIL)
    site.view.add_pool(EVIL, relabel_configs=(evil, drop))
    site.view.sync(EVIL, EVIL, ["127.0.0.2:1"], __meta_kubernetes_pod_name=EVIL)
    site.view.sync(EVIL, f"{EVIL}2", [EVIL, "127.0.0.3:1"], **{EVIL: EVIL})
    monkeypatch.setattr(type(site.view.discovery), "providers", (provider(EVIL, EVIL, kind=Failing),))
    for params in (
        {},
        {"job": EVIL},
        {"job": EVIL, "state": "dropped", "rule": "1"},
        {"job": EVIL, "q": EVIL, "state": EVIL, "rule": EVIL, "page": EVIL, "count": EVIL},
        {"job": f"{EVIL}?"},
    ):
        text = await site.text("/discovery", **params)
        assert "alert(1)" in text
        assert "<script>" not in text
        assert not [link for link in Page(text).links() if link.startswith("javascript")]


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "/discovery"),
        ({"job": "a b", "state": "dropped", "rule": "0", "q": " x "}, "/discovery?job=a+b&state=dropped&q=x&rule=0"),
        ({"rule": "x", "state": "y", "count": "yes", "page": "0"}, "/discovery"),
    ],
)
def test_what_cannot_be_understood_is_left_out(given: dict[str, str], url: str) -> None:
    assert DiscoveryQuery.parse(given).url() == url
