"""promtool: what Prometheus says of a configuration."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from peers.process import config_text
from peers.program import Outcome, run_program


async def promtool_check(programs: Path, directory: Path, config: object) -> Outcome:
    """``promtool check config`` of YAML text or a dict; code 0 means that Prometheus accepts it."""
    path = directory / "promtool-check.yml"
    path.write_text(config_text(config))
    return await run_program([str(programs / "promtool"), "check", "config", str(path)], directory)


async def promtool_accepts(programs: Path, directory: Path, texts: Sequence[str]) -> list[bool]:
    """Which of many configurations Prometheus accepts. They stay in ``directory`` as ``0.yml``, ``1.yml`` …"""
    files = [f"{index}.yml" for index in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        (directory / file).write_text(text)
    done = await run_program([str(programs / "promtool"), "check", "config", "--syntax-only", *files], directory)
    refused = set(re.findall(r"FAILED: parsing YAML file ([0-9]+\.yml)", done.out + done.err))
    assert (done.out + done.err).count("Checking ") == len(files)
    assert (done.code == 0) == (not refused)
    return [file not in refused for file in files]


async def promtool_accepts_web_config(programs: Path, directory: Path, texts: Sequence[str]) -> list[bool]:
    """Which of many web configurations Prometheus accepts. They stay in ``directory`` as ``0.yml``, ``1.yml`` …"""
    files = [f"{index}.yml" for index in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        (directory / file).write_text(text)
    done = await run_program([str(programs / "promtool"), "check", "web-config", *files], directory)
    verdicts = dict(re.findall(r"^([0-9]+\.yml) (SUCCESS|FAILED)", done.err, re.MULTILINE))
    assert verdicts.keys() == set(files)
    return [verdicts[file] == "SUCCESS" for file in files]


async def promtool_check_metrics(programs: Path, directory: Path, metrics: str) -> Outcome:
    """``promtool check metrics`` of a body in the text format; code 0 means that its linter finds nothing."""
    return await run_program([str(programs / "promtool"), "check", "metrics"], directory, stdin=metrics)
