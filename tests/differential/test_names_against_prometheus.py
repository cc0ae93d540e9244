"""Names beyond the legacy scheme: how both ask targets for them, and which scrapes they fail."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from e2e.promscout_process import Promscout, until
from peers import promtool_accepts
from promscout.config import parse_config
from promscout.errors import ConfigError

LEGACY_PAGE = 'a_b{c="1"} 1\n'
UTF8_PAGE = 'a_b{c="1"} 1\n{"a.b", "c.d"="1"} 1\n'
LEGACY = {"metric_name_validation_scheme": "legacy"}
WITHOUT_DOTS = [
    {"source_labels": ["__name__"], "regex": r"a\.b", "target_label": "__name__", "replacement": "a_c"},
    {"regex": r"c\.d", "action": "labeldrop"},
]

# Options of a job, the page that it scrapes, and whether that works. Prometheus 3.5 needs the escaping with legacy.
CASES = {
    "default": ({}, UTF8_PAGE, True),
    "dots": ({"metric_name_escaping_scheme": "dots"}, UTF8_PAGE, True),
    "values": ({"metric_name_escaping_scheme": "values"}, UTF8_PAGE, True),
    "plain": (LEGACY | {"metric_name_escaping_scheme": "underscores"}, LEGACY_PAGE, True),
    "beyond": (LEGACY | {"metric_name_escaping_scheme": "underscores"}, UTF8_PAGE, False),
    "renamed": (
        LEGACY | {"metric_name_escaping_scheme": "values", "metric_relabel_configs": WITHOUT_DOTS},
        UTF8_PAGE,
        True,
    ),
    "target": (
        LEGACY
        | {
            "metric_name_escaping_scheme": "dots",
            "relabel_configs": [{"action": "labelmap", "regex": "__meta_(.*)"}],
        },
        LEGACY_PAGE,
        False,
    ),
}


@asynccontextmanager
async def exporter(asked):
    """Serves each case's page below its name; ``asked`` gets the Accept headers."""

    async def answer(request):
        name = request.path.strip("/")
        asked[name] = request.headers["Accept"]
        return web.Response(body=CASES[name][1].encode(), headers={"Content-Type": "text/plain; version=1.0.0"})

    application = web.Application()
    application.router.add_get("/{name}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def configuration(address):
    return {
        "global": {"scrape_interval": "300ms"},
        "scrape_configs": [
            {
                "job_name": name,
                "metrics_path": f"/{name}",
                "static_configs": [{"targets": [address], "labels": {"__meta_x.y": "z"}}],
                **options,
            }
            for name, (options, _, _) in CASES.items()
        ],
    }


async def health(peer):
    """Job → whether its scrapes work, once every target has been scraped."""

    async def scraped():
        targets = (await peer.targets())["activeTargets"]
        done = len(targets) == len(CASES) and all(one["health"] != "unknown" for one in targets)
        return {one["scrapePool"]: (one["health"] == "up", one["lastError"]) for one in targets} if done else None

    return await until(scraped, 30, "every target is scraped")


def escapings(header):
    """The escapings that a header asks for."""
    return set(re.findall(r";escaping=([a-z0-9-]+)", header))


async def test_the_same_escaping_is_asked_for_and_the_same_scrapes_fail(prometheus, tmp_path):
    theirs, ours = {}, {}
    async with exporter(theirs) as address:
        their_health = await health(await prometheus(configuration(address)))
    async with exporter(ours) as address, Promscout(tmp_path, configuration(address)) as agent:
        our_health = await health(agent)
    assert {job: up for job, (up, _) in their_health.items()} == {job: works for job, (_, _, works) in CASES.items()}
    assert {job: up for job, (up, _) in our_health.items()} == {job: works for job, (_, _, works) in CASES.items()}
    for job, (up, error) in our_health.items():
        if not up:
            assert error.startswith("invalid metric name or label names: "), job
            assert their_health[job][1].startswith("invalid metric name or label names: "), job
    assert ours == theirs
    assert set().union(*map(escapings, ours.values())) == {"allow-utf-8", "dots", "values", "underscores"}


UNDERSCORES = "metric_name_validation_scheme: legacy, metric_name_escaping_scheme: underscores"
OTHERWISE_IN_3_5 = {
    f"{UNDERSCORES}, relabel_configs: [{{target_label: a.b}}]": True,
    f"{UNDERSCORES}, metric_relabel_configs: [{{action: labelmap, replacement: a-$1}}]": True,
    "metric_name_validation_scheme: legacy": False,
}
"""Options of a job on which later versions agree with us, and whether 3.5 accepts them."""


async def test_where_3_5_differs_from_later_versions_those_are_followed(peers_dir, tmp_path):
    texts = [f"scrape_configs: [{{job_name: a, {options}}}]" for options in OTHERWISE_IN_3_5]
    assert await promtool_accepts(peers_dir, tmp_path, texts) == list(OTHERWISE_IN_3_5.values())
    for text, accepted_by_3_5 in zip(texts, OTHERWISE_IN_3_5.values(), strict=True):
        if accepted_by_3_5:
            with pytest.raises(ConfigError, match="under metric_name_validation_scheme legacy"):
                parse_config(text)
        else:
            parse_config(text)
