"""Unmodified Prometheus servers behind promscout have its targets between them, whatever happens to it.

Addresses are loopback's, and nearly nothing is scraped: the interval is an hour.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path

import bcrypt
import pytest
import yaml

from e2e.promscout_process import Promscout, until
from peers.program import run_program
from promscout.sim import SimCluster
from promscout.sim.population import pod
from promscout.sim.resources import PODS

STEADY = 60  # pods that stay as they are
COMING = 40  # pods that come, change and go
STATES = 4  # of a server that are looked at while they do
CHANGES = 8  # between two looks
AGREED = 40.0  # seconds until all have the same targets; Prometheus passes on what was discovered every 5 s
SHARDS = 2


def steady(number):
    annotations = {"path": "/own"} if number % 5 == 0 else {}
    return pod(f"steady-{number}", "shop", labels=labels(number), annotations=annotations, ip=f"127.9.1.{number + 1}")


def labels(number):
    return {"app": f"app-{number % 7}"} | ({"team": "ü & <b>"} if number % 2 else {})


def configuration(api_server):
    """Rules that change every kind of label that makes a target what it is, and take some away."""
    label = "__meta_kubernetes_pod_label_{}".format
    return {
        "global": {"scrape_interval": "1h", "scrape_timeout": "20s", "external_labels": {"cluster": "a$$b"}},
        "scrape_configs": [
            {
                "job_name": "pods",
                "params": {"module": ["one", "two"]},
                "kubernetes_sd_configs": [{"role": "pod", "api_server": api_server}],
                "relabel_configs": [
                    {"action": "drop", "source_labels": [label("app")], "regex": "app-6"},
                    {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
                    {"source_labels": [label("team")], "target_label": "job"},
                    {
                        "source_labels": ["__meta_kubernetes_pod_annotation_path"],
                        "regex": "(.+)",
                        "target_label": "__metrics_path__",
                    },
                    {"source_labels": [label("app")], "regex": "(app-3)|app-5", "target_label": "__param_module"},
                    {
                        "source_labels": [label("app")],
                        "regex": "app-4",
                        "target_label": "__scrape_interval__",
                        "replacement": "2h",
                    },
                    {"target_label": "__tmp_kept", "source_labels": [label("app")]},
                ],
            },
            {
                "job_name": "by hand/ü",
                "scheme": "https",
                "honor_labels": True,
                "static_configs": [{"targets": [f"127.8.0.{number}:1" for number in range(1, 20)]}],
                "metric_relabel_configs": [{"action": "drop", "source_labels": ["__name__"], "regex": "go_.*"}],
            },
        ],
    }


async def printed(config, directory, *options):
    """What ``config downstream`` prints."""
    file = directory / "of-promscout.yml"
    file.write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).parent / "promscout"), "config", "downstream", str(file), *options]
    outcome = await run_program(command, directory)
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out


def told(active):
    """What a target is, as both tell it."""
    fields = ("scrapePool", "scrapeUrl", "scrapeInterval", "scrapeTimeout")
    return Counter((tuple(sorted(one["labels"].items())), *(one[field] for field in fields)) for one in active)


class World:
    """A cluster, promscout, two Prometheus servers that share its targets over HTTP, and one that reads its files."""

    def __init__(self, cluster, promscout, shards, reader):
        self.cluster = cluster
        self.promscout = promscout
        self.shards = shards
        self.reader = reader

    async def ours(self):
        return told(await self.promscout.active())

    async def theirs(self):
        """Of the two together, and of the one that reads files."""
        lists = [told((await one.targets())["activeTargets"]) for one in (*self.shards, self.reader)]
        assert not lists[0].keys() & lists[1].keys()
        return lists[0] + lists[1], lists[2]

    async def agree(self, what):
        async def equal():
            ours = await self.ours()
            return all(ours == theirs for theirs in await self.theirs()) and ours

        return await until(equal, AGREED, what)

    async def refusals(self):
        """How often a list was asked for in vain."""
        return await self.promscout.metric("promscout_sd_http_requests_total", code="503", job="pods")


@asynccontextmanager
async def world(prometheus, directory):
    async with SimCluster() as cluster:
        for number in range(STEADY):
            cluster.store.add(steady(number))
        config, files = configuration(cluster.url), directory / "sd"
        async with Promscout(directory, config, f"--file-sd-dir={files}") as promscout:
            url = f"--url={promscout.url}"
            texts = [
                await printed(config, directory, url, f"--shards={SHARDS}", f"--shard={index}", "--refresh-interval=1s")
                for index in range(SHARDS)
            ]
            shards = [await prometheus(text, agent=True) for text in texts]
            reader = await prometheus(await printed(config, directory, f"--file-sd-dir={files}"), agent=True)
            yield World(cluster, promscout, shards, reader)


class Churn:
    """Pods that come, get other labels, and go."""

    def __init__(self, store):
        self._store = store
        self._random = random.Random(7)
        self._there = {}

    def step(self):
        for _ in range(CHANGES):
            number = self._random.randrange(COMING)
            name = f"coming-{number}"
            if name in self._there:
                self._store.delete(PODS, "shop", name)
                del self._there[name]
            if self._random.random() < 0.7:
                self._there[name] = pod(
                    name, "shop", labels=labels(self._random.randrange(50)), ip=f"127.9.2.{number + 1}"
                )
                self._store.add(self._there[name])


@pytest.mark.timeout(300)
async def test_servers_that_share_targets_have_those_of_promscout_under_churn_and_after_it(prometheus, tmp_path):
    async with world(prometheus, tmp_path) as all_of_it:
        first = await all_of_it.agree("all have the targets at the start")
        assert {pool for _, pool, *_ in first} == {"pods", "by hand/ü"}
        by_url = {url: dict(target) for target, _, url, *_ in first}
        assert any("job" not in target for target in by_url.values())
        assert any("module=app-3&" in url for url in by_url)
        for shard in all_of_it.shards:
            assert len((await shard.targets())["activeTargets"]) > STEADY / 4
        churn, seen = Churn(all_of_it.cluster.store), set()

        async def look():
            churn.step()
            for theirs in await all_of_it.theirs():
                assert first <= theirs, "a target that stays is never gone"
            seen.add(frozenset(theirs))
            return len(seen) > STATES

        await until(look, AGREED, "the servers follow the changes")
        await all_of_it.agree("all have the targets after the churn")
        clients = (await all_of_it.promscout.get_json("/api/v1/status/downstream"))["data"]["clients"]
        assert {(one["job"], one["refreshIntervalSeconds"], one["late"]) for one in clients} == {
            ("pods", 1, False),
            ("by hand/ü", 1, False),
        }
        assert len(clients) == 2 * SHARDS


@pytest.mark.timeout(300)
async def test_a_restart_of_promscout_without_an_api_server_takes_no_target_away(prometheus, tmp_path):
    async with world(prometheus, tmp_path) as all_of_it:
        first = await all_of_it.agree("all have the targets at the start")
        promscout, faults = all_of_it.promscout, all_of_it.cluster.apiserver.faults
        faults.unavailable = True
        promscout.kill()
        all_of_it.cluster.store.delete(PODS, "shop", "steady-0")
        await promscout.come_back()
        seen = await all_of_it.refusals()
        # So often that each of them has passed on what it has, which it does every 5 s.
        await until(lambda: _more(all_of_it, seen + 8 * SHARDS), 30, "lists are asked for in vain")
        assert sum((await all_of_it.ours()).values()) == 19
        for theirs in await all_of_it.theirs():
            assert theirs == first
        faults.unavailable = False
        after = await all_of_it.agree("all have the targets after the API server is back")
        assert sum((first - after).values()) == 1


async def test_a_server_with_the_password_has_the_targets_and_keeps_them_when_it_is_refused(prometheus, tmp_path):
    config = configuration(None) | {"scrape_configs": configuration(None)["scrape_configs"][1:]}
    rules, password, client = (tmp_path / name for name in ("web.yml", "password", "client.yml"))
    rules.write_text(yaml.safe_dump({"basic_auth_users": {"reader": hashed("right")}}))
    password.write_text("right")
    client.write_text("basic_auth: {username: reader, password_file: password}")
    async with Secured(tmp_path, config, f"--web.config.file={rules}") as promscout:
        options = (f"--url={promscout.url}", f"--http.config.file={client}", "--refresh-interval=1s")
        reader = await prometheus(await printed(config, tmp_path, *options))
        found = await reader.wait_for_targets(19, seconds=AGREED)
        failures = "prometheus_sd_http_failures_total"
        password.write_text("wrong")
        await until(lambda: _counts(reader, failures, 3), AGREED, "it is refused")
        assert told((await reader.targets())["activeTargets"]) == told(found["activeTargets"])


class Secured(Promscout):
    """Is ready when it asks for the password."""

    async def request(self, method, path, **options):
        return await super().request(method, path, headers={"Authorization": "Basic cmVhZGVyOnJpZ2h0"}, **options)


def hashed(password):
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


async def _counts(peer, metric, at_least):
    lines = (await peer.request("GET", "/metrics")).splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(metric)) >= at_least


async def _more(all_of_it, number):
    return await all_of_it.refusals() >= number
