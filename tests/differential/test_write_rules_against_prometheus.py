"""write_relabel_configs: both send the same series to a real receiver."""

from __future__ import annotations

from aiohttp import web

from e2e.delivered import delivered, remote_write
from e2e.promscout_process import Promscout, until

PAGE = (
    "".join(
        f'requests_total{{code="{code}",path="/{path}"}} 1\n' for code in (200, 404, 500) for path in ("a", "b", "ä")
    )
    + 'odd{env="own",team="Alpha"} 1\nodd{team="Beta"} 1\nsecret 1\nhash{of="x"} 1\nhash{of="y"} 1\nhash{of="z"} 1\n'
)

# What comes first sees what external labels added; every action that can work on series is here.
RULES = [
    {"source_labels": ["__name__"], "regex": "secret", "action": "drop"},
    {"source_labels": ["code"], "regex": "404", "action": "drop"},
    {"source_labels": ["env", "path"], "separator": "|", "regex": r"prod\|/(.*)", "target_label": "page"},
    {"source_labels": ["team"], "target_label": "team", "action": "lowercase"},
    {"source_labels": ["team"], "target_label": "TEAM", "action": "uppercase"},
    {"source_labels": ["of"], "modulus": 3, "target_label": "shard", "action": "hashmod"},
    {"source_labels": ["__name__", "shard"], "regex": "hash;2", "action": "drop"},
    {"regex": "pa(th|ge)", "replacement": "copy_$1", "action": "labelmap"},
    {"regex": "path|zone", "action": "labeldrop"},
    {"source_labels": ["env"], "target_label": "instance", "action": "dropequal"},
    {"target_label": "instance", "replacement": ""},
    {"source_labels": ["code"], "regex": "5..", "target_label": "__name__", "replacement": "failures_total"},
    {"source_labels": ["env"], "target_label": "cluster_$1", "regex": "(own)", "replacement": "yes"},
]


def configuration(sender, address, url):
    return {
        "global": {
            "scrape_interval": "500ms",
            "external_labels": {"env": "prod", "zone": "z1", "job": "not this", "empty": "${NOT_SET}", "from": sender},
        },
        "scrape_configs": [{"job_name": "j", "static_configs": [{"targets": [address]}]}],
        "remote_write": [remote_write(url) | {"write_relabel_configs": RULES}],
    }


async def series_of(database, sender):
    """The series of the page that one sender has stored, without its name."""

    async def stored():
        found = await delivered(database, f'{{from="{sender}",__name__!~"up|scrape_.*"}}')
        return {tuple(pair for pair in labels if pair[0] != "from") for labels in found}

    await until(stored, 30, f"series from {sender}")
    return await stored()


async def test_series_are_sent_as_prometheus_sends_them(victoria_metrics, prometheus, tmp_path):
    async def answer(_request):
        return web.Response(body=PAGE.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})

    application = web.Application()
    application.router.add_get("/metrics", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address = f"127.0.0.1:{runner.addresses[0][1]}"
        url = victoria_metrics.remote_write_url
        await prometheus(configuration("prometheus", address, url), agent=True)
        async with Promscout(tmp_path, configuration("promscout", address, url)):
            theirs, ours = (
                await series_of(victoria_metrics, "prometheus"),
                await series_of(victoria_metrics, "promscout"),
            )
    finally:
        await runner.cleanup()
    assert ours == theirs
    names = {dict(labels)["__name__"] for labels in ours}
    assert names == {"requests_total", "failures_total", "odd", "hash"}
    assert {("copy_th", "/ä"), ("copy_ge", "ä"), ("team", "beta"), ("cluster_own", "yes")} <= set().union(*ours)
    assert not {"instance", "zone", "empty", "path"} & {name for labels in ours for name, _ in labels}
