"""What the API tells about a job: its configuration, and what its rules do step by step."""

from __future__ import annotations

import json
from typing import Any

import pytest

from promscout.config import parse_config
from promscout.relabel.config import Action, RelabelConfig
from promscout.relabel.regex import Regex
from unit.web.agent_view import Site

pytestmark = pytest.mark.real_time

RULES = (
    RelabelConfig(target_label="team", replacement="red"),
    RelabelConfig(source_labels=("team", "zone"), separator="/", regex=Regex.parse("red/(.+)"), target_label="__z"),
    RelabelConfig(source_labels=("zone",), action=Action.DROP, regex=Regex.parse("south")),
    RelabelConfig(source_labels=("job",), action=Action.HASHMOD, modulus=8, target_label="shard"),
)


def rule(**fields: Any) -> dict[str, Any]:
    """A rule as Prometheus writes it."""
    return {"separator": ";", "regex": "(.*)", "replacement": "$1", "action": "replace"} | fields


SHOWN = [
    rule(target_label="team", replacement="red"),
    rule(source_labels=["team", "zone"], separator="/", regex="red/(.+)", target_label="__z"),
    rule(source_labels=["zone"], regex="south", action="drop"),
    rule(source_labels=["job"], modulus=8, target_label="shard", action="hashmod"),
]


async def steps(site: Site, labels: object) -> list[dict[str, Any]]:
    site.view.add_pool("web", relabel_configs=RULES)
    data = await site.data("/api/v1/targets/relabel_steps", scrapePool="web", labels=json.dumps(labels))
    assert list(data) == ["steps"]
    found: list[dict[str, Any]] = data["steps"]
    assert [step["rule"] for step in found] == SHOWN
    return found


async def test_each_rule_is_told_with_the_labels_after_it(site: Site) -> None:
    found = await steps(site, {"zone": "north", "job": "web", "empty": "", "none": None})
    assert [list(step["output"].items()) for step in found] == [
        [("job", "web"), ("team", "red"), ("zone", "north")],
        [("__z", "north"), ("job", "web"), ("team", "red"), ("zone", "north")],
        [("__z", "north"), ("job", "web"), ("team", "red"), ("zone", "north")],
        [("__z", "north"), ("job", "web"), ("shard", "5"), ("team", "red"), ("zone", "north")],
    ]
    assert all(step["keep"] for step in found)


async def test_from_the_rule_on_that_drops_there_are_no_labels(site: Site) -> None:
    found = await steps(site, {"zone": "south"})
    assert [step["keep"] for step in found] == [True, True, False, False]
    assert [step["output"] for step in found[2:]] == [{}, {}]


async def test_no_labels_are_labels_too(site: Site) -> None:
    assert [step["keep"] for step in await steps(site, None)] == [True, True, True, True]


async def test_a_job_without_rules_has_no_steps(site: Site) -> None:
    site.view.add_pool("bare")
    assert await site.data("/api/v1/targets/relabel_steps", scrapePool="bare", labels="{}") == {"steps": []}


@pytest.mark.parametrize(
    ("path", "params", "error"),
    [
        ("targets/relabel_steps", {}, "no scrapePool parameter provided"),
        ("targets/relabel_steps", {"scrapePool": "web"}, "no labels parameter provided"),
        ("targets/relabel_steps", {"scrapePool": "web", "labels": "{"}, "error parsing labels: "),
        ("targets/relabel_steps", {"scrapePool": "web", "labels": '{"a": 1}'}, "error parsing labels: "),
        ("targets/relabel_steps", {"scrapePool": "web", "labels": '["a"]'}, "error parsing labels: "),
        ("targets/relabel_steps", {"scrapePool": "web", "labels": '{"a": "\\ud800"}'}, "error parsing labels: "),
        (
            "targets/relabel_steps",
            {"scrapePool": "<b>", "labels": "{}"},
            'error retrieving scrape config: scrape pool "<b>" not found',
        ),
        ("scrape_pools/config", {}, "no scrapePool parameter provided"),
        ("scrape_pools/config", {"scrapePool": "no"}, 'error retrieving scrape config: scrape pool "no" not found'),
    ],
)
async def test_what_cannot_be_understood_is_bad_data(site: Site, path: str, params: dict[str, str], error: str) -> None:
    site.view.add_pool("web", relabel_configs=RULES)
    async with site.client.get(f"/api/v1/{path}", params=params) as response:
        body = await response.json()
    assert response.status == 400
    assert body["errorType"] == "bad_data"
    assert body["error"].startswith(error)


async def test_the_configuration_of_a_job_has_its_defaults_and_no_secret(site: Site) -> None:
    site.view.config = parse_config(
        """
        global: {scrape_interval: 30s}
        scrape_configs:
          - job_name: web
            basic_auth: {username: me, password: hunter2}
            static_configs: [{targets: ["127.0.0.1:1"]}]
          - job_name: other
        """,
        "test.yml",
    )
    site.view.add_pool("web")
    yaml = (await site.data("/api/v1/scrape_pools/config", scrapePool="web"))["yaml"]
    assert "hunter2" not in yaml
    shown = yaml.splitlines()
    for line in (
        "job_name: web",
        "scrape_interval: 30s",
        "scrape_timeout: 10s",
        "metrics_path: /metrics",
        "  password: <secret>",
    ):
        assert line in shown, yaml
    assert "other" not in yaml


async def test_a_pool_that_outlives_its_job_tells_how_it_scrapes(site: Site) -> None:
    site.view.add_pool("web")
    yaml = (await site.data("/api/v1/scrape_pools/config", scrapePool="web"))["yaml"]
    assert "scrape_interval: 1d" in yaml.splitlines()
