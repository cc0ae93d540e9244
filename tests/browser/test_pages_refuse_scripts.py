"""Hostile texts in labels, annotations, errors, bodies, job names, URLs and parameters are texts on every page.

Without the Content-Security-Policy, too: it is the second line, and must never be needed.
"""

from __future__ import annotations

import pytest

from browser.looks import Look, looking
from browser.pages import PAGES

pytestmark = pytest.mark.asyncio(loop_scope="session")

_WITH_TEXTS = [shown for shown in PAGES if shown.shows]

# What a page of promscout never has: handlers in attributes, scripts in the page, links that run something.
_INTRUDERS = """() => [...document.querySelectorAll("*")].filter((one) =>
    one.getAttributeNames().some((name) => name.startsWith("on"))
    || (one.localName === "script" && !one.src)
    || (one.localName === "img" && !new URL(one.src).pathname.startsWith("/static/"))
    || (one.localName === "a" && one.href && !/^https?:/.test(one.href.baseVal ?? one.href))
    || ["iframe", "object", "embed", "base"].includes(one.localName)
  ).map((one) => one.outerHTML.slice(0, 200))"""

# All texts that a reader can find on the page, whether in view or folded away.
_TEXT = """() => [document.body.textContent,
  ...[...document.querySelectorAll("textarea, input, option")].map((one) => one.value)].join("\\n")"""


@pytest.mark.parametrize("bypasses_csp", [False, True], ids=["with-csp", "without-csp"])
@pytest.mark.parametrize("shown", PAGES, ids=str)
async def test_no_text_runs_or_becomes_an_element(browser, site, shown, bypasses_csp):
    async with looking(browser, site.agent(shown.agent).url, Look(bypasses_csp=bypasses_csp)) as view:
        await view.open(shown.path_on(site), shown.status)
        assert await view.page.evaluate(_INTRUDERS) == []
        # Folded parts are the same document, but what is loaded lazily is loaded now.
        await view.page.evaluate("() => document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert await view.page.evaluate(_INTRUDERS) == []


@pytest.mark.parametrize("shown", _WITH_TEXTS, ids=str)
async def test_a_hostile_text_can_be_read_as_it_is(browser, site, shown):
    """And so the test above is about pages that have such texts."""
    async with looking(browser, site.agent(shown.agent).url) as view:
        await view.open(shown.path_on(site), shown.status)
        text = await view.page.evaluate(_TEXT)
        missing = [one for one in shown.shows if one not in text and one.replace('"', '\\"') not in text]
        assert not missing, text


async def test_a_script_in_a_page_would_be_noticed(browser, site):
    """The watch itself: with a page that is open to all of it, every kind of trouble is in its list."""
    async with looking(browser, site.sending.url, Look(bypasses_csp=True)) as view:
        await view.open("/status")
        await view.page.evaluate(
            """() => { document.body.innerHTML = "<img src=/nowhere onerror=alert('image')>";
            console.warn("a warning"); setTimeout(() => { throw new Error("thrown"); }); }"""
        )
        await view.page.evaluate("() => fetch('http://127.0.0.1:9/').catch(() => {})")
        await view.page.wait_for_function("() => document.querySelector('img').complete")
        assert len(await view.page.evaluate(_INTRUDERS)) == 1
        found, view.problems = "\n".join(view.problems), []
    for expected in ("console warning: a warning", "uncaught error: thrown", "request to another place", "status 404"):
        assert expected in found
    assert "dialog: image" in found


async def test_a_page_reaches_nothing_beyond_loopback(browser, site):
    """The browser of these tests stays on 127.0.0.1, whatever a page names."""
    async with looking(browser, site.sending.url, Look(bypasses_csp=True)) as view:
        await view.open("/status")
        script = "(url) => fetch(url, {mode: 'no-cors'}).then(() => 'answered', () => 'refused')"
        for url in ("http://example.com/", "http://198.51.100.1/", "http://[::1]:9/"):
            assert await view.page.evaluate(script, url) == "refused"
        assert len(view.problems) >= 3
        view.problems.clear()
