"""The local store of a running agent, as users get at it."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import polars as pl
import pytest

from e2e.promscout_process import Promscout, until
from peers.program import run_program


async def query(directory, sql, *options):
    program = Path(sys.executable).parent / "promscout"
    return await run_program([str(program), "query", sql, "--data-dir", str(directory / "data"), *options], directory)


async def rows(directory, sql):
    outcome = await query(directory, sql, "--format", "json")
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out)


def agent_of(directory, configuration):
    """An agent whose data directory stays when it is gone."""
    return Promscout(directory, configuration, f"--data-dir={directory / 'data'}")


def config(node_exporter, **more):
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": [node_exporter.address]}]}],
        **more,
    }


async def up(directory):
    return await rows(directory, "SELECT epoch_ms(timestamp) AS ms, value FROM up ORDER BY 1")


async def test_an_agent_that_is_killed_loses_no_more_than_a_second(node_exporter, tmp_path):
    async with agent_of(tmp_path, config(node_exporter)) as agent:
        await until(lambda: agent.metric("promscout_store_samples_in_total"), 20, "samples are scraped")
        await until(lambda: _scrapes(agent, 7), 30, "several scrapes")
        before = (await agent.active())[0]["lastScrape"]
        agent.signal(signal.SIGKILL)
        await agent.exit_code(10)
    killed = await up(tmp_path)
    last = await rows(tmp_path, f"SELECT epoch_ms(TIMESTAMPTZ '{before}') - 2200 AS ms")
    assert killed[-1]["ms"] >= last[0]["ms"]
    assert len(killed) >= 4
    async with agent_of(tmp_path, config(node_exporter)) as agent:
        await until(lambda: agent.metric("promscout_store_samples_written_total"), 30, "the rest becomes Parquet")
        while_running = await up(tmp_path)
        assert while_running[: len(killed)] == killed
        agent.signal(signal.SIGTERM)
        assert await agent.exit_code(10) == 0
    stopped = await up(tmp_path)
    assert stopped[: len(while_running)] == while_running
    times = [row["ms"] for row in stopped]
    assert times == sorted(set(times))
    frame = pl.read_parquet(tmp_path / "data" / "store" / "samples", hive_partitioning=True)
    labels = pl.read_parquet(tmp_path / "data" / "store" / "series", hive_partitioning=True)
    joined = frame.join(labels, on=["series_id", "date"])
    assert len(joined) == len(frame) == len(frame.unique(["series_id", "timestamp"]))
    assert len(joined.filter(pl.col("name") == "up")) == len(stopped)


async def _scrapes(agent, number):
    return await agent.metric("promscout_store_samples_in_total") > number * 400


async def test_the_store_is_used_while_there_is_no_remote_write(node_exporter, victoria_metrics, tmp_path):
    sections = {"remote_write": [{"url": victoria_metrics.remote_write_url}]}
    async with agent_of(tmp_path, config(node_exporter, **sections)) as agent:
        await until(lambda: victoria_metrics.query("up"), 20, "samples are sent")
        assert not (tmp_path / "data" / "store").exists()
        await agent.reload(config(node_exporter))
        await until(lambda: agent.metric("promscout_store_samples_in_total"), 20, "samples are stored")
        await agent.reload(config(node_exporter, **sections))
        assert await agent.metric("promscout_store_active") == 0
        agent.signal(signal.SIGTERM)
        assert await agent.exit_code(10) == 0
    assert await up(tmp_path)


async def test_the_page_plots_what_is_scraped(node_exporter, tmp_path):
    async with agent_of(tmp_path, config(node_exporter)) as agent:
        await until(lambda: _scrapes(agent, 2), 30, "two scrapes")

        async def drawn():
            return 'class="line line-0" d="M' in await agent.request("GET", "/graph?match=up&range=15m")

        assert await until(drawn, 20, "a line is drawn")


@pytest.mark.parametrize(
    ("arguments", "code", "out", "err"),
    [
        (("SELECT 1 AS a, 'x' AS b",), 0, "a  b\n1  x\n", ""),
        (("SELECT 1 AS a, NULL AS b", "--format", "csv"), 0, "a,b\n1,\n", ""),
        (("SELECT 'nan'::DOUBLE AS a", "--format", "jsonl"), 0, '{"a": "NaN"}\n', ""),
        (("SELECT 1 AS a WHERE false", "--format", "json"), 0, "[]\n", ""),
        (("SELEC 1",), 1, "", "syntax error"),
        (("SELECT * FROM nothing",), 1, "", "nothing does not exist"),
        (("SELECT 1", "--data-dir", "elsewhere"), 2, "", "elsewhere/store: no local store"),
        (("SELECT 1", "--format", "xml"), 2, "", "invalid choice"),
    ],
    ids=["table", "csv", "jsonl", "no rows", "syntax", "unknown table", "no store", "format"],
)
async def test_a_query_prints_rows_or_says_what_is_wrong(tmp_path, arguments, code, out, err):
    (tmp_path / "data" / "store" / "journal").mkdir(parents=True)
    outcome = await query(tmp_path, *arguments)
    assert (outcome.code, outcome.out) == (code, out)
    assert err in outcome.err
    assert "Traceback" not in outcome.err
