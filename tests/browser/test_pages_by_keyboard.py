"""Every page with the keyboard alone: Tab reaches what can be used, and shows where it is."""

from __future__ import annotations

import pytest

from browser.looks import looking
from browser.pages import PAGES

pytestmark = pytest.mark.asyncio(loop_scope="session")

_MOST = 400  # steps; the largest page has fewer

# Marks what a reader can use, and gives how many there are. A group of radio buttons is one stop.
_MARK = """() => {
  const seen = new Set();
  const usable = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex]")]
    .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && one.tabIndex >= 0)
    .filter((one) => one.type !== "hidden")
    .filter((one) => one.type !== "radio" || (!seen.has(one.name) && seen.add(one.name)));
  usable.forEach((one) => { one.setAttribute("data-waiting", ""); });
  return usable.length;
}"""

# Where the focus is: nothing at the page's end, else what is wrong with how it looks there.
_STEP = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  one.removeAttribute("data-waiting");
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const marked = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
  const inView = box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
  const problems = [];
  if (!marked) problems.push("focus cannot be seen");
  if (!inView) problems.push("is not in view");
  return problems.length ? `${problems}: ${one.outerHTML.slice(0, 150)}` : "";
}"""


@pytest.mark.parametrize("size", ["phone", "desktop"])
@pytest.mark.parametrize("shown", [shown for shown in PAGES if shown.name != "targets"], ids=str)
async def test_tab_reaches_everything_and_shows_where_it_is(browser, site, shown, size):
    async with looking(browser, site.agent(shown.agent).url, size=size) as view:
        await view.open(shown.path_on(site), shown.status)
        usable = await view.page.evaluate(_MARK)
        assert usable > 8, "the navigation alone has more"
        problems = []
        for _ in range(min(usable + 20, _MOST)):
            await view.page.keyboard.press("Tab")
            step = await view.page.evaluate(_STEP)
            if step is None:
                break
            problems += [step] if step else []
        left = await view.page.evaluate(
            "() => [...document.querySelectorAll('[data-waiting]')].map((one) => one.outerHTML.slice(0, 150))"
        )
        assert not problems
        assert not left, "never reached"


async def test_the_first_stop_skips_the_navigation(browser, site):
    async with looking(browser, site.sending.url) as view:
        await view.open("/targets")
        await view.page.keyboard.press("Tab")
        assert await view.page.evaluate("() => document.activeElement.textContent") == "Skip to content"
        await view.page.keyboard.press("Enter")
        await view.page.keyboard.press("Tab")
        assert await view.page.evaluate("() => document.querySelector('main').contains(document.activeElement)")
