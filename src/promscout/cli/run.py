"""``promscout run``."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from prometheus_client import disable_created_metrics

from promscout.agent import Agent, Listen
from promscout.cli.outcome import CANNOT_RUN, say, say_problem
from promscout.config import load_config
from promscout.data_dir import DataDir, DataDirError
from promscout.errors import ConfigError
from promscout.logs import LogFormat, LogLevel, configure_logs
from promscout.model.duration import Duration


def execute(
    *,
    config: Path,
    listen: tuple[str, int],
    data_dir: Path,
    discovery_interval: Duration,
    strict_discovery: bool,
    log_level: str,
    log_format: str,
) -> int:
    """Run an agent until a signal ends it; the exit code."""
    configure_logs(LogLevel(log_level), LogFormat(log_format))
    # One series per counter, as Go's client has it, not another one with its time of creation.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated by its package
    try:
        with DataDir(data_dir):
            asyncio.run(_run_agent(config, Listen(*listen), discovery_interval, strict=strict_discovery))
    except ConfigError as error:
        for problem in error.problems:
            say_problem(problem)
        return CANNOT_RUN
    except (DataDirError, OSError) as error:
        say(str(error))
        return CANNOT_RUN
    return 0


async def _run_agent(config: Path, listen: Listen, discovery_interval: float, *, strict: bool) -> None:
    agent = Agent(
        lambda: load_config(config), listen=listen, discovery_interval=discovery_interval, strict_discovery=strict
    )
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(_reload(agent), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGINT, agent.stop)
    loop.add_signal_handler(signal.SIGTERM, agent.stop)
    loop.add_signal_handler(signal.SIGHUP, reload)
    await agent.run()


async def _reload(agent: Agent) -> None:
    try:
        await agent.reload()
    except ConfigError:
        # The agent has logged every problem; a signal has nobody else to tell.
        return
