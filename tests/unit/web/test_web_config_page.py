"""The page with the configuration."""

from __future__ import annotations

import re
import threading
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promscout.config import Config
from promscout.web import ConfigStatus
from promscout.web.pages import config_page
from promscout.web.pages.config_page import PAGE_LINES
from promscout.web.pages.yaml_view import MAX_LINE, Section, YAMLText, coloured
from unit.web.agent_view import NOW_MS, Site
from unit.web.test_web_pages import EVIL, Page, page

pytestmark = pytest.mark.real_time

TEXT = """global:
  scrape_interval: 15s
scrape_configs:
- job_name: pods
  kubernetes_sd_configs:
  - role: pod
- job_name: 'my nodes'
remote_write:
- url: http://127.0.0.1:9/w
  name: central
"""


@pytest.mark.parametrize(
    ("line", "html"),
    [
        ("global:", '<span class="y-key">global</span>:'),
        ("  a: 15s", '  <span class="y-key">a</span>: <span class="y-word">15s</span>'),
        ("a: 1h30m", '<span class="y-key">a</span>: <span class="y-word">1h30m</span>'),
        ("a: true", '<span class="y-key">a</span>: <span class="y-word">true</span>'),
        ("a: <secret>", '<span class="y-key">a</span>: <span class="y-secret">&lt;secret&gt;</span>'),
        ("- a: b", '- <span class="y-key">a</span>: <span class="y-text">b</span>'),
        ("- - b", '- - <span class="y-text">b</span>'),
        ("- 'x: y'", '- <span class="y-text">&#x27;x: y&#x27;</span>'),
        ("a: http://b:1/c", '<span class="y-key">a</span>: <span class="y-text">http://b:1/c</span>'),
        ("a: b # c", '<span class="y-key">a</span>: <span class="y-text">b</span><span class="y-comment"> # c</span>'),
        ("# c", '<span class="y-comment"># c</span>'),
        ("a: |-", '<span class="y-key">a</span>: |-'),
        ("", ""),
    ],
)
def test_a_line_is_coloured_by_what_it_says(line: str, html: str) -> None:
    assert coloured(line) == html


@given(st.text(alphabet=st.characters(exclude_characters="\r\n"), max_size=60))
def test_colours_change_nothing_of_what_a_line_says_and_let_nothing_through(line: str) -> None:
    html = coloured(line)
    assert unescape(re.sub(r'<span class="y-\w+">|</span>', "", html)) == line
    assert "<" not in re.sub(r'<span class="y-\w+">|</span>', "", html)


def test_a_very_long_line_is_cut() -> None:
    html = coloured("x" * (MAX_LINE + 1234))
    assert html.startswith("x" * MAX_LINE + "<span")
    assert "1,234 characters more" in html


def test_sections_jobs_and_receivers_are_found() -> None:
    assert YAMLText.of(TEXT).sections == (
        Section("global", 1),
        Section("scrape_configs", 3),
        Section("pods", 4, entry=True),
        Section("my nodes", 7, entry=True),
        Section("remote_write", 8),
        Section("central", 10, entry=True),
    )


async def test_the_configuration_is_shown_line_by_line_with_links_to_its_sections(site: Site) -> None:
    site.view.config = Config(text=TEXT, warnings=(f"odd {EVIL}",), files=("/etc/a.yml",))
    shown = await page(site, "/config")
    lines = [a["id"] for tag, a in shown.tags if tag == "span" and "data-line" in a]
    assert lines == [f"L{number}" for number in range(1, 11)]
    for link in ("/config#L1", "/config#L4", "/config#L10"):
        assert link in shown.links()
    for words in ("global sc", "my nodes", "odd", "/etc/a.yml", "scrape_interval : 15s"):
        assert words.split(" sc")[0] in shown.text
    assert "A later one was refused" not in shown.text
    site.view.config_status = ConfigStatus(NOW_MS, ("wrong",))
    assert "A later one was refused" in (await page(site, "/config")).text


async def test_another_configuration_is_another_page(site: Site) -> None:
    site.view.config = Config(text="a: 1\n")
    assert "a : 1" in (await page(site, "/config")).text
    site.view.config = Config(text="b: 2\n")
    assert "b : 2" in (await page(site, "/config")).text
    site.view.config = Config(text="")
    assert "The configuration is empty" in (await page(site, "/config")).text


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("", 1, PAGE_LINES),
        ("1", 1, PAGE_LINES),
        (str(PAGE_LINES + 5), PAGE_LINES + 1, 2 * PAGE_LINES),
        ("99999999", 2 * PAGE_LINES + 1, 2 * PAGE_LINES + 10),
        ("999999999", 1, PAGE_LINES),
        ("0", 1, PAGE_LINES),
        ("x", 1, PAGE_LINES),
    ],
)
async def test_a_large_configuration_comes_in_pages(site: Site, asked: str, first: int, last: int) -> None:
    site.view.config = Config(text="".join(f"k{number}: v\n" for number in range(2 * PAGE_LINES + 10)))
    shown = await page(site, "/config", **{"from": asked})
    assert f"Lines {first:,} to {last:,} of {2 * PAGE_LINES + 10:,}" in shown.text
    numbers = [int(a["data-line"] or 0) for tag, a in shown.tags if tag == "span" and "data-line" in a]
    assert numbers == list(range(first, last + 1))


async def test_five_megabytes_are_taken_apart_in_a_thread_and_shown_in_part(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.view.config = Config(text="scrape_configs:\n" + "- job_name: some job with a name\n" * 160_000)
    threads, longest = [], []
    take_apart, colour = YAMLText.of, config_page.coloured

    def noted(text: str) -> YAMLText:
        threads.append(threading.get_ident())
        return take_apart(text)

    monkeypatch.setattr(YAMLText, "of", noted)
    monkeypatch.setattr(config_page, "coloured", lambda line: longest.append(line) or colour(line))
    for _ in range(2):
        text = await site.text("/config")
        assert len(Page(text).links()) < 1000
        assert len(text) < 500_000
    assert len(threads) == 1  # it is kept
    assert threads[0] != threading.get_ident()
    assert len(longest) == 2 * PAGE_LINES
