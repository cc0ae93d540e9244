"""The pages for people."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from promscout.config import Config
from promscout.discovery.config import StaticSDConfig
from promscout.discovery.provider import Provider
from promscout.discovery.static import StaticDiscoverer
from promscout.model.clock import rfc3339
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.scrape.report import Report
from promscout.web.pages.rendering import ago, size, span, until
from promscout.web.pages.target_query import TargetQuery
from unit.web.agent_view import NOW_MS, Site
from unit.web.page_text import EVIL, Page, page

pytestmark = pytest.mark.real_time

SCRIPTS = [
    {"src": "/static/theme.js"},  # before the page is drawn
    {"src": "/static/page.js", "defer": None},
    {"src": "/static/live.js", "defer": None},
]
DROP_MARKED = RelabelConfig(source_labels=("drop",), regex=Regex.parse("yes"), action=Action.DROP)


async def test_a_target_is_shown_with_its_last_scrape(site: Site) -> None:
    site.view.add_pool("web")
    up, down, _ = site.view.sync(
        "web", "a", ["127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1"], team="blue", __meta_zone="z"
    )
    up.loop.last = Report(NOW_MS - 5000, 0.0123)
    down.loop.last = Report(NOW_MS - 200_000, 10.0, "connection refused")
    shown = await page(site)
    assert shown.endpoints() == [f"http://127.0.0.{last}:1/metrics" for last in (2, 3, 4)]
    assert "1 / 3 up every 1d 1 down 1 unknown" in shown.text
    assert 'team = "blue"' in shown.text
    assert "5 s ago 12.3 ms 1d" in shown.text
    assert "connection refused" in shown.text
    assert "3 min ago 10 s 1d" in shown.text
    assert "never 1d" in shown.text


async def test_text_of_others_is_escaped_everywhere(site: Site) -> None:
    site.view.add_pool(EVIL, relabel_configs=(DROP_MARKED,))
    (active,) = site.view.sync(EVIL, "a", ["127.0.0.2:1"], team=EVIL, __meta_x=EVIL)
    site.view.sync(EVIL, "b", ["127.0.0.3:1"], drop="yes", __meta_x=EVIL)
    active.loop.last = Report(NOW_MS, 1, EVIL)
    site.view.config = Config(text=EVIL)
    for path, params in (
        ("/targets", {}),
        ("/targets", {"q": "script"}),
        ("/targets", {"q": EVIL}),
        ("/targets", {"pool": EVIL}),
        ("/targets", {"health": "dropped"}),
        ("/targets", {"health": EVIL, "page": EVIL}),
        ("/config", {}),
        ("/", {}),
    ):
        text = await site.text(path, **params)
        assert "alert(1)" in text
        assert "<script>" not in text
        scripts = [attributes for tag, attributes in Page(text).tags if tag == "script"]
        assert scripts == SCRIPTS


async def test_only_http_urls_are_links(site: Site) -> None:
    rule = RelabelConfig(target_label="__scheme__", replacement="javascript")
    site.view.add_pool("web", relabel_configs=(rule,))
    site.view.sync("web", "a", ["127.0.0.2:1"])
    shown = await page(site)
    assert "javascript://127.0.0.2:1/metrics" in shown.text
    assert not [link for link in shown.links() if link.startswith("javascript")]


async def test_links_to_targets_do_not_tell_them_where_the_reader_came_from(site: Site) -> None:
    site.view.add_pool("web")
    site.view.sync("web", "a", ["127.0.0.2:1"])
    shown = await page(site)
    (rel,) = [a["rel"] for tag, a in shown.tags if tag == "a" and (a.get("href") or "").startswith("http")]
    assert rel == "noreferrer noopener"


async def three_pools(site: Site) -> None:
    """a: .2 up, .3 down; b: .4 unknown with a label; c: .5 dropped."""
    for job in ("c", "b", "a"):
        site.view.add_pool(job, relabel_configs=(DROP_MARKED,))
    up, down = site.view.sync("a", "a", ["127.0.0.2:1", "127.0.0.3:1"])
    up.loop.last = Report(NOW_MS, 0.1)
    down.loop.last = Report(NOW_MS, 0.1, "no answer within 10s")
    site.view.sync("b", "b", ["127.0.0.4:1"], team="Blue")
    site.view.sync("c", "c", ["127.0.0.5:1"], drop="yes", __meta_kubernetes_pod_name="web-0")


@pytest.mark.parametrize(
    ("params", "shown"),
    [
        ({}, [2, 3, 4]),
        ({"health": "up"}, [2]),
        ({"health": "down"}, [3]),
        ({"health": "unknown"}, [4]),
        ({"health": "nonsense"}, [2, 3, 4]),
        ({"pool": "a"}, [2, 3]),
        ({"pool": "a", "health": "down"}, [3]),
        ({"pool": "nope"}, []),
        ({"q": "127.0.0.4"}, [4]),
        ({"q": "BLUE"}, [4]),
        ({"q": 'team="blue"'}, [4]),
        ({"q": "job=a answer"}, [3]),
        ({"q": "job=b answer"}, []),
        ({"q": "answer", "health": "up"}, []),
        ({"q": "  "}, [2, 3, 4]),
    ],
)
async def test_search_pool_and_health_choose_targets(site: Site, params: dict[str, str], shown: list[int]) -> None:
    await three_pools(site)
    assert (await page(site, **params)).endpoints() == [f"http://127.0.0.{last}:1/metrics" for last in shown]


async def test_the_tabs_count_what_matches(site: Site) -> None:
    await three_pools(site)
    assert "All 3 Up 1 Down 1 Unknown 1 Dropped 1" in (await page(site)).text
    assert "All 2 Up 1 Down 1 Unknown 0 Dropped 0" in (await page(site, pool="a", health="up")).text
    assert "All 1 Up 0 Down 1 Unknown 0 Dropped" in (await page(site, q="answer")).text


async def test_dropped_targets_are_shown_with_discovered_labels(site: Site) -> None:
    await three_pools(site)
    shown = await page(site, health="dropped")
    assert shown.endpoints() == []
    assert "127.0.0.5:1" in shown.text
    assert '__meta_kubernetes_pod_name = "web-0"' in shown.text
    assert "127.0.0.5:1" in (await page(site, health="dropped", q="web-0")).text
    assert "No target matches" in (await page(site, health="dropped", q="web-1")).text


@pytest.mark.parametrize(
    ("number", "first", "last", "links"),
    [
        ("1", 0, 100, ["/targets?page=2"]),
        ("2", 100, 200, ["/targets", "/targets?page=3"]),
        ("3", 200, 250, ["/targets?page=2"]),
        ("99", 200, 250, ["/targets?page=2"]),
        ("0", 0, 100, ["/targets?page=2"]),
        ("x", 0, 100, ["/targets?page=2"]),
    ],
)
async def test_many_targets_come_in_pages(site: Site, number: str, first: int, last: int, links: list[str]) -> None:
    site.view.add_pool("web")
    addresses = [f"127.0.1.{number + 1}:1" for number in range(250)]
    site.view.sync("web", "a", addresses)
    shown = await page(site, page=number)
    assert shown.endpoints() == [f"http://{address}/metrics" for address in addresses[first:last]]
    assert f"{first + 1} to {last} of 250" in shown.text
    assert [a["href"] for tag, a in shown.tags if tag == "a" and a.get("rel") in ("prev", "next")] == links


async def test_dropped_targets_come_in_pages(site: Site) -> None:
    site.view.add_pool("web", relabel_configs=(DROP_MARKED,))
    site.view.sync("web", "a", [f"127.0.1.{number + 1}:1" for number in range(130)], drop="yes")
    shown = await page(site, health="dropped", page="2")
    assert "101 to 130 of 130" in shown.text
    assert "127.0.1.130:1" in shown.text
    assert "127.0.1.100:1" not in shown.text


async def test_dropped_targets_that_are_not_kept_are_counted(site: Site) -> None:
    site.view.add_pool("web", relabel_configs=(DROP_MARKED,), keep_dropped_targets=2)
    site.view.sync("web", "a", ["127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1"], drop="yes")
    shown = await page(site, health="dropped")
    assert "Dropped 3 keep_dropped_targets keeps 2 of them for display." in shown.text
    assert "127.0.0.3:1" in shown.text
    assert "127.0.0.4:1" not in shown.text
    assert "keep_dropped_targets" not in (await page(site)).text


async def test_an_agent_without_pools_says_why_there_is_nothing(site: Site) -> None:
    assert "No scrape pools" in (await page(site)).text
    site.view.add_pool("web")
    assert "No targets have been discovered yet" in (await page(site)).text


async def test_discovery_that_is_not_finished_is_announced(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider("kubernetes/0", StaticSDConfig(), StaticDiscoverer(StaticSDConfig()), lambda *_: None)
    provider.jobs = frozenset({"pods", "nodes"})
    monkeypatch.setattr(type(site.view.discovery), "providers", (provider,))
    assert "kubernetes/0 has not listed its targets yet (nodes, pods)" in (await page(site)).text
    provider.synced = True
    assert "not listed" not in (await page(site)).text


async def test_pages_need_nothing_inline_and_nothing_from_elsewhere(site: Site) -> None:
    await three_pools(site)
    for path in ("/", "/targets", "/config", "/status", "/remote-write", "/graph"):
        shown = await page(site, path)
        for tag, attributes in shown.tags:
            assert tag != "style"
            assert not {"style", "onclick", "onload"} & attributes.keys()
            if tag != "a":
                assert not any((attributes.get(name) or "/").startswith("http") for name in ("src", "href", "action"))


async def test_everything_that_a_page_refers_to_is_served(site: Site) -> None:
    shown = await page(site)
    references = {
        a[name] for tag, a in shown.tags for name in ("src", "href") if tag in ("link", "script", "img") and name in a
    }
    sheets = ("style.css", "components.css", "pages.css", "explore.css")
    static = (*sheets, "icon.svg", "theme.js", "page.js", "live.js")
    assert references == {f"/static/{name}" for name in static}
    for reference in references:
        async with site.client.get(reference or "") as response:
            assert response.status == 200
    for path in ("/static/", "/static/../pages.py", "/static/%2e%2e/pages.py"):
        async with site.client.get(path) as response:
            assert response.status in (403, 404)


def test_static_files_name_no_other_site() -> None:
    for file in files("promscout.web.pages").joinpath("static").iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|@import|url\(", text), file.name


async def test_every_field_and_table_has_a_name_for_screen_readers(site: Site) -> None:
    await three_pools(site)
    shown = await page(site)
    labelled = {attributes["for"] for tag, attributes in shown.tags if tag == "label"}
    fields = {
        attributes["id"] for tag, attributes in shown.tags if tag == "input" and attributes.get("type") != "hidden"
    }
    assert fields == labelled
    tables = [tag for tag, _ in shown.tags if tag in ("table", "caption")]
    assert tables == ["table", "caption"] * 2
    identifiers = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))


@pytest.mark.parametrize(
    ("query", "changes", "url"),
    [
        (TargetQuery(), {}, "/targets"),
        (TargetQuery("a b", "up", "x&y", 3), {}, "/targets?pool=a+b&health=up&q=x%26y"),
        (TargetQuery("a", "up", "x", 3), {"page": 4}, "/targets?pool=a&health=up&q=x&page=4"),
        (TargetQuery("a", "up", "x", 3), {"pool": ""}, "/targets?health=up&q=x"),
    ],
)
def test_a_changed_filter_leads_to_the_first_page(query: TargetQuery, changes: dict[str, str | int], url: str) -> None:
    assert query.url(**changes) == url


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (-50, "just now"),
        (999, "just now"),
        (1000, "1 s ago"),
        (119_000, "119 s ago"),
        (120_000, "2 min ago"),
        (7_200_000, "2 h ago"),
        (172_800_000, "2 d ago"),
    ],
)
def test_a_time_is_told_in_its_largest_unit(ms: int, text: str) -> None:
    assert ago(ms) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0 ms"), (0.000_4, "0.4 ms"), (0.0471, "47.1 ms"), (0.99949, "999 ms"), (0.9996, "1 s"), (10.0, "10 s")],
)
def test_a_duration_has_three_digits(seconds: float, text: str) -> None:
    assert span(seconds) == text


@pytest.mark.parametrize(
    ("ms", "text"), [(-5, "now"), (999, "now"), (1000, "in 1 s"), (119_000, "in 119 s"), (7_200_000, "in 2 h")]
)
def test_a_time_to_come_is_told_in_its_largest_unit(ms: int, text: str) -> None:
    assert until(ms) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "0.977 KiB"), (4826, "4.71 KiB"), (5 << 20, "5 MiB"), (2 << 30, "2 GiB")],
)
def test_a_size_has_three_digits(count: int, text: str) -> None:
    assert size(count) == text


async def test_the_last_body_and_the_next_scrape_are_shown(site: Site) -> None:
    site.view.add_pool("web")
    (active,) = site.view.sync("web", "a", ["127.0.0.2:1"])
    active.loop.last = Report(NOW_MS, 0.1, scraped=1234, size=5 << 20, format="text/plain")
    text = await site.text("/targets")
    assert '<span title="5 MiB, text/plain">1,234</span>' in text
    assert f'<small title="{rfc3339(active.loop.next_ms or 0)}">next' in text
