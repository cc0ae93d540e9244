"""What people do on the pages: search, turn pages, filter, sort, open details, try rules."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from playwright.async_api import expect

from browser.looks import Look, looking

pytestmark = pytest.mark.asyncio(loop_scope="session")

with_and_without_javascript = pytest.mark.parametrize(
    "look", [Look(), Look(javascript=False)], ids=["javascript", "no-javascript"]
)

_DROPPING = """\
- source_labels: [half]
  target_label: side
- source_labels: [side]
  regex: '0'
  action: drop
"""


@with_and_without_javascript
async def test_a_search_leaves_the_targets_that_match(browser, site, look):
    async with looking(browser, site.sending.url, look) as view:
        await view.open("/targets")
        await view.page.get_by_role("searchbox").fill('half="1" many-02')
        await view.page.get_by_role("searchbox").press("Enter")
        rows = view.page.locator("table.targets tbody tr")
        await expect(rows).to_have_count(5)
        assert all("many-02" in text for text in await rows.all_inner_texts())
        await view.page.get_by_role("link", name="clear search").click()
        await expect(rows).to_have_count(100)


@with_and_without_javascript
async def test_pages_follow_each_other(browser, site, look):
    async with looking(browser, site.sending.url, look) as view:
        await view.open("/targets?pool=many&size=25")
        pager = view.page.get_by_role("navigation", name="Pages of targets")
        seen = set()
        for first in range(1, 376, 25):
            await expect(pager).to_contain_text(f"{first} to {first + 24} of 399")
            seen |= set(
                await view.page.locator("td.endpoint a.details").evaluate_all("all => all.map(one => one.href)")
            )
            await pager.get_by_role("link", name="Next").click()
        await expect(pager).to_contain_text("376 to 399 of 399")
        await expect(pager.get_by_role("link", name="Next")).to_have_count(0)
        await pager.get_by_role("link", name="Previous").click()
        await expect(pager).to_contain_text("351 to 375 of 399")
        assert len(seen) == 375, "no target is on two pages"


@with_and_without_javascript
async def test_tabs_and_jobs_filter(browser, site, look):
    async with looking(browser, site.sending.url, look) as view:
        await view.open("/targets")
        await view.page.get_by_role("navigation", name="Target state").get_by_role("link", name="Down").click()
        badges = view.page.locator("table.targets .badge")
        await expect(badges.first).to_be_visible()
        assert set(await badges.all_text_contents()) == {"down"}
        await view.page.locator("ul.pools a", has_text="pods").click()
        await expect(badges).to_have_count(1)
        await expect(view.page.locator("table.targets .error")).to_contain_text("500")


async def test_a_click_on_a_column_sorts_by_it_and_another_turns_it_round(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open("/targets?size=500")
        for order in ("descending", "ascending"):
            await view.page.get_by_role("link", name="Samples").first.click()
            header = view.page.get_by_role("columnheader", name="Samples").first
            await expect(header).to_have_attribute("aria-sort", order)
            texts = await view.page.locator("td[data-title=Samples]").all_inner_texts()
            samples = [int(text.replace(",", "")) for text in texts if text.strip()]
            assert len(set(samples)) > 1
            assert samples == sorted(samples, reverse=order == "descending")


@with_and_without_javascript
async def test_a_target_opens_with_its_samples(browser, site, look):
    async with looking(browser, site.sending.url, look) as view:
        await view.open("/targets?q=evil-0")
        await view.page.get_by_role("link", name="Details of").first.click()
        await expect(view.page.get_by_role("heading", level=1)).to_have_text(f"{site.scene.url}/t/evil-0")
        samples = view.page.locator("table.samples tbody tr")
        await expect(samples).to_have_count(7)
        await view.page.get_by_placeholder("Search names").fill("temperature")
        await view.page.get_by_placeholder("Search names").press("Enter")
        await expect(samples).to_have_count(1)
        await expect(samples).to_contain_text("temperature_celsius")


async def test_the_raw_exposition_is_shown_as_text(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open("/targets?q=evil-0")
        await view.page.get_by_role("link", name="Details of").first.click()
        async with view.page.expect_navigation() as going:
            await view.page.get_by_role("link", name="Raw exposition").click()
        response = await going.value
        assert response.headers["content-type"].startswith("text/plain")
        assert "<script>alert('script')</script>" in await view.page.inner_text("body")


@with_and_without_javascript
async def test_discovery_names_the_rule_that_dropped_a_target(browser, site, look):
    async with looking(browser, site.sending.url, look) as view:
        await view.open("/discovery")
        await view.page.locator("table.jobs tr", has_text="pods").get_by_role("link", name="4", exact=True).click()
        main = view.page.locator("main")
        await expect(main).to_contain_text("silent-0")
        await expect(main).not_to_contain_text("web-0")
        await expect(main).to_contain_text("__meta_kubernetes_pod_annotation_prometheus_io_scrape")


async def test_discovery_says_which_permission_is_missing(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open("/discovery")
        await expect(view.page.locator(".notice")).to_contain_text("targets lack the labels of nodes")
        await expect(view.page.locator("table.watches")).to_contain_text("nodes is forbidden")


@with_and_without_javascript
async def test_rules_can_be_changed_and_tried_on_a_discovered_target(browser, site, look):
    async with looking(browser, site.sending.url, look) as view:
        await view.open("/relabel")
        await view.page.get_by_label("Job").select_option("many")
        await view.page.get_by_role("button", name="Take from the job").click()
        await view.page.locator("ul.pick-list a").first.click()
        rules = view.page.locator("#rules")
        assert "many-4.*" in await rules.input_value()
        verdict = view.page.locator(".verdict")
        await expect(verdict).to_contain_text("Kept")
        await rules.fill(_DROPPING)
        await view.page.get_by_role("button", name="Try the rules").click()
        await expect(verdict).to_contain_text("Dropped by rule 1 in line 3")
        await rules.fill("- action: nonsense\n")
        await view.page.get_by_role("button", name="Try the rules").click()
        await expect(view.page.locator("#rule-problems")).to_contain_text("nonsense")


@with_and_without_javascript
async def test_a_series_is_plotted(browser, site, look):
    async with looking(browser, site.storing.url, look) as view:
        await view.open("/graph")
        await view.page.get_by_role("searchbox").fill('work_total{instance="evil-0"}')
        await view.page.get_by_role("button", name="Plot").click()
        await expect(view.page.locator("table.legend tbody tr")).to_have_count(6)
        await expect(view.page.locator("svg.chart")).to_be_visible()


async def test_the_overview_counts_as_the_api_does(browser, site):
    counted = {"up": 0, "down": 0, "unknown": 0}
    for target in await site.sending.active():
        counted[target["health"]] += 1
    async with looking(browser, site.sending.url) as view:
        await view.open("/")
        # The many are scraped within an hour, so that one more may be up by now.
        glance = await view.page.locator("#glance").inner_text()
        assert int(glance.split()[2]) == counted["down"]
        assert 0 <= int(glance.split()[0]) - counted["up"] < 5


async def test_a_receiver_that_is_away_is_seen_to_be(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open("/remote-write")
        text = await view.page.inner_text("main")
        assert "127.0.0.1:9" in text
        assert "Connect" in text or "connect" in text
        assert "400" in text


async def test_the_slash_key_leads_to_the_search(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open("/targets")
        await view.page.keyboard.press("/")
        await expect(view.page.get_by_role("searchbox")).to_be_focused()
        await view.page.keyboard.type("/t/evil-body")
        await view.page.keyboard.press("Enter")
        await expect(view.page.locator("table.targets tbody tr")).to_have_count(1)


async def test_a_link_from_a_target_leads_to_its_rules(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open(f"/target?{urlencode({'pool': 'many', 'url': f'{site.scene.url}/t/many-003'})}")
        await view.page.get_by_role("link", name="Try other rules").click()
        assert "many-003" in await view.page.locator("#labels").input_value()
        await expect(view.page.locator(".verdict")).to_contain_text("Kept")
