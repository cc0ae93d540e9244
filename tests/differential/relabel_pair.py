"""promscout, in this process, and a real Prometheus on the same configuration, and what both must agree on."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

import aiohttp
import yaml

from peers import Prometheus
from promscout.agent import Agent
from promscout.config import load_config, parse_config
from promscout.model.labels import LabelSet, label_set
from promscout.relabel import Action, Relabeler
from promscout.relabel.template import compile_template
from promscout.scrape.config import ScrapeConfig
from promscout.web import WebOptions

PATIENCE = 60.0  # seconds for one side to find its targets: Prometheus takes five, more on a busy machine

Rows: TypeAlias = dict[str, Counter[str]]
"""Job → its targets in words, each with how often it is there."""


def as_yaml(config: object) -> str:
    return yaml.dump(config, Dumper=yaml.CSafeDumper, sort_keys=False, width=1_000_000)


@dataclass
class Job:
    """A scrape config with static targets, and what is known of them without Prometheus."""

    config: dict[str, object]
    shared: set[LabelSet] = field(default_factory=set)
    """The labels of targets that come out equal: whose discovered labels are shown for them is chance in Prometheus."""

    @property
    def name(self) -> str:
        return str(self.config["job_name"])

    def leave_chance_out(self) -> bool:
        """Without the targets that Prometheus leaves to chance; False when none is left."""
        scrape = parse_config(as_yaml({"scrape_configs": [self.config]})).jobs[0].scrape
        relabeler = Relabeler(scrape.relabel_configs)
        kept, outcomes = [], Counter()
        for group in self.config["static_configs"]:
            labels = discovered_labels(scrape, group)
            if not left_to_chance(relabeler, labels):
                kept.append(group)
                if relabeler.apply(labels):
                    labels = {"instance": labels.get("__address__", "")} | labels
                    outcomes[label_set({name: value for name, value in labels.items() if name[:7] != "__meta_"})] += 1
        self.config["static_configs"] = kept
        self.shared = {
            tuple(pair for pair in labels if pair[0][:2] != "__") for labels, count in outcomes.items() if count > 1
        }
        return bool(kept)


def discovered_labels(scrape: ScrapeConfig, group) -> dict[str, str]:
    """The labels of a static target before relabelling."""
    defaults = {
        "job": scrape.job_name,
        "__scheme__": scrape.scheme,
        "__metrics_path__": scrape.metrics_path,
        "__scrape_interval__": str(scrape.scrape_interval),
        "__scrape_timeout__": str(scrape.scrape_timeout),
        **{f"__param_{name}": values[0] for name, values in scrape.params.items() if values},
    }
    own = {"__address__": group["targets"][0]} | group["labels"]
    return {name: value for name, value in (defaults | {name: own[name] for name in own if own[name]}).items() if value}


def left_to_chance(relabeler: Relabeler, labels: dict[str, str]) -> bool:
    """Whether Prometheus's answer depends on the order of a map, or has a label without a name.

    Both come from labelmap only: from labels of different values mapped to one name, or mapped to an empty one.
    """
    for step in relabeler.trace(labels):
        if step.config.action is Action.LABELMAP:
            expand, values = compile_template(step.config.replacement, step.config.regex), {}
            for name, value in labels.items():
                groups = step.config.regex.match(name) if value else None
                if groups is not None and values.setdefault(expand(groups), value) != value:
                    return True
            if "" in values:
                return True
        labels = step.labels
    return False


@asynccontextmanager
async def running_agent(config_file: Path) -> AsyncIterator[Agent]:
    """The agent, on a free port."""
    agent = Agent(lambda: load_config(config_file), web=WebOptions(port=0))
    task = asyncio.create_task(agent.run(), name="agent")
    try:
        await asyncio.wait_for(agent.wait_ready(), 30)
        yield agent
    finally:
        agent.stop()
        await task


async def targets_when_synced(url: str, jobs: Iterable[str]) -> dict[str, object]:
    """The targets, as soon as each job's pool has taken over what was discovered.

    Raises:
        AssertionError: some have not, in the end.
    """
    wanted = set(jobs)
    async with aiohttp.ClientSession() as client, asyncio.timeout(PATIENCE):
        while True:
            async with client.get(f"{url}/metrics") as response:
                synced = re.findall(
                    r'^prometheus_target_scrape_pool_sync_total\{scrape_job="([^"]*)"\} [1-9]',
                    await response.text(),
                    re.MULTILINE,
                )
            if wanted <= set(synced):
                break
            await asyncio.sleep(0.1)
        async with client.get(f"{url}/api/v1/targets?state=any") as response:
            answer = await response.json()
    assert answer["status"] == "success"
    return answer["data"]


async def both_answers(agent: Agent, peer: Prometheus, jobs: Sequence[Job]) -> tuple[Rows, Rows]:
    """Ours and Prometheus's targets."""
    names = [job.name for job in jobs]
    ours, theirs = await asyncio.gather(*(targets_when_synced(url, names) for url in (agent.web.url, peer.url)))
    shared = {job.name: job.shared for job in jobs}
    return rows(ours, shared), rows(theirs, shared)


def rows(data, shared) -> Rows:
    """The targets in words."""
    found: Rows = {job: Counter() for job in data["droppedTargetCounts"]}
    for one in data["activeTargets"]:
        labels, discovered = label_set(one["labels"]), label_set(one["discoveredLabels"])
        origin = "any" if labels in shared[one["scrapePool"]] else discovered
        shown = [*comparable_urls(one["scrapeUrl"], one["globalUrl"]), one["scrapeInterval"], one["scrapeTimeout"]]
        found[one["scrapePool"]][f"active {labels} {shown} discovered as {origin}"] += 1
    for one in data["droppedTargets"]:
        found[one["scrapePool"]][f"dropped {label_set(one['discoveredLabels'])}"] += 1
    for job, count in data["droppedTargetCounts"].items():
        found[job]["counted as dropped"] += count
    return found


def comparable_urls(scrape_url: str, global_url: str) -> tuple[str, str]:
    """The URLs of a target as far as both must agree.

    What others would call the target is compared where it can be scraped: http or https, a host, and a number as port.
    """
    is_usual = re.match(r"https?://([\w.]*|\[[0-9a-f:]+\])(:[0-9]{0,4})?([/?]|\Z)", scrape_url) is not None
    return scrape_url, unquote(global_url) if is_usual else ""
