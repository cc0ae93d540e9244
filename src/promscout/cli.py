"""The command line."""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from prometheus_client import disable_created_metrics
from rich.console import Console

from promscout import __version__
from promscout.agent import Agent, Listen
from promscout.config import load_config
from promscout.data_dir import DataDir, DataDirError
from promscout.errors import ConfigError, ConfigUnreadable, InvalidValueError, Problem
from promscout.logs import LogFormat, LogLevel, configure_logs
from promscout.model.duration import Duration

FAILED: Final = 1
CANNOT_RUN: Final = 2

app = typer.Typer(
    name="promscout",
    help="Finds what to scrape in Kubernetes, scrapes it, and delivers the samples by remote write.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class OutputFormat(StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"promscout {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of the program itself."""


def _listen(text: str) -> Listen:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise typer.BadParameter(f"{text!r} is not HOST:PORT")
    return Listen(host.strip("[]") or "0.0.0.0", int(port))  # noqa: S104 - ":9090" asks for every address


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except InvalidValueError as error:
        raise typer.BadParameter(str(error)) from None


ConfigFile = Annotated[Path, typer.Argument(metavar="CONFIG", help="A Prometheus configuration file.")]


@app.command()
def run(  # noqa: PLR0917 - typer reads the command's options from its parameters
    config: ConfigFile,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where web pages and API listen. Port 0 takes a free one.")
    ] = "127.0.0.1:9090",
    data_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Directory of this agent alone; made if missing.")
    ] = Path("data"),
    discovery_interval: Annotated[
        str, typer.Option(metavar="DURATION", help="Least time between two syncs of a job while targets keep changing.")
    ] = "200ms",
    strict_discovery: Annotated[
        bool,
        typer.Option(
            help="Give a Kubernetes job no targets before every resource it may show is there, as Prometheus does."
        ),
    ] = False,
    log_level: Annotated[LogLevel, typer.Option(help="Least severe log lines to show.")] = LogLevel.INFO,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.TEXT,
) -> None:
    """Discover, scrape and deliver until SIGINT or SIGTERM; SIGHUP reads CONFIG again.

    Exit codes: 0 stopped by a signal, 2 cannot run (bad configuration, address in use, data directory in use).
    """
    address, interval = _listen(listen), _duration(discovery_interval)
    configure_logs(log_level, log_format)
    try:
        with DataDir(data_dir):
            asyncio.run(_run_agent(config, address, interval, strict=strict_discovery))
    except ConfigError as error:
        _refuse_config(error, CANNOT_RUN)
    except (DataDirError, OSError) as error:
        _say(str(error))
        raise typer.Exit(CANNOT_RUN) from None


async def _run_agent(config: Path, listen: Listen, discovery_interval: float, *, strict: bool) -> None:
    agent = Agent(
        lambda: load_config(config), listen=listen, discovery_interval=discovery_interval, strict_discovery=strict
    )
    # What is imported never becomes garbage, and objects of the API server cannot form cycles: looking through all of
    # them at every few hundred new ones was a fifth of the CPU until all targets were there.
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)
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


@app.command()
def check(
    configs: Annotated[list[Path], typer.Argument(metavar="CONFIG...", help="Prometheus configuration files.")],
    output: Annotated[OutputFormat, typer.Option("--format", help="How to print what is found.")] = OutputFormat.TEXT,
) -> None:
    """Check configuration files and print every problem with its place.

    Exit codes: 0 all can be used, 1 at least one cannot, 2 a file cannot be read.
    """
    code = 0
    results = []
    for path in configs:
        problems: tuple[Problem, ...] = ()
        warnings: tuple[str, ...] = ()
        try:
            loaded = load_config(path)
        except ConfigError as error:
            problems = error.problems
            code = max(code, CANNOT_RUN if isinstance(error, ConfigUnreadable) else FAILED)
        else:
            warnings = loaded.warnings
        results.append((path, problems, warnings))
    if output is OutputFormat.JSON:
        typer.echo(json.dumps([_as_json(*result) for result in results], indent=2))
    else:
        for result in results:
            _print_check(*result)
    raise typer.Exit(code)


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End by itself once every target has been scraped twice.")
    ] = False,
    listen: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Where web pages listen.  [default: 127.0.0.1:9090, or a free port]"),
    ] = None,
) -> None:
    """A small simulated cluster, discovered and scraped before your eyes; nothing leaves this machine.

    Exit codes: 0 ended by Ctrl-C, or --once succeeded; 1 --once failed; 2 cannot run.
    """
    from promscout.demo import DemoFailed, run_demo  # noqa: PLC0415 - the simulated cluster is a tenth of start-up

    try:
        asyncio.run(
            run_demo(
                once=once,
                listen=_listen(listen) if listen else Listen(),
                strict_port=listen is not None,
                console=Console(highlight=False),
            )
        )
    except DemoFailed as error:
        _say(str(error))
        raise typer.Exit(FAILED) from None
    except OSError as error:
        _say(str(error))
        raise typer.Exit(CANNOT_RUN) from None


def _as_json(path: Path, problems: tuple[Problem, ...], warnings: tuple[str, ...]) -> dict[str, object]:
    fields = ("file", "line", "column", "path", "message")
    return {
        "file": str(path),
        "valid": not problems,
        "problems": [{name: getattr(problem, name) for name in fields} for problem in problems],
        "warnings": list(warnings),
    }


def _print_check(path: Path, problems: tuple[Problem, ...], warnings: tuple[str, ...]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for problem in problems:
        _print_problem(problem)
    for warning in warnings:
        console.print(f"[yellow]{path}: warning:[/] ", end="")
        console.print(warning, markup=False)
    if not problems:
        console.print(f"[green]{path}: can be used[/]")


def _print_problem(problem: Problem) -> None:
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    place = problem.file if problem.line == 0 else f"{problem.file}:{problem.line}:{problem.column}"
    console.print(f"{place}: ", style="bold", end="", markup=False)
    console.print(f"{problem.path}: " if problem.path else "", style="cyan", end="", markup=False)
    console.print(problem.message, markup=False)


def _refuse_config(error: ConfigError, code: int) -> NoReturn:
    for problem in error.problems:
        _print_problem(problem)
    raise typer.Exit(code)


def _say(message: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print("[red]promscout:[/] ", end="")
    print(message, file=sys.stderr)  # noqa: T201 - a message for people, whatever the log format


def main() -> None:
    """Entry point of the ``promscout`` command."""
    # One series per counter, as Go's client has it, not another one with its time of creation.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # not annotated by its package
    app()
