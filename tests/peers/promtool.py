"""promtool: what Prometheus says of a configuration."""

from __future__ import annotations

from pathlib import Path

from peers.process import config_text
from peers.program import Outcome, run_program


async def promtool_check(programs: Path, directory: Path, config: object) -> Outcome:
    """``promtool check config`` of YAML text or a dict; code 0 means that Prometheus accepts it."""
    path = directory / "promtool-check.yml"
    path.write_text(config_text(config))
    return await run_program([str(programs / "promtool"), "check", "config", str(path)], directory)
