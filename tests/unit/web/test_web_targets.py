"""The pages of targets: order, errors, one target, and what it exposed."""

from __future__ import annotations

import pytest

from promscout.exposition.client_model import MetricFamily
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.scrape.captures import MAX_WANTED
from promscout.scrape.report import Report
from promscout.scrape.transport import Fetched, FetchFailed
from promscout.web.pages.body_text import body_text
from promscout.web.pages.target_query import SORTS, TargetQuery
from unit.web.agent_view import NOW_MS, Site
from unit.web.page_text import EVIL, Page, page

pytestmark = pytest.mark.real_time

TIMES = "\u00d7"
REWRITE = RelabelConfig(source_labels=("__meta_pod",), target_label="pod")
DROP_NONE = RelabelConfig(source_labels=("pod",), regex=Regex.parse("none"), action=Action.DROP)
BODY = """\
# HELP requests_total All requests.
# TYPE requests_total counter
requests_total{code="200",path="/a b"} 12
requests_total{code="500",path="/"} 3 1700000000000
temperature -1.5
"""


def addresses(*last: int) -> list[str]:
    return [f"http://127.0.0.{one}:1/metrics" for one in last]


async def mixed_pool(site: Site) -> None:
    """.2 slow and small, .3 down, .4 unknown, .5 quick, large and longest ago."""
    site.view.add_pool("web")
    slow, down, _, quick = site.view.sync("web", "a", [f"127.0.0.{last}:1" for last in (2, 3, 4, 5)])
    slow.loop.last = Report(NOW_MS - 2000, 2.0, scraped=10, size=1)
    down.loop.last = Report(NOW_MS - 1000, 0.5, f"{down.loop.target.url}: connection refused")
    quick.loop.last = Report(NOW_MS - 9000, 0.1, scraped=500, size=1)


@pytest.mark.parametrize(
    ("sort", "shown"),
    [
        ("", (2, 3, 4, 5)),
        ("health", (3, 4, 2, 5)),
        ("-health", (2, 5, 4, 3)),
        ("duration", (2, 3, 5, 4)),
        ("-duration", (5, 3, 2, 4)),
        ("samples", (5, 2, 3, 4)),
        ("-samples", (3, 2, 5, 4)),
        ("last", (5, 2, 3, 4)),
        ("-last", (3, 2, 5, 4)),
        ("nonsense", (2, 3, 4, 5)),
        ("--last", (2, 3, 4, 5)),
    ],
)
async def test_targets_are_sorted_by_what_is_asked_for(site: Site, sort: str, shown: tuple[int, ...]) -> None:
    await mixed_pool(site)
    assert (await page(site, sort=sort)).endpoints() == addresses(*shown)


async def test_a_sorted_column_says_so_and_leads_the_other_way_round(site: Site) -> None:
    await mixed_pool(site)
    shown = await page(site, sort="duration")
    assert [a["aria-sort"] for tag, a in shown.tags if tag == "th" and "aria-sort" in a] == ["descending"]
    assert "/targets?sort=-duration" in shown.links()
    assert [a["aria-sort"] for tag, a in (await page(site, sort="-duration")).tags if "aria-sort" in a] == ["ascending"]
    assert {f"/targets?sort={sort}" for sort in SORTS} <= set((await page(site)).links())


@pytest.mark.parametrize("sort", ["", "duration", "-duration"])
@pytest.mark.parametrize(("number", "start", "stop"), [("1", 0, 25), ("2", 25, 50), ("5", 100, 120), ("99", 100, 120)])
async def test_sorted_targets_come_in_pages_of_the_chosen_size(
    site: Site, sort: str, number: str, start: int, stop: int
) -> None:
    site.view.add_pool("web")
    active = site.view.sync("web", "a", [f"127.0.1.{last + 1}:1" for last in range(120)])
    places = {"": range(120), "duration": range(119, -1, -1), "-duration": range(120)}[sort]
    for place, one in enumerate(active):
        one.loop.last = Report(NOW_MS, 1 + place / 100)
    shown = await page(site, sort=sort, size="25", page=number)
    assert shown.endpoints() == [f"http://127.0.1.{place + 1}:1/metrics" for place in places][start:stop]
    assert f"{start + 1} to {stop} of 120" in shown.text


