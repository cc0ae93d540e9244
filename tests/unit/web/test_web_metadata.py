"""What targets say about their metrics, as the API tells it."""

from __future__ import annotations

from typing import Any

import pytest

from promscout.exposition.samples import MetricMetadata
from promscout.scrape.loop import ScrapeLoop
from unit.web.agent_view import Site

pytestmark = pytest.mark.real_time

UP = MetricMetadata("gauge", "Is it?", "")
GO = MetricMetadata("counter", "How many.", "bytes")
OTHER_GO = MetricMetadata("gauge", "How much.", "")
BARE = MetricMetadata(help="Nobody knows.")


@pytest.fixture
async def told(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Job b has the targets 2 and 3, job a the target 4, which say different things."""
    says = {
        "127.0.0.2:1": {"go": GO, "up": UP},
        "127.0.0.3:1": {"go": OTHER_GO},
        "127.0.0.4:1": {"bare": BARE, "go": GO},
    }

    def metadata(loop: ScrapeLoop) -> dict[str, MetricMetadata]:
        return says.get(dict(loop.target.labels)["instance"], {})

    monkeypatch.setattr(ScrapeLoop, "metadata", metadata)
    site.view.add_pool("b")
    site.view.add_pool("a")
    site.view.sync("b", "x", ["127.0.0.2:1", "127.0.0.3:1"])
    site.view.sync("a", "x", ["127.0.0.4:1", "127.0.0.5:1"])
    return site


def brief(entries: list[dict[str, Any]]) -> list[str]:
    return [f"{entry['target']['instance'][8]} {entry.get('metric', '-')} {entry['type']}" for entry in entries]


async def test_all_targets_tell_all_metrics_in_the_order_of_their_pools(told: Site) -> None:
    entries = await told.data("/api/v1/targets/metadata")
    assert brief(entries) == ["4 bare unknown", "4 go counter", "2 go counter", "2 up gauge", "3 go gauge"]
    assert list(entries[2].items()) == [
        ("target", {"instance": "127.0.0.2:1", "job": "b"}),
        ("metric", "go"),
        ("type", "counter"),
        ("help", "How many."),
        ("unit", "bytes"),
    ]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"metric": "go"}, ["4 - counter", "2 - counter", "3 - gauge"]),
        ({"metric": "nope"}, []),
        ({"match_target": '{job="b"}'}, ["2 go counter", "2 up gauge", "3 go gauge"]),
        ({"match_target": '{job="b"}', "metric": "up"}, ["2 - gauge"]),
        ({"match_target": '{instance=~".*[34]:1"}', "metric": "go"}, ["4 - counter", "3 - gauge"]),
        ({"limit": "0"}, []),
        ({"limit": "1"}, ["4 bare unknown", "4 go counter"]),  # a target comes as a whole
        ({"limit": "2", "metric": "go"}, ["4 - counter", "2 - counter"]),
        ({"limit": "-1", "metric": "up"}, ["2 - gauge"]),
        ({"limit": "", "match_target": "", "metric": "up"}, ["2 - gauge"]),
    ],
)
async def test_metric_targets_and_limit_choose(told: Site, params: dict[str, str], expected: list[str]) -> None:
    assert brief(await told.data("/api/v1/targets/metadata", **params)) == expected


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, {"bare": [BARE], "go": [GO, OTHER_GO], "up": [UP]}),
        ({"metric": "go"}, {"go": [GO, OTHER_GO]}),
        ({"metric": "nope"}, {}),
        ({"limit": "2"}, {"bare": [BARE], "go": [GO, OTHER_GO]}),
        ({"limit": "0"}, {}),
        ({"limit_per_metric": "1"}, {"bare": [BARE], "go": [GO], "up": [UP]}),
        ({"limit_per_metric": "0"}, {"bare": [BARE], "go": [GO, OTHER_GO], "up": [UP]}),
        ({"limit_per_metric": "-1", "limit": "+9"}, {"bare": [BARE], "go": [GO, OTHER_GO], "up": [UP]}),
    ],
)
async def test_equal_metadata_of_several_targets_are_told_once(
    told: Site, params: dict[str, str], expected: dict[str, list[MetricMetadata]]
) -> None:
    assert await told.data("/api/v1/metadata", **params) == {
        name: [{"type": "unknown" if one is BARE else one.type, "unit": one.unit, "help": one.help} for one in metadata]
        for name, metadata in expected.items()
    }


@pytest.mark.parametrize(
    ("path", "params", "error"),
    [
        ("targets/metadata", {"limit": "x"}, "limit must be a number"),
        ("metadata", {"limit": "1.5"}, "limit must be a number"),
        ("metadata", {"limit_per_metric": "many"}, "limit_per_metric must be a number"),
        (
            "targets/metadata",
            {"match_target": "{"},
            'invalid parameter "match_target": 1:2: parse error: unexpected end of input, expected a label name',
        ),
    ],
)
async def test_what_cannot_be_understood_is_refused(told: Site, path: str, params: dict[str, str], error: str) -> None:
    async with told.client.get(f"/api/v1/{path}", params=params) as response:
        assert response.status == 400
        assert await response.json() == {"status": "error", "errorType": "bad_data", "error": error}


async def test_metadata_of_many_targets_come_whole(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScrapeLoop, "metadata", lambda _: {"go": GO, "up": UP})
    site.view.add_pool("web")
    site.view.sync("web", "x", [f"127.0.0.{number}:1" for number in range(1, 231)])
    assert len(await site.data("/api/v1/targets/metadata")) == 460
    assert brief(await site.data("/api/v1/targets/metadata", match_target='{instance="127.0.0.9:1"}')) == [
        "9 go counter",
        "9 up gauge",
    ]
    assert len(await site.data("/api/v1/targets/metadata", limit="300")) == 300
    assert list(await site.data("/api/v1/metadata")) == ["go", "up"]
