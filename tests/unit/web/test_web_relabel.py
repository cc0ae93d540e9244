"""The page to try relabel rules."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.web.pages.relabel_page import MAX_WAITING, PLAYER
from unit.web.agent_view import Site
from unit.web.page_text import EVIL, Page, page

pytestmark = pytest.mark.real_time

KEEP_WEB = RelabelConfig(source_labels=("app",), regex=Regex.parse("web"), action=Action.KEEP)
DROP_UP = RelabelConfig(source_labels=("__name__",), regex=Regex.parse("up"), action=Action.DROP)


async def two_targets(site: Site) -> None:
    site.view.add_pool("web", relabel_configs=(KEEP_WEB,), metric_relabel_configs=(DROP_UP,))
    site.view.sync("web", "a", ["127.0.0.2:1"], app="web", __meta_zone="z")
    site.view.sync("web", "b", ["127.0.0.3:1"], app="db")


async def post(site: Site, **form: str) -> Page:
    async with site.client.post("/relabel", data=form) as response:
        assert response.status == 200
        return Page(await response.text())


async def test_the_page_begins_with_the_first_target_that_is_scraped_and_the_rules_of_its_job(site: Site) -> None:
    site.view.add_pool("empty")
    await two_targets(site)
    site.view.sync("web", "a", ["127.0.0.4:1"], app="db")
    site.view.sync("web", "c", ["127.0.0.2:1"], app="web", __meta_zone="z")
    shown = await page(site, "/relabel")
    assert '__address__="127.0.0.2:1" __meta_zone="z"' in shown.text
    assert "- source_labels: [app] regex: web action: keep" in shown.text
    assert "Kept. The target is http://127.0.0.2:1/metrics" in shown.text


async def test_any_target_of_the_job_can_be_taken(site: Site) -> None:
    await two_targets(site)
    shown = await page(site, "/relabel", job="web", q="app=db")
    (link,) = [link for link in shown.links() if "provider=" in link]
    taken = Page(await site.text(link))
    assert '__address__="127.0.0.3:1"' in taken.text
    assert "Dropped by rule 0 in line 1." in taken.text
    assert "compared value db" in taken.text
    assert "No target matches." in (await page(site, "/relabel", job="web", q="nothing")).text


async def test_the_links_of_other_pages_lead_to_their_target(site: Site) -> None:
    await two_targets(site)
    shown = await page(site, "/discovery", job="web", state="dropped")
    (link,) = [link for link in shown.links() if link.startswith("/relabel?")]
    assert '__address__="127.0.0.3:1"' in Page(await site.text(link)).text
    (details,) = [link for link in (await page(site)).links() if link.startswith("/target?")]
    (link,) = [link for link in Page(await site.text(details)).links() if link.startswith("/relabel?")]
    assert '__address__="127.0.0.2:1"' in Page(await site.text(link)).text


async def test_other_rules_are_tried_on_other_labels(site: Site) -> None:
    await two_targets(site)
    rules = "- source_labels: [team]\n  target_label: owner\n"
    shown = await post(site, job="web", labels="127.0.0.9:1\nteam: blue", rules=rules)
    assert "Kept. The target is http://127.0.0.9:1/metrics" in shown.text
    assert "added owner is blue" in shown.text
    assert "labels that every target of web has were added" in shown.text
    assert site.view.scrape.pools["web"].config.relabel_configs == (KEEP_WEB,)


async def test_rules_for_samples_are_tried_on_a_sample(site: Site) -> None:
    await two_targets(site)
    shown = await page(site, "/relabel", job="web", mode="metric")
    assert '__name__="up" app="web" instance="127.0.0.2:1" job="web"' in shown.text
    assert "Dropped by rule 0 in line 1." in shown.text


async def test_problems_are_shown_beside_the_text(site: Site) -> None:
    shown = await post(site, labels="what is this", rules="- a: 1\n- action: kepe\n")
    assert 'line 1: "what is this" is no label' in shown.text
    assert "line 1 rules[0].a" in shown.text
    assert "line 2 rules[1].action" in shown.text
    assert "There is nothing to try" in shown.text
    described = [a["aria-describedby"] for tag, a in shown.tags if tag == "textarea"]
    assert described == ["label-problem", "rule-problems"]


async def test_a_link_shows_the_same_again(site: Site) -> None:
    await two_targets(site)
    shown = await post(site, job="web", labels="127.0.0.9:1", rules="")
    (link,) = [link for link in shown.links() if "labels=" in link]
    again = Page(await site.text(link))
    assert "Kept. The target is http://127.0.0.9:1/metrics" in again.text
    assert "There are no rules." in again.text
    long = await post(site, job="web", labels="127.0.0.9:1", rules="#" * 5000)
    assert not [link for link in long.links() if "labels=" in link]


async def test_a_job_that_is_gone_is_no_job(site: Site) -> None:
    shown = await page(site, "/relabel", job="nope")
    assert "Take a target of a job, or paste labels." in shown.text
    assert "a job has were added" in (await post(site, job="nope", labels="127.0.0.9:1", rules="")).text


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"labels=a%3D1", "application/x-www-form-urlencoded", 200),
        (b"{}", "application/json", 415),
        (b"--x--", "multipart/form-data; boundary=x", 415),
        (b"labels=" + b"a" * (600 << 10), "application/x-www-form-urlencoded", 413),
        (b"&".join([b"a=1"] * 100), "application/x-www-form-urlencoded", 400),
        (b"labels=\xff", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_only_forms_within_bounds_are_taken(site: Site, body: bytes, kind: str, status: int) -> None:
    async with site.client.post("/relabel", data=body, headers={"Content-Type": kind}) as response:
        assert response.status == status


async def test_too_many_at_once_are_told_to_come_again(site: Site) -> None:
    site.server._runner.app[PLAYER]._waiting = MAX_WAITING
    async with site.client.get("/relabel", params={"labels": "a=1"}) as response:
        assert response.status == 503


async def test_everything_of_the_page_is_escaped(site: Site) -> None:
    evil = RelabelConfig(source_labels=("a",), regex=Regex.parse("x.*|"), target_label="a", replacement=EVIL)
    site.view.add_pool(EVIL, relabel_configs=(evil,))
    site.view.sync(EVIL, EVIL, ["127.0.0.2:1", EVIL], team=EVIL)
    query = urlencode({"labels": f"a={EVIL}", "rules": f"- action: {EVIL!r}", "job": EVIL, "mode": EVIL, "q": EVIL})
    for text in (
        await site.text("/relabel"),
        await site.text("/relabel", job=EVIL, q=EVIL, url=EVIL),
        await site.text("/relabel", labels=f"</textarea>{EVIL}", rules=f"</textarea>{EVIL}: ["),
        await site.text(f"/relabel?{query}"),
        await site.text("/relabel", labels=f"a={EVIL}", rules="- source_labels: [a]\n  target_label: b\n"),
    ):
        assert "alert(1)" in text
        assert "<script>" not in text
        assert text.count("</textarea>") == 2