async def test_targets_with_the_same_trouble_are_counted_and_can_be_shown_alone(site: Site) -> None:
    await mixed_pool(site)
    site.view.sync("web", "b", ["127.0.0.6:1"])
    other = next(one for one in site.view.scrape.pools["web"].active.values() if "0.0.6" in one.loop.target.url)
    other.loop.last = Report(NOW_MS, 0.1, "connection refused")
    shown = await page(site)
    assert f"2 {TIMES} connection refused" in shown.text
    link = next(one for one in shown.links() if "error=" in one)
    alone = Page(await site.text(link))
    assert alone.endpoints() == addresses(3, 6)
    assert "With the error connection refused show all" in alone.text
    assert (await page(site, error="no such error")).endpoints() == []


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"size": "25"}, "/targets?size=25"),
        ({"size": "26", "sort": "x", "page": "-1", "health": "ill"}, "/targets"),
        ({"error": "a&b", "sort": "-last", "q": " a "}, "/targets?q=a&error=a%26b&sort=-last"),
    ],
)
def test_what_cannot_be_understood_is_left_out(given: dict[str, str], url: str) -> None:
    assert TargetQuery.parse(given).url() == url


async def one_target(site: Site) -> str:
    """The path of the page of a target with a label from discovery."""
    site.view.add_pool("web", relabel_configs=(REWRITE, DROP_NONE))
    (active,) = site.view.sync("web", "a", ["127.0.0.2:1"], __meta_pod="web-0", team="blue")
    await site.view.expose("web", active, BODY)
    (path,) = [link for link in (await page(site)).links() if link.startswith("/target?")]
    return path


async def test_a_target_has_a_page_with_its_last_scrape_its_labels_and_each_rule(site: Site) -> None:
    shown = Page(await site.text(await one_target(site)))
    assert "Took 12.3 ms Samples 3" in shown.text
    assert "Format text/plain" in shown.text
    assert "pod none web-0 added" in shown.text
    assert "__meta_pod web-0 none meta" in shown.text
    assert "team blue blue kept" in shown.text
    assert "Rule 0 replace source_labels: [__meta_pod] target_label: pod 1 label changed" in shown.text
    assert "Rule 1 drop source_labels: [pod] regex: none does not match compared value web-0" in shown.text


async def test_the_last_samples_of_a_target_can_be_searched(site: Site) -> None:
    path = await one_target(site)
    shown = await page(site, path)
    assert 'requests_total { code = "200" , path = "/a b" } 12' in shown.text
    assert 'requests_total { code = "500" , path = "/" } 3 at 1700000000000' in shown.text
    assert "temperature -1.5" in shown.text
    assert "3 samples, as the target exposed them" in shown.text
    found = await page(site, f"{path}&q=TOTAL+code=%22500%22")
    assert "1 of 3 samples" in found.text
    assert "temperature" not in found.text
    assert "No sample matches" in (await page(site, f"{path}&q=nothing")).text


@pytest.mark.parametrize(
    ("number", "first", "last"), [("1", 0, 99), ("2", 100, 199), ("3", 200, 249), ("77", 200, 249), ("x", 0, 99)]
)
async def test_many_samples_come_in_pages(site: Site, number: str, first: int, last: int) -> None:
    site.view.add_pool("web")
    (active,) = site.view.sync("web", "a", ["127.0.0.2:1"])
    await site.view.expose("web", active, "".join(f'm{{n="{number}"}} {number}\n' for number in range(250)))
    (path,) = [link for link in (await page(site)).links() if link.startswith("/target?")]
    shown = await page(site, f"{path}&page={number}")
    assert f"{first + 1} to {last + 1} of 250" in shown.text
    assert f'm {{ n = "{first}" }} {first} ' in shown.text
    assert f'm {{ n = "{last}" }} {last} ' in shown.text
    assert f'm {{ n = "{last + 1}" }}' not in shown.text


async def test_the_raw_exposition_is_plain_text_that_no_browser_takes_for_anything_else(site: Site) -> None:
    path = (await one_target(site)).replace("/target?", "/target/exposition?")
    async with site.client.get(path) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["Content-Disposition"] == 'inline; filename="127.0.0.2-1-metrics.txt"'
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert await response.text() == BODY


async def test_a_hostile_url_makes_a_harmless_file_name(site: Site) -> None:
    path = RelabelConfig(target_label="__metrics_path__", replacement='/";\r\nX-Evil: 1; ../é')
    site.view.add_pool("web", relabel_configs=(path,))
    (active,) = site.view.sync("web", "a", ["127.0.0.2:1"])
    await site.view.expose("web", active, BODY)
    params = {"pool": "web", "url": active.loop.target.url}
    async with site.client.get("/target/exposition", params=params) as response:
        assert response.status == 200
        assert "X-Evil" not in response.headers
        name = response.headers["Content-Disposition"].removeprefix('inline; filename="').removesuffix('"')
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


async def test_the_samples_of_a_failed_scrape_are_those_before_and_it_says_so(site: Site) -> None:
    path = await one_target(site)
    (active,) = site.view.scrape.pools["web"].active.values()
    active.loop.last = Report(NOW_MS, 0.1, "connection refused")
    shown = Page(await site.text(path))
    assert "The last scrape failed. These are the samples of the last body that could be read." in shown.text
    assert "temperature -1.5" in shown.text


