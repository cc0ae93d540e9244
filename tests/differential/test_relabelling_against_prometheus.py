"""Random rules on random targets: the same rules are accepted, and the same targets come out, as in a real Prometheus.

``PROMSCOUT_FUZZ_SEEDS`` chooses other seeds than CI's, as in ``1-20,42``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from differential.relabel_cases import RelabelCases, matching_job
from differential.relabel_pair import Job, as_yaml, both_answers, running_agent
from peers import promtool_accepts
from promscout.config import parse_config
from promscout.errors import ConfigError

JOBS = (300, 6)  # jobs whose targets have various labels, and targets of each
WORKLOADS = (60, 30)  # jobs whose targets have labels of the same names: enough of them to be planned for
MATCHES = (40, 50)  # jobs that match expressions, and expressions of each
SHOWN = 5  # differences in a report


def seeds(default: str) -> list[int]:
    """The seeds named by ``PROMSCOUT_FUZZ_SEEDS``, or ``default``."""
    ranges = [part.partition("-") for part in os.environ.get("PROMSCOUT_FUZZ_SEEDS", default).split(",")]
    return [seed for first, _, last in ranges for seed in range(int(first), int(last or first) + 1)]


def in_a_config(*rules) -> str:
    return as_yaml({"scrape_configs": [{"job_name": "a", "relabel_configs": list(rules)}]})


def refusal(text: str) -> str:
    """Why a configuration is refused; empty if it is accepted."""
    try:
        parse_config(text)
    except ConfigError as error:
        return str(error)
    return ""


KNOWN: dict[str, Callable[[dict[str, object], str], object]] = {
    "parentheses that only fit those around the expression": lambda rule, ours: "unexpected )" in ours,
    "names of character classes that Go knows since 1.25": lambda rule, ours: (
        "invalid character class range" in ours and re.search(r"\\[pP][a-z{]", str(rule["regex"]))
    ),
    "a modulus that would not be the one written": lambda rule, ours: "modulus: expected" in ours or "of range" in ours,
    "a null among source_labels": lambda rule, ours: None in (rule.get("source_labels") or []),
    "a field that an action does not need, with the value that it has anyway": lambda rule, ours: (
        not ours and (rule.get("source_labels") == [] or rule.get("regex") == "(.*)")
    ),
}
"""Rules that Prometheus accepts and promscout does not, and the last the other way round; docs/compatibility.md."""


async def check_acceptance(peers_dir: Path, directory: Path, rules) -> None:
    texts = [in_a_config(rule) for rule in rules]
    theirs = await promtool_accepts(peers_dir, directory, texts)
    assert True in theirs
    assert False in theirs
    different = [
        f"{rule}: Prometheus {'accepts' if accepts else 'refuses'} it; here: {ours or 'accepted'}"
        for rule, text, accepts in zip(rules, texts, theirs, strict=True)
        if accepts is bool(ours := refusal(text)) and not any(known(rule, ours) for known in KNOWN.values())
    ]
    assert different[:SHOWN] == []


@pytest.mark.parametrize("seed", seeds("1"))
async def test_random_rules_are_accepted_by_both_or_neither(peers_dir, tmp_path, seed):
    cases = RelabelCases(seed)
    await check_acceptance(peers_dir, tmp_path, [cases.odd_rule() for _ in range(1500)])


@pytest.mark.parametrize("seed", seeds("1"))
async def test_random_expressions_are_accepted_by_both_or_neither(peers_dir, tmp_path, seed):
    cases = RelabelCases(seed)
    expressions = [cases.broken_regex() for _ in range(2000)] + [cases.regex() for _ in range(500)]
    await check_acceptance(peers_dir, tmp_path, [{"action": "keep", "regex": regex} for regex in expressions])


async def acceptable(peers_dir: Path, directory: Path, configs) -> list[Job]:
    """Those that Prometheus accepts; promscout must accept the same ones."""
    texts = [as_yaml({"scrape_configs": [config]}) for config in configs]
    theirs = await promtool_accepts(peers_dir, directory, texts)
    different = [
        f"{text}: Prometheus {'accepts' if accepts else 'refuses'} it; here: {ours or 'accepted'}"
        for text, accepts in zip(texts, theirs, strict=True)
        if accepts is bool(ours := refusal(text))
    ]
    assert different[:SHOWN] == []
    jobs = [Job(config) for config, accepts in zip(configs, theirs, strict=True) if accepts]
    return [job for job in jobs if job.leave_chance_out()]


async def matching_jobs(cases: RelabelCases, peers_dir: Path, directory: Path):
    """Jobs of well-formed expressions and values."""
    matches = [cases.match() for _ in range(MATCHES[0] * MATCHES[1])]
    rules = [in_a_config({"action": "keep", "regex": regex}) for _, regex in matches]
    accepted = await promtool_accepts(peers_dir, directory, rules)
    matches = [match for match, accepts in zip(matches, accepted, strict=True) if accepts]
    return [
        matching_job(f"matches {start}", matches[start : start + MATCHES[1]])
        for start in range(0, len(matches), MATCHES[1])
    ]


def report(job: Job, ours, theirs) -> str:
    rows = [f"only promscout: {row}" for row in sorted((ours - theirs).elements())]
    rows += [f"only Prometheus: {row}" for row in sorted((theirs - ours).elements())]
    return "\n".join([as_yaml(job.config), *rows])


@pytest.mark.parametrize("seed", seeds("1"))
async def test_random_targets_come_out_alike(peers_dir, prometheus, tmp_path, seed):
    cases = RelabelCases(seed)
    wanted = [cases.job(f"job {number}", JOBS[1]) for number in range(JOBS[0])]
    wanted += [cases.job(f"workload {number}", WORKLOADS[1], one_layout=True) for number in range(WORKLOADS[0])]
    jobs = await acceptable(peers_dir, tmp_path, [*wanted, *await matching_jobs(cases, peers_dir, tmp_path)])
    config = as_yaml({"scrape_configs": [job.config for job in jobs]})
    (tmp_path / "promscout.yml").write_text(config)
    peer = await prometheus(config)
    async with running_agent(tmp_path / "promscout.yml") as agent:
        ours, theirs = await both_answers(agent, peer, jobs)
    different = [job for job in jobs if ours[job.name] != theirs[job.name]]
    reports = [report(job, ours[job.name], theirs[job.name]) for job in different[:SHOWN]]
    assert not different, f"{len(different)} of {len(jobs)} jobs are different:\n" + "\n".join(reports)
    targets = sum(len(job.config["static_configs"]) for job in jobs)
    dropped = sum(found["counted as dropped"] for found in theirs.values())
    active = sum(found.total() for found in theirs.values()) - 2 * dropped
    print(f"{targets} targets of {len(jobs)} jobs: {active} active, {dropped} dropped")  # noqa: T201 - for longer runs
    assert targets > 2500
    assert active > targets * 0.5
    assert dropped > targets * 0.05
