"""A start costs what is imported: heavy packages are there for those who need them only."""

from __future__ import annotations

import sys

import pytest

from peers.program import run_program


async def imported_for(module, directory):
    """The top-level packages and modules that importing ``module`` brings in."""
    show = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    outcome = await run_program([sys.executable, "-c", show], directory)
    assert outcome.code == 0, outcome.err
    return set(outcome.out.split())


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("promscout.cli", {"asyncio", "ssl", "numpy", "aiohttp", "yaml", "re2"}),
        ("promscout.cli.check", {"asyncio", "ssl", "numpy", "aiohttp", "prometheus_client", "rich", "jinja2"}),
        ("promscout.cli.run", {"rich", "jinja2", "duckdb"}),
        ("promscout.cli.query", {"asyncio", "ssl", "aiohttp", "duckdb", "numpy"}),
    ],
)
async def test_a_command_does_not_import_what_only_others_need(module, unwanted, tmp_path):
    assert not await imported_for(module, tmp_path) & unwanted


async def test_the_agent_does_not_import_the_simulated_cluster(tmp_path):
    show = "import sys, promscout.cli.run; print(*(name for name in sys.modules if name.startswith('promscout.')))"
    outcome = await run_program([sys.executable, "-c", show], tmp_path)
    assert "promscout.agent" in outcome.out
    assert "promscout.sim" not in outcome.out
    assert "promscout.demo" not in outcome.out