async def test_an_empty_body_has_no_samples_whatever_came_before(site: Site) -> None:
    path = await one_target(site)
    (active,) = site.view.scrape.pools["web"].active.values()
    await site.view.expose("web", active, "")
    shown = Page(await site.text(path))
    assert "The last body was empty." in shown.text
    assert "temperature" not in shown.text


async def test_where_no_body_is_kept_the_page_says_why(site: Site) -> None:
    site.view.add_pool("web")
    (active,) = site.view.sync("web", "a", ["127.0.0.2:1"])
    (path,) = [link for link in (await page(site)).links() if link.startswith("/target?")]
    assert "Nothing has been scraped yet." in (await page(site, path)).text
    active.loop.last = Report(NOW_MS, 0.1, "connection refused")
    assert "No body of this target could be read yet." in (await page(site, path)).text
    active.loop.last = Report(NOW_MS, 0.1)
    assert "The last body was empty." in (await page(site, path)).text
    with_exemplar = 'a_total{x="y"} 1 # {trace_id="abc"} 0.5\n# EOF\n'
    await site.view.expose("web", active, with_exemplar, "application/openmetrics-text; version=1.0.0")
    assert "The last body is not kept" in (await page(site, path)).text
    active.loop.last = Report(NOW_MS, 0.1, size=5, format="application/vnd.google.protobuf")
    assert "This target answers in protobuf." in (await page(site, path)).text
    async with site.client.get(path.replace("/target?", "/target/exposition?")) as response:
        assert response.status == 404
        assert response.content_type == "text/plain"


async def test_a_target_that_is_gone_is_not_found(site: Site) -> None:
    path = await one_target(site)
    site.view.sync("web", "a", [])
    assert "No such target" in Page(await site.text(path)).text
    for other in ("/target", "/target?pool=nope&url=x", path.replace("id=", "id=0")):
        assert "No such target" in Page(await site.text(other)).text


async def test_targets_with_the_same_url_have_pages_of_their_own(site: Site) -> None:
    site.view.add_pool("web")
    site.view.sync("web", "a", ["127.0.0.2:1"], team="blue")
    site.view.sync("web", "b", ["127.0.0.2:1"], team="red")
    paths = [link for link in (await page(site)).links() if link.startswith("/target?")]
    teams = ["blue" in Page(await site.text(path)).text.split() for path in paths]
    assert sorted(teams) == [False, True]


async def test_everything_of_a_target_is_escaped(site: Site) -> None:
    evil = RelabelConfig(source_labels=("__meta_x",), target_label="copy", replacement=f"{EVIL}$1")
    site.view.add_pool(EVIL, relabel_configs=(evil,))
    (active,) = site.view.sync(EVIL, "a", ["127.0.0.2:1"], **{"team": EVIL, "__meta_x": EVIL, EVIL: EVIL})
    quoted = EVIL.replace('"', '\\"')
    await site.view.expose(EVIL, active, f'm{{x="{quoted}"}} 1\n')
    active.loop.last = Report(NOW_MS, 1, EVIL)
    (path,) = [link for link in (await page(site)).links() if link.startswith("/target?")]
    for text in (
        await site.text(path),
        await site.text(f"{path}&q=%3Cscript%3E"),
        await site.text("/target", pool=EVIL, url=EVIL, id=EVIL, q=EVIL),
        await site.text("/targets", error=EVIL, sort=EVIL, size=EVIL),
    ):
        assert "alert(1)" in text
        assert "<script>" not in text
        assert all("onload" not in attributes for _, attributes in Page(text).tags)


async def test_the_durations_of_the_last_scrapes_are_drawn(site: Site) -> None:
    path = await one_target(site)
    (active,) = site.view.scrape.pools["web"].active.values()
    await site.view.expose("web", active, "not { a body\n")
    names = [a["aria-label"] for tag, a in (await page(site)).tags if tag == "svg" and "aria-label" in a]
    assert names == ["the last 2 scrapes took 12 ms to 12 ms, 1 failed"]
    dots = [a["class"] for tag, a in (await page(site, path)).tags if tag == "circle"]
    assert dots == ["up", "down"]


async def test_a_very_long_value_is_shown_in_short(site: Site) -> None:
    site.view.add_pool("web")
    site.view.sync("web", "a", ["127.0.0.2:1"], __meta_manifest="x" * 100_000, team="y" * 501, zone="z" * 500)
    shown = await page(site)
    assert f"{'y' * 500}… (501 characters)" in shown.text
    assert "z" * 500 in shown.text
    (path,) = [link for link in shown.links() if link.startswith("/target?")]
    assert f"{'x' * 500}… (100,000 characters)" in Page(await site.text(path)).text


