"""The page about the process, and what is shown instead of pages."""

from __future__ import annotations

import asyncio
import os

import aiohttp
import pytest

from promscout import __version__
from promscout.config import Config
from promscout.web import ConfigStatus
from promscout.web.pages import overview
from promscout.web.pages.status_page import addresses, process_facts
from promscout.web.vitals import Vital
from promscout.write.status import RemoteWriteStatus
from unit.web.agent_view import NOW_MS, Site, agent_view, serving
from unit.web.test_web_pages import EVIL, Page, page
from unit.write.statuses import buffer_status, queue_status

pytestmark = pytest.mark.real_time

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


async def test_the_process_is_described_as_it_is(site: Site) -> None:
    facts = await process_facts(NOW_MS, {Vital.MEMORY: 5.0})
    assert (facts.version, facts.pid, facts.memory, facts.cpu) == (__version__, os.getpid(), 5.0, None)
    assert facts.cpus == len(os.sched_getaffinity(0))
    assert facts.event_loop == type(asyncio.get_running_loop()).__module__.split(".")[0]
    assert facts.open_files
    assert 3 < facts.open_files < facts.max_files
    assert facts.tasks >= 1


async def test_options_are_shown_with_their_values() -> None:
    flags = {"data-dir": f"/data{EVIL}", "config": "/etc/prometheus.yml"}
    async with agent_view() as view, serving(view, flags=flags) as server, aiohttp.ClientSession(server.url) as client:
        text = await Site(view, server, client).text("/status")
    assert "--config /etc/prometheus.yml --data-dir /data" in Page(text).text
    assert "<script>" not in text


async def test_configuration_and_buffers_are_on_the_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.view.config = Config(text="", files=tuple(f"/etc/{number}.yml" for number in range(7)))
    site.view.config_status = ConfigStatus(NOW_MS - 60_000, ("wrong",))
    queue = queue_status(name="central", buffer=buffer_status(path="/data/rw", bytes=2048, max_bytes=4096))
    monkeypatch.setattr(site.view.remote_write, "status", lambda: RemoteWriteStatus(queues=(queue,)))
    text = (await page(site, "/status")).text
    assert "refused" in text
    assert "/etc/4.yml" in text
    assert "/etc/5.yml" not in text
    assert "and 2 more" in text
    assert "Buffer of central 2 KiB of 4 KiB /data/rw" in text
    assert "Local store none" in text


@pytest.mark.parametrize("path", [one.path for one in addresses() if one.is_link])
async def test_every_link_for_programs_leads_somewhere(site: Site, path: str) -> None:
    async with site.client.get(path) as response:
        assert response.status == 200


async def test_what_needs_more_than_a_click_is_no_link(site: Site) -> None:
    shown = await page(site, "/status")
    links = [link for link in shown.links() if link.startswith(("/api/", "/sd/", "/-/", "/metrics"))]
    assert {"/metrics", "/api/v1/targets", "/sd/http", "/api/v1/openapi.yaml"} <= set(links)
    assert not {"/-/quit", "/-/reload", "/sd/http/{job}", "/api/v1/targets/relabel_steps"} & set(links)
    assert "/-/quit POST, PUT End" in shown.text
    assert "/sd/http/{job} The targets of a job" in shown.text
    assert "/api/v1/rules" not in shown.text  # which is always refused


async def test_a_browser_is_shown_errors_in_the_frame(site: Site) -> None:
    async with site.client.get(f"/nothing/{EVIL}", headers=HTML) as response:
        text = await response.text()
        assert (response.status, response.content_type) == (404, "text/html")
    assert "There is nothing at this address" in Page(text).text
    assert "/targets" in Page(text).links()
    assert "<script>" not in text
    async with site.client.post("/targets", headers=HTML) as response:
        assert (response.status, response.headers["Allow"]) == (405, "GET")
        assert "This address is not asked in this way" in await response.text()


async def test_programs_get_errors_as_before(site: Site) -> None:
    for path, headers in (("/nothing", {}), ("/nothing", {"Accept": "*/*"}), ("/-/nothing", HTML)):
        async with site.client.get(path, headers=headers) as response:
            assert (response.status, response.content_type) == (404, "text/plain")
    async with site.client.get("/api/v1/nothing", headers=HTML) as response:
        assert (response.status, response.content_type) == (404, "application/json")


async def test_a_page_that_cannot_be_made_says_nothing_about_why(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(overview, "watch_statuses", broken)
    for headers, content_type in ((HTML, "text/html"), ({}, "text/plain")):
        async with site.client.get("/", headers=headers) as response:
            text = await response.text()
            assert (response.status, response.content_type) == (500, content_type)
            assert "secret" not in text
            assert response.headers["X-Frame-Options"] == "DENY"
    assert [record.message for record in caplog.records] == ["a request could not be answered"] * 2
