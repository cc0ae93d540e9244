"""promscout as a process: how it ends, and what a reload touches and leaves alone."""

from __future__ import annotations

import asyncio
import signal
import time
from itertools import pairwise

import pytest

from e2e.delivered import delivered, recorded, remote_write
from e2e.promscout_process import Promscout, until
from peers import PeerError
from promscout.sim import SimCluster
from promscout.sim.population import Port, pod

PORT = 9090
INTERVAL = 0.5
END_LIMIT = 5.0  # seconds from the signal to the end of the process
STALE_LIMIT = 3.0


@pytest.fixture
async def cluster():
    async with SimCluster(live=True) as cluster:
        for number in range(3):
            cluster.store.add(pod(f"web-{number}", "shop", labels={"app": "web"}, ports=(Port("metrics", PORT),)))
        await cluster.settled()
        yield cluster


def pods_job(api_server, name="pods", *relabel):
    return {
        "job_name": name,
        "kubernetes_sd_configs": [{"role": "pod", "api_server": api_server}],
        "relabel_configs": [
            {"source_labels": ["__address__"], "regex": r"127\..*", "action": "keep"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
            *relabel,
        ],
    }


def static_job(name, *addresses, **options):
    return {"job_name": name, "static_configs": [{"targets": list(addresses)}], **options}


def configuration(jobs, *urls):
    return {
        "global": {"scrape_interval": f"{INTERVAL * 1000:.0f}ms"},
        "scrape_configs": jobs,
        "remote_write": [remote_write(url) for url in urls],
    }


def address(cluster, name):
    return f"{cluster.exporters['shop', name].address}:{PORT}"


async def scraped(agent, job, count):
    return sum(one["health"] == "up" for one in await agent.active(job)) == count


async def ends(agent, number):
    """It ends with code 0 in time, and its log says so and shows no accident."""
    started = time.monotonic()
    agent.signal(number)
    assert await agent.exit_code(END_LIMIT) == 0
    assert time.monotonic() - started < END_LIMIT
    assert agent.log().rstrip().endswith('msg="promscout has stopped"')
    assert "Traceback" not in agent.log()
    assert "level=error" not in agent.log()


SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)


@SIGNALS
async def test_a_signal_ends_it_and_the_last_samples_are_delivered(number, cluster, victoria_metrics, tmp_path):
    pages = recorded(cluster.exporters["shop", "web-0"])
    config = configuration([pods_job(cluster.url)])
    # Nothing is sent before its time: what is there in the end was flushed.
    url = victoria_metrics.remote_write_url
    config["remote_write"] = [{"url": url, "queue_config": {"batch_send_deadline": "1h"}}]
    async with Promscout(tmp_path, config) as agent:
        await until(lambda: len(pages) >= 4, 10, "four scrapes")
        assert await delivered(victoria_metrics, "up") == {}
        await ends(agent, number)
    samples = await delivered(victoria_metrics, 'app_scrapes_total{pod="web-0"}', stale=True)
    (series,) = samples.values()
    assert len(series) >= len(pages) - 1
    assert [value for _, value in series] == [*range(1, len(series) + 1)], "no staleness marker: it will be back"


@SIGNALS
async def test_it_ends_in_time_while_everything_around_it_hangs(number, cluster, tmp_path):
    for name in ("web-0", "web-1"):
        cluster.exporters["shop", name].behaviour.failure = "hang"
    async with Silent() as silent:
        jobs = [
            pods_job(cluster.url),
            pods_job(silent.url, "hanging-api-server"),
            pods_job("http://127.0.0.1:1", "no-api-server"),
        ]
        receivers = (f"{silent.url}/api/v1/write", "http://127.0.0.1:1/api/v1/write")
        config = configuration(jobs, *receivers)
        config["global"]["scrape_interval"] = "2s"
        config["scrape_configs"].append(static_job("often", address(cluster, "web-2"), scrape_interval="100ms"))
        config["scrape_configs"].append(
            static_job("hanging", silent.address, scrape_interval="3s", scrape_timeout="3s")
        )
        async with Promscout(tmp_path, config) as agent:
            await until(lambda: scraped(agent, "often", 1), 10, "a target is scraped")

            async def is_pending():
                pending = [
                    await agent.metric("prometheus_remote_storage_samples_pending", url=url) for url in receivers
                ]
                return min(pending) > 100 and len(silent.writers) >= 3

            # Who hangs: the API server, a receiver, and targets.
            await until(is_pending, 10, "receivers have a backlog and everything that hangs was asked")
            # Clients that never finish their requests must not hold it up either.
            _, writer = await asyncio.open_connection("127.0.0.1", agent.port)
            writer.write(b"GET /api/v1/targets HTTP/1.1\r\n")
            await writer.drain()
            await ends(agent, number)
            writer.close()
            assert agent.log().count("samples that were not delivered are kept on disk") == 2