async def post(site: Site, path: str, **headers: str) -> tuple[int, str]:
    async with site.client.post(path, headers=headers, allow_redirects=False) as response:
        return response.status, response.headers.get("Location", "")


async def test_the_next_body_can_be_asked_for_and_is_shown(site: Site) -> None:
    path = await one_target(site)
    (active,) = site.view.scrape.pools["web"].active.values()
    captures, target = site.view.scrape.captures, active.loop.target
    status, page_of_it = await post(site, path.replace("/target?", "/target/capture?"))
    assert (status, "kept=1#samples" in page_of_it) == (303, True)
    waiting = Page(await site.text(page_of_it.partition("#")[0]))
    assert "The body of the next scrape, which is due in" in waiting.text
    assert "temperature -1.5" in waiting.text
    captures.take(target, Fetched(b"not { a body\nbut 1\n", "text/plain; x=y"), NOW_MS - 3000)
    shown = Page(await site.text(page_of_it.partition("#")[0]))
    assert "The body of the scrape 3 s ago , kept for ten minutes" in shown.text
    assert "text/plain; x=y" in shown.text
    assert "not { a body" in shown.text
    raw = next(link for link in shown.links() if link.startswith("/target/exposition"))
    assert await site.text(raw) == "not { a body\nbut 1\n"
    assert "show the body that was kept 3 s ago" in Page(await site.text(path)).text
    captures.forget(target)


async def test_a_scrape_without_a_body_tells_why(site: Site) -> None:
    path = await one_target(site)
    (active,) = site.view.scrape.pools["web"].active.values()
    await post(site, path.replace("/target?", "/target/capture?"))
    site.view.scrape.captures.take(active.loop.target, FetchFailed(EVIL), NOW_MS - 3000)
    text = await site.text(path)
    assert f"The scrape 3 s ago brought no body: {EVIL}" in Page(text).text
    assert "<script>" not in text
    site.view.scrape.captures.forget(active.loop.target)


async def test_no_other_site_can_ask_for_a_body(site: Site) -> None:
    path = (await one_target(site)).replace("/target?", "/target/capture?")
    for other in ("cross-site", "same-site"):
        assert (await post(site, path, **{"Sec-Fetch-Site": other}))[0] == 403
    assert not site.view.scrape.captures
    assert (await post(site, "/target/capture?pool=nope"))[0] == 404
    assert (await post(site, path, **{"Sec-Fetch-Site": "same-origin"}))[0] == 303


async def test_too_many_bodies_are_not_waited_for(site: Site) -> None:
    path = (await one_target(site)).replace("/target?", "/target/capture?")
    site.view.sync("web", "b", [f"127.0.0.{place + 3}:1" for place in range(MAX_WANTED)])
    for active in list(site.view.scrape.pools["web"].active.values())[1:]:
        site.view.scrape.captures.want(active.loop.target)
    assert (await post(site, path))[0] == 503


def varint(number: int) -> bytes:
    return bytes((number,)) if number < 128 else bytes((number & 127 | 128,)) + varint(number >> 7)


async def test_a_body_of_protobuf_is_shown_as_text(site: Site) -> None:
    family = MetricFamily(name=b"a_gauge", type=1)
    family.metric.add(timestamp_ms=5).gauge.value = 1.5
    family.metric[0].label.add(name=b"path", value=b'"/x"')
    native = MetricFamily(name=b"seconds", type=4)
    histogram = native.metric.add().histogram
    histogram.sample_count, histogram.sample_sum, histogram.schema, histogram.zero_threshold = 2, 3.5, 1, 1e-128
    histogram.positive_span.add(offset=0, length=1)
    histogram.positive_delta.append(2)
    parts = [one.SerializeToString() for one in (family, native)]
    body = b"".join(varint(len(part)) + part for part in parts)
    kind = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    text = body_text(body, kind).decode()
    assert text == 'a_gauge{path="\\"/x\\""} 1.5 5\nseconds 2 # {native histogram, sum 3.5}\n'
    assert body_text(b"\xff\xff", kind).startswith(b"# This protobuf cannot be read")
    path = await one_target(site)
    (active,) = site.view.scrape.pools["web"].active.values()
    site.view.scrape.captures.want(active.loop.target)
    site.view.scrape.captures.take(active.loop.target, Fetched(body, kind), NOW_MS)
    shown = await page(site, f"{path}&kept=1")
    assert 'a_gauge { path = ""/x"" } 1.5 at 5' in shown.text
    assert "seconds {native histogram, sum 3.5} 2" in shown.text
    site.view.scrape.captures.forget(active.loop.target)
