"""What /api/v1/targets understands beyond Prometheus: selectors, words, health, pages."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import MultiDict

from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from promscout.scrape.report import Report
from promscout.web.api.target_filter import TargetFilter
from promscout.web.api.target_list import TARGETS_PER_PIECE, encode_targets
from unit.web.agent_view import NOW_MS, Site, View, agent_view
from unit.web.test_web_api import EXTERNAL, many

pytestmark = pytest.mark.real_time

DROP_MARKED = RelabelConfig(source_labels=("drop",), regex=Regex.parse("yes"), action=Action.DROP)


async def fill(view: View) -> None:
    """Pool a: targets 1 (up), 2 (down) and 3 (unknown). Pool b: 4 (up), dropped 5 and 6."""
    view.add_pool("a")
    view.add_pool("b", relabel_configs=(DROP_MARKED,))
    first = view.sync("a", "a", ["127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"], team="red", __meta_zone="north")
    second = view.sync("b", "live", ["127.0.0.4:1"], team="blue")
    view.sync("b", "dead", ["127.0.0.5:1", "127.0.0.6:1"], drop="yes", team="Red", __meta_zone="south")
    for active, error in ((first[0], ""), (first[1], "connection refused"), (second[0], "")):
        active.loop.last = Report(NOW_MS, 0.1, error)


def shown(data: dict[str, Any]) -> tuple[str, str]:
    """The last byte of each address, of active and of dropped targets."""
    kinds = (data["activeTargets"], data["droppedTargets"])
    active, dropped = ("".join(one["discoveredLabels"]["__address__"][8] for one in kind) for kind in kinds)
    return active, dropped


@pytest.mark.parametrize(
    ("query", "expected", "totals"),
    [
        ("limit=100", ("1234", "56"), (4, 2)),
        ("limit=0", ("1234", "56"), (4, 2)),
        ("limit=2", ("12", ""), (4, 2)),
        ("limit=2&offset=2", ("34", ""), (4, 2)),
        ("limit=2&offset=3", ("4", "5"), (4, 2)),
        ("limit=2&offset=5", ("", "6"), (4, 2)),
        ("offset=5", ("", "6"), (4, 2)),
        ("offset=99", ("", ""), (4, 2)),
        ("limit=1&state=dropped", ("", "5"), (0, 2)),
        ("limit=1&offset=1&state=active", ("2", ""), (4, 0)),
        ("limit=1&scrapePool=b", ("4", ""), (1, 2)),
        ("health=up", ("14", ""), (2, 0)),
        ("health=up&health=down", ("124", ""), (3, 0)),
        ("health=unknown&limit=1&offset=1", ("", ""), (1, 0)),
        ('match={team="red"}', ("123", ""), (3, 0)),
        ('match[]={team="red"}&match={team="blue"}', ("1234", ""), (4, 0)),
        ('match={team=~"(?i)red",drop=""}', ("123", ""), (3, 0)),
        ('match={__meta_zone!=""}', ("", "56"), (0, 2)),
        ('match={__scheme__="http"}&state=active', ("", ""), (0, 0)),
        ('match={__scheme__="",zzz=""}&state=active', ("1234", ""), (4, 0)),
        ('match={job="b"}&limit=2', ("4", "5"), (1, 2)),
        ("search=team%3Dred", ("123", "56"), (3, 2)),
        ("q=RED+127.0.0.2", ("2", ""), (1, 0)),
        ("search=red&q=refused", ("2", ""), (1, 0)),
        ("search=south", ("", "56"), (0, 2)),
        ("search=%20+", ("1234", "56"), (4, 2)),
        ('match={team="red"}&search=127.0.0&health=down&state=active', ("2", ""), (1, 0)),
    ],
)
async def test_what_matches_is_counted_and_a_part_of_it_listed(
    site: Site, query: str, expected: tuple[str, str], totals: tuple[int, int]
) -> None:
    await fill(site.view)
    data = await site.data(f"/api/v1/targets?{query}")
    assert shown(data) == expected
    assert (data["activeTargetsTotal"], data["droppedTargetsTotal"]) == totals


async def test_counts_of_pools_are_of_all_targets_whatever_is_asked_for(site: Site) -> None:
    await fill(site.view)
    data = await site.data("/api/v1/targets", search="nothing has this", limit="1")
    assert data == {
        "activeTargets": [],
        "droppedTargets": [],
        "droppedTargetCounts": {"a": 0, "b": 2},
        "duplicateTargetCounts": {"a": 0, "b": 0},
        "activeTargetsTotal": 0,
        "droppedTargetsTotal": 0,
    }


@pytest.mark.parametrize("query", ["", "state=active", "scrapePool=a", "limit=", "match=&health=&search=&q=&offset="])
async def test_without_our_parameters_the_answer_has_no_totals(site: Site, query: str) -> None:
    await fill(site.view)
    data = await site.data(f"/api/v1/targets?{query}")
    assert "activeTargetsTotal" not in data
    assert "droppedTargetsTotal" not in data


async def test_dropped_targets_beyond_those_that_are_kept_for_display_are_not_in_the_total(site: Site) -> None:
    site.view.add_pool("a", relabel_configs=(DROP_MARKED,), keep_dropped_targets=2)
    site.view.sync("a", "a", many(5), drop="yes")
    data = await site.data("/api/v1/targets", limit="1", offset="1")
    assert len(data["droppedTargets"]) == 1
    assert data["droppedTargetsTotal"] == 2
    assert data["droppedTargetCounts"] == {"a": 5}


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("limit=x", 'invalid parameter "limit": it must be a number that is not negative'),
        ("limit=-1", 'invalid parameter "limit": it must be a number that is not negative'),
        ("limit=1.5", 'invalid parameter "limit": it must be a number that is not negative'),
        ("offset=%D9%A3", 'invalid parameter "offset": it must be a number that is not negative'),
        ("offset=9999999999999999999", 'invalid parameter "offset": it must be a number that is not negative'),
        ("health=UP", 'invalid parameter "health": "UP" is none of up, down, unknown'),
        ("health=up&health=%3Cb%3E", 'invalid parameter "health": "<b>" is none of up, down, unknown'),
        ("match=%7B", 'invalid parameter "match": 1:2: parse error: unexpected end of input, expected a label name'),
        ("match[]=up%7B%7D%7D", 'invalid parameter "match[]": 1:5: parse error: unexpected "}", expected the end'),
        ("match=%7Ba=~%22(%22%7D", None),
    ],
)
async def test_what_cannot_be_understood_is_bad_data(site: Site, query: str, error: str | None) -> None:
    async with site.client.get(f"/api/v1/targets?{query}") as response:
        body = await response.json()
    assert response.status == 400
    assert list(body) == ["status", "errorType", "error"]
    assert body["errorType"] == "bad_data"
    assert body["error"] == error or (error is None and body["error"].startswith('invalid parameter "match": 1:'))


async def test_all_pages_together_are_the_whole_list(site: Site) -> None:
    site.view.add_pool("a", relabel_configs=(DROP_MARKED,))
    site.view.add_pool("b")
    site.view.sync("a", "a", many(450))
    site.view.sync("b", "b", many(300))
    site.view.sync("a", "dropped", many(250), drop="yes")
    whole = await site.data("/api/v1/targets")
    for kind in ("activeTargets", "droppedTargets"):
        pages = [await site.data("/api/v1/targets", limit="93", offset=str(start)) for start in range(0, 1000 + 93, 93)]
        assert [one for page in pages for one in page[kind]] == whole[kind]


async def test_a_search_through_many_targets_is_made_in_pieces_between_which_others_have_their_turn() -> None:
    async with agent_view() as view:
        view.add_pool("a", relabel_configs=(DROP_MARKED,))
        view.sync("a", "a", many(2000))
        view.sync("a", "dropped", many(2000), drop="yes")
        wanted = TargetFilter.from_query(MultiDict(search="nowhere"))
        pieces = list(encode_targets(view.scrape, EXTERNAL, wanted))
    # So few targets between two pieces, whether one of them is shown or not.
    assert sum(piece == b"" for piece in pieces) == 4000 / TARGETS_PER_PIECE