class Silent:
    """Takes connections and never answers."""

    def __init__(self):
        self.writers = []

    async def __aenter__(self):
        self.server = await asyncio.start_server(lambda _, writer: self.writers.append(writer), "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        self.url = f"http://{self.address}"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        for writer in self.writers:
            writer.transport.abort()
        await self.server.wait_closed()


async def test_further_signals_do_not_disturb_its_end(cluster, tmp_path):
    async with Silent() as silent:
        config = configuration([pods_job(cluster.url)], f"{silent.url}/api/v1/write")
        async with Promscout(tmp_path, config) as agent:
            await until(lambda: scraped(agent, "pods", 3), 10, "targets are scraped")
            agent.write_config(configuration([pods_job(cluster.url, "other")]))
            agent.signal(signal.SIGTERM)
            agent.signal(signal.SIGHUP)
            await ends(agent, signal.SIGINT)


@pytest.mark.parametrize("how", ["SIGHUP", "POST"])
async def test_a_reload_changes_what_changed_and_leaves_the_rest_alone(how, cluster, victoria_metrics, tmp_path):
    url = victoria_metrics.remote_write_url
    kept = recorded(cluster.exporters["shop", "web-0"])
    before = [
        static_job("kept", address(cluster, "web-0")),
        static_job("relabelled", address(cluster, "web-1")),
        static_job("removed", address(cluster, "web-2")),
    ]
    after = [
        static_job("kept", address(cluster, "web-0")),
        static_job(
            "relabelled",
            address(cluster, "web-1"),
            relabel_configs=[{"target_label": "env", "replacement": "prod"}],
        ),
        pods_job(cluster.url, "added"),
    ]
    async with Promscout(tmp_path, configuration(before, url)) as agent:
        await until(lambda: scraped(agent, "", 3), 10, "all are scraped")
        await victoria_metrics.query_until("count(app_scrapes_total) == 3")
        await until(lambda: len(kept) >= 4, 10, "four scrapes")
        reloaded_at = time.time() * 1000
        if how == "SIGHUP":
            agent.write_config(configuration(after, url))
            agent.signal(signal.SIGHUP)
        else:
            await agent.reload(configuration(after, url))
        await until(lambda: scraped(agent, "added", 3), 10, "the new job is scraped")
        assert {one["scrapePool"] for one in await agent.active()} == {"kept", "relabelled", "added"}
        seen = len(kept)
        await until(lambda: len(kept) >= seen + 6, 10, "scrapes go on")  # by two jobs now
        await victoria_metrics.query_until('app_scrapes_total{env="prod"}')

        async def stale():
            left = await victoria_metrics.query('{job="removed"} or {job="relabelled",env=""}')
            return not left

        await until(stale, STALE_LIMIT, "what is gone is stale")
        assert await agent.metric("prometheus_config_last_reload_successful") == 1
        assert await agent.metric("prometheus_target_scrape_pools_total") == 4
        assert await agent.metric("prometheus_target_scrape_pool_reloads_total") == 1
    await has_no_gap_and_no_marker(victoria_metrics, '{job="kept",__name__=~"up|app_scrapes_total|http_.*"}')
    gone = await delivered(victoria_metrics, '{job="removed"}', stale=True)
    gone |= await delivered(victoria_metrics, '{job="relabelled",env=""}', stale=True)
    assert len(gone) > 40
    for labels, samples in gone.items():
        assert [value is None for _, value in samples] == [False] * (len(samples) - 1) + [True], labels
        assert reloaded_at - 100 <= samples[-1][0] <= reloaded_at + 2000


async def has_no_gap_and_no_marker(victoria_metrics, match):
    series = await delivered(victoria_metrics, match, stale=True)
    assert len(series) > 5
    for labels, samples in series.items():
        assert all(value is not None for _, value in samples), labels
        steps = [later - earlier for (earlier, _), (later, _) in pairwise(samples)]
        # At their slots: a busy machine may be late, but then the next scrape is on time again.
        assert max(steps) < 1.9 * INTERVAL * 1000, labels


async def test_a_bad_configuration_is_refused_with_every_problem_and_everything_goes_on(
    cluster, victoria_metrics, tmp_path
):
    url = victoria_metrics.remote_write_url
    good = configuration([pods_job(cluster.url)], url)
    bad = "scrape_configs:\n- job_name: a\n  scrape_interval: soon\n  no_such_key: 1\n- metrics_path: /x\n"
    async with Promscout(tmp_path, good) as agent:
        await until(lambda: scraped(agent, "pods", 3), 10, "targets are scraped")
        in_force = await agent.get_json("/api/v1/status/config")
        with pytest.raises(PeerError) as refusal:
            await agent.reload(bad)
        text = str(refusal.value)
        assert ": 500: failed to reload config: " in text
        for place, problem in (("3:20", "scrape_interval"), ("4:3", "no_such_key"), ("5:3", "job_name")):
            assert f"{agent.config_file}:{place}: " in text
            assert problem in text
            assert f"{agent.config_file}:{place}: " in agent.log(), "every problem is in the log"
        assert await agent.metric("prometheus_config_last_reload_successful") == 0
        agent.signal(signal.SIGHUP)
        await until(lambda: agent.log().count(f"{agent.config_file}:4:3: ") == 2, 5, "a signal refuses it, too")
        assert await agent.get_json("/api/v1/status/config") == in_force
        assert await scraped(agent, "pods", 3)
        agent.config_file.unlink()
        with pytest.raises(PeerError, match=r"500: failed to reload config: .*cannot read the file"):
            await agent.request("POST", "/-/reload")
        await agent.reload(good)
        assert await agent.metric("prometheus_config_last_reload_successful") == 1
        assert await agent.metric("prometheus_target_scrape_pool_reloads_total") == 0
        before = await delivered(victoria_metrics, "up")
        await until(lambda: more(victoria_metrics, before), 10, "scrapes go on")
    await has_no_gap_and_no_marker(victoria_metrics, '{job="pods",__name__=~"up|app_scrapes_total|http_.*"}')


async def more(victoria_metrics, before):
    now = await delivered(victoria_metrics, "up")
    return all(len(samples) >= len(before.get(labels, ())) + 2 for labels, samples in now.items())


async def test_changed_files_are_loaded_without_being_asked_for(cluster, tmp_path):
    further = tmp_path / "further.yml"
    further.write_text("scrape_configs: []\n")
    config = configuration([static_job("main", address(cluster, "web-0"))]) | {"scrape_config_files": [str(further)]}
    async with Promscout(tmp_path, config, "--auto-reload=1s") as agent:
        await until(lambda: scraped(agent, "main", 1), 10, "a target is scraped")
        job = f"scrape_configs: [{{job_name: more, static_configs: [{{targets: ['{address(cluster, 'web-1')}']}}]}}]"
        further.write_text(job)
        await until(lambda: scraped(agent, "more", 1), 10, "the job of the included file is scraped")
        further.write_text("scrape_configs: [{job_name: 1, nonsense: 2}]")
        await until(lambda: is_refused(agent), 10, "what is wrong is refused")
        await asyncio.sleep(3)
        assert agent.log().count(f"{further}:1:32: scrape_configs[0].nonsense") == 1, "told once"
        assert await scraped(agent, "more", 1)
        further.write_text(job)
        await until(lambda: is_accepted(agent), 10, "it is accepted again")
        assert await scraped(agent, "more", 1)
        assert await agent.metric("prometheus_target_scrape_pool_reloads_total") == 0


async def is_refused(agent):
    return await agent.metric("prometheus_config_last_reload_successful") == 0


async def is_accepted(agent):
    return await agent.metric("prometheus_config_last_reload_successful") == 1
