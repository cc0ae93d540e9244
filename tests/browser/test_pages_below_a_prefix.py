"""Pages behind a proxy that gives them a path of their own: every link, picture and stream is below it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from browser.looks import looking
from e2e.promscout_process import Promscout

pytestmark = pytest.mark.asyncio(loop_scope="session")

_CONFIG = {"scrape_configs": [{"job_name": "one", "static_configs": [{"targets": ["127.0.0.1:9"]}]}]}


class Prefixed(Promscout):
    """promscout below /scout."""

    ready_path = "/scout/-/ready"


async def test_every_page_can_be_reached_by_the_navigation(browser, tmp_path):
    async with (
        Prefixed(tmp_path, _CONFIG, "--web.route-prefix=/scout") as agent,
        looking(browser, agent.url) as view,
    ):
        await view.open("/scout/")
        names = await view.page.locator("nav.pages a").all_text_contents()
        assert len(names) == 8
        for name in names:
            await view.page.get_by_role("navigation", name="Pages").get_by_role("link", name=name.strip()).click()
            await expect(view.page.locator("nav.pages a[aria-current=page]")).to_have_text(name)
            outside = await view.page.evaluate(
                "() => [...document.querySelectorAll('[href], [src], [action]')]"
                ".map((one) => new URL(one.href || one.src || one.action))"
                ".filter((url) => url.origin === location.origin && !url.pathname.startsWith('/scout/'))"
                ".map(String)"
            )
            assert outside == []
        await view.open("/scout/targets")
        await expect(view.page.get_by_role("button", name="live")).to_be_visible()
