"""``promscout run``."""

from __future__ import annotations

import asyncio
import signal
from functools import partial

import uvloop
from prometheus_client import disable_created_metrics

from promscout.agent import Agent
from promscout.cli.outcome import CANNOT_RUN, say, say_problem
from promscout.cli.run_options import RunOptions
from promscout.config import load_config
from promscout.config_watch import ConfigWatch
from promscout.data_dir import DataDir, DataDirError
from promscout.errors import ConfigError
from promscout.logs import LogFormat, LogLevel, configure_logs
from promscout.supervisor import Supervisor


def execute(**given: object) -> int:
    """Run an agent until a signal ends it; the exit code."""
    options = RunOptions.of(given)
    if options.file_sd_shards is not None and options.file_sd_dir is None:
        say("--file-sd-shards needs --file-sd-dir")
        return CANNOT_RUN
    configure_logs(LogLevel(options.log_level), LogFormat(options.log_format))
    # One series per counter, as Go's client has it, not another one with its time of creation.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated by its package
    try:
        # uvloop takes a third less CPU for a fetch than asyncio's own loop (decision 0009).
        with DataDir(options.data_dir), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run_agent(options))
    except ConfigError as error:
        for problem in error.problems:
            say_problem(problem)
        return CANNOT_RUN
    except (DataDirError, OSError) as error:
        say(str(error))
        return CANNOT_RUN
    return 0


async def _run_agent(options: RunOptions) -> None:
    load, auto_reload = partial(load_config, options.config), options.auto_reload
    watch = ConfigWatch(options.config, load)
    agent = Agent(
        load if auto_reload is None else watch.load,
        web=options.web(),
        buffers=options.buffers(),
        discovery_interval=options.discovery_interval,
        strict_discovery=options.strict_discovery,
        store=options.store(),
        file_sd=options.file_sd(),
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
