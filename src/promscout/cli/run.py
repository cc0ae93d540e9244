"""``promscout run``."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from pathlib import Path

import uvloop
from prometheus_client import disable_created_metrics

from promscout.agent import Agent, Listen
from promscout.cli.outcome import CANNOT_RUN, say, say_problem
from promscout.config import load_config
from promscout.config_watch import ConfigWatch
from promscout.data_dir import DataDir, DataDirError
from promscout.errors import ConfigError
from promscout.logs import LogFormat, LogLevel, configure_logs
from promscout.model.duration import Duration
from promscout.supervisor import Supervisor
from promscout.write.buffers import Buffers
from promscout.write.spool import BufferLimits


def execute(
    *,
    config: Path,
    listen: tuple[str, int],
    data_dir: Path,
    flush_interval: Duration,
    buffer_max_size: int,
    buffer_max_age: Duration,
    discovery_interval: Duration,
    strict_discovery: bool,
    auto_reload: Duration | None,
    log_level: str,
    log_format: str,
) -> int:
    """Run an agent until a signal ends it; the exit code."""
    configure_logs(LogLevel(log_level), LogFormat(log_format))
    # One series per counter, as Go's client has it, not another one with its time of creation.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated by its package
    try:
        # uvloop takes a third less CPU for a fetch than asyncio's own loop (decision 0009).
        with DataDir(data_dir), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(
                _run_agent(
                    config,
                    auto_reload,
                    listen=Listen(*listen),
                    buffers=Buffers(
                        data_dir, BufferLimits(float(flush_interval), int(buffer_max_size), float(buffer_max_age))
                    ),
                    discovery_interval=discovery_interval,
                    strict_discovery=strict_discovery,
                )
            )
    except ConfigError as error:
        for problem in error.problems:
            say_problem(problem)
        return CANNOT_RUN
    except (DataDirError, OSError) as error:
        say(str(error))
        return CANNOT_RUN
    return 0


async def _run_agent(
    config: Path,
    auto_reload: float | None,
    *,
    listen: Listen,
    buffers: Buffers,
    discovery_interval: float,
    strict_discovery: bool,
) -> None:
    load = partial(load_config, config)
    watch = ConfigWatch(config, load)
    agent = Agent(
        load if auto_reload is None else watch.load,
        listen=listen,
        buffers=buffers,
        discovery_interval=discovery_interval,
        strict_discovery=strict_discovery,
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
    async with Supervisor[str]("configuration") as watching:
        if auto_reload is not None:
            watching.start("files", lambda: watch.run(agent.reload, auto_reload))
        await agent.run()


async def _reload(agent: Agent) -> None:
    try:
        await agent.reload()
    except ConfigError:
        # The agent has logged every problem; a signal has nobody else to tell.
        return
