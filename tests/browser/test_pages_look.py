"""Every page at three sizes, in both themes, with and without JavaScript: whole, quiet and readable by everybody."""

from __future__ import annotations

import pytest
from axe_playwright_python.async_playwright import Axe

from browser.looks import LOOKS, SIZES, Look, looking
from browser.pages import PAGES

pytestmark = pytest.mark.asyncio(loop_scope="session")

_OVERFLOW = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll("body *")]
    .filter((one) => one.getBoundingClientRect().right > width + 1)
    .map((one) => one.outerHTML.slice(0, 100));
}"""


@pytest.mark.parametrize("look", LOOKS, ids=str)
@pytest.mark.parametrize("shown", PAGES, ids=str)
async def test_a_page_fits_every_screen_and_nothing_goes_wrong_on_it(browser, site, screenshots, shown, look):
    async with looking(browser, site.agent(shown.agent).url, look) as view:
        await view.open(shown.path_on(site), shown.status)
        for size, viewport in SIZES.items():
            await view.page.set_viewport_size(viewport)
            if look.javascript:  # without it a page looks the same but for two buttons
                await view.page.screenshot(path=screenshots / f"{shown}-{size}-{look.theme}.png")
            assert await view.page.evaluate(_OVERFLOW) == [], f"wider than the {size}"


@pytest.mark.parametrize(("theme", "size"), [("light", "desktop"), ("dark", "phone")])
@pytest.mark.parametrize("shown", PAGES, ids=str)
async def test_axe_finds_nothing_serious_on_a_page(browser, site, shown, theme, size):
    async with looking(browser, site.agent(shown.agent).url, Look(theme), size) as view:
        await view.open(shown.path_on(site), shown.status)
        found = await Axe().run(view.page, options={"resultTypes": ["violations"]})
        serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
        assert not serious, "\n".join(_described(one) for one in serious)


def _described(violation):
    places = "; ".join(node["html"][:200] + " " + node.get("failureSummary", "") for node in violation["nodes"][:3])
    return f"{violation['id']} ({violation['help']}): {places}"
