"""Pages follow what happens and take nothing away from their reader; and the theme that the reader chose."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from playwright.async_api import expect

from browser.looks import Look, looking

pytestmark = pytest.mark.asyncio(loop_scope="session")

_PATH = "/targets?pool=switched"
_WAIT = 15_000  # milliseconds: a scrape a second, an event, a page every two seconds


@asynccontextmanager
async def switched_off(site):
    await site.scene.switch("down")
    try:
        yield
    finally:
        await site.scene.switch("up")


def badge(view):
    return view.page.locator("table.targets .badge")


async def is_up(view):
    await expect(badge(view)).to_have_text("up", timeout=_WAIT)


async def is_down(view):
    await expect(badge(view)).to_have_text("down", timeout=_WAIT)


async def test_a_target_that_goes_down_is_seen_without_loading_the_page_again(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open(_PATH)
        await is_up(view)
        await view.page.evaluate("() => { window.stillThis = true; }")
        async with switched_off(site):
            await is_down(view)
            await expect(view.page.locator("table.targets .error")).to_contain_text("503")
        await is_up(view)
        assert await view.page.evaluate("() => window.stillThis")


async def test_the_overview_follows_too(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open("/")
        job = view.page.locator("#live tr", has_text="switched")
        await expect(job).to_contain_text("1 / 1", timeout=_WAIT)  # it was down for the test before, maybe
        glance = view.page.locator("#glance")
        before = int((await glance.inner_text()).split()[2])
        async with switched_off(site):
            await expect(glance).to_contain_text(f"{before + 1} down", timeout=_WAIT)
        await expect(glance).to_contain_text(f"{before} down", timeout=_WAIT)


async def test_focus_stays_where_it_is_while_the_page_changes_around_it(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open(_PATH)
        await is_up(view)
        await view.page.get_by_role("link", name="Details of").focus()
        async with switched_off(site):
            await is_down(view)
            assert await view.page.evaluate("() => document.activeElement.textContent") == "details"
        await is_up(view)
        assert await view.page.evaluate("() => document.activeElement.textContent") == "details"


async def test_open_details_stay_open_while_the_page_changes_around_them(browser, site):
    async with looking(browser, site.sending.url) as view, looking(browser, site.sending.url) as other:
        await view.open("/targets?health=dropped&pool=pods")
        await other.open(_PATH)
        details = view.page.locator("details").first
        await details.locator("summary").click()
        down = view.page.locator("nav.tabs a", has_text="Down")
        before = await down.inner_text()
        async with switched_off(site):
            await is_down(other)
            # Another job's target does not count here; the row of jobs above shows it.
            await expect(view.page.locator("ul.pools a", has_text="switched")).to_contain_text("1 down", timeout=_WAIT)
            assert await details.get_attribute("open") is not None
        assert await down.inner_text() == before


async def test_nothing_changes_under_a_selection(browser, site):
    async with looking(browser, site.sending.url) as reading, looking(browser, site.sending.url) as following:
        await reading.open(_PATH)
        await following.open(_PATH)
        await is_up(reading)
        await is_up(following)
        select = "() => document.getSelection().selectAllChildren(document.querySelector('td.endpoint'))"
        await reading.page.evaluate(select)
        selected = await reading.page.evaluate("() => document.getSelection().toString()")
        assert "/t/switched" in selected
        async with switched_off(site):
            await is_down(following)
            await expect(badge(reading)).to_have_text("up")
            assert await reading.page.evaluate("() => document.getSelection().toString()") == selected
            await reading.page.evaluate("() => document.getSelection().removeAllRanges()")
            await is_down(reading)
        await is_up(reading)


async def test_a_paused_page_stays_as_it_is_also_when_opened_again(browser, site):
    async with looking(browser, site.sending.url) as paused, looking(browser, site.sending.url) as following:
        await paused.open(_PATH)
        await following.open(_PATH)
        await is_up(paused)
        await paused.page.get_by_role("button", name="live").click()
        await paused.open(_PATH)
        button = paused.page.get_by_role("button", name="paused")
        await expect(button).to_be_visible()
        async with switched_off(site):
            await is_down(following)
            await expect(badge(paused)).to_have_text("up")
            await button.click()
            await is_down(paused)
        await is_up(paused)


async def test_a_chosen_theme_is_kept_and_overrules_the_systems(browser, site):
    lightness = "() => getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number)"
    async with looking(browser, site.sending.url, Look("light")) as view:
        await view.open("/targets")
        assert min(await view.page.evaluate(lightness)) > 200
        button = view.page.locator("#theme")
        for _ in range(3):
            if "dark" in (await button.get_attribute("title") or ""):
                break
            await button.click()
        assert max(await view.page.evaluate(lightness)) < 60
        await view.open("/status")
        assert max(await view.page.evaluate(lightness)) < 60, "on the next page, too"


async def test_without_javascript_no_button_is_there_that_does_nothing(browser, site):
    async with looking(browser, site.sending.url, Look(javascript=False)) as view:
        await view.open("/")
        assert await view.page.locator("header button:visible").count() == 0
