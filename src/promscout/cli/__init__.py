"""The command line. Each command is a module of this package, imported when the command is asked for."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from promscout import __version__
from promscout.cli.outcome import OutputFormat
from promscout.errors import InvalidValueError
from promscout.logs import LogFormat, LogLevel
from promscout.model.byte_size import ByteSize
from promscout.model.duration import Duration

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - its only name

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C before, or without, an end in good order: as shells have it."""

_AUTO_RELOAD: Final = "--auto-reload"
_AUTO_RELOAD_INTERVAL: Final = "30s"  # Prometheus's

_BLAS_THREADS: Final = "OPENBLAS_NUM_THREADS"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the ``promscout`` command; ends by ``SystemExit`` with the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    # argparse would take what follows the bare option for its interval: the configuration.
    bare = f"{_AUTO_RELOAD}={_AUTO_RELOAD_INTERVAL}"
    options = vars(_parser().parse_args([bare if one == _AUTO_RELOAD else one for one in given]))
    name = "_".join(filter(None, (options.pop("command"), options.pop("subcommand", ""))))
    with _cheap_imports():
        command = import_module(f"{__name__}.{name}")
    try:
        sys.exit(command.execute(**options))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@contextmanager
def _cheap_imports() -> Iterator[None]:
    # What is imported never becomes garbage, and objects of the API server cannot form cycles: looking through all of
    # them at every few hundred new ones was a fifth of the CPU until all targets were there.
    gc.set_threshold(100_000, 50, 100)
    # numpy's BLAS starts a thread for each core, which spin for a while; nothing here multiplies matrices.
    ours = _BLAS_THREADS not in os.environ
    os.environ.setdefault(_BLAS_THREADS, "1")
    try:
        yield
    finally:
        if ours:  # credential plugins get the environment
            del os.environ[_BLAS_THREADS]
    gc.freeze()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="promscout",
        description="Finds what to scrape in Kubernetes, scrapes it, and delivers the samples by remote write.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"promscout {__version__}", help="print the version")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_check(commands)
    _add_config(commands)
    _add_demo(commands)
    return parser


def _add_run(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "run",
        "Discover, scrape and deliver until SIGINT or SIGTERM; SIGHUP reads CONFIG again.",
        "0 stopped by a signal, 2 cannot run (bad configuration, address in use, data directory in use)",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a Prometheus configuration file")
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=_address,
        default="127.0.0.1:9090",
        help="where web pages and API listen; port 0 takes a free one (default: %(default)s)",
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        type=Path,
        default="data",
        help="directory of this agent alone, for what must outlive it; made if missing (default: %(default)s)",
    )
    parser.add_argument(
        "--flush-interval",
        metavar="DURATION",
        type=_positive_duration,
        default="1s",
        help="samples that have waited for a receiver this long are on disk: a crash loses no older ones "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--buffer-max-size",
        metavar="SIZE",
        type=_size,
        default="4GiB",
        help="most that waits on disk for one receiver, then the oldest samples are dropped (default: %(default)s)",
    )
    parser.add_argument(
        "--buffer-max-age",
        metavar="DURATION",
        type=_duration,
        default="1d",
        help="samples that have waited on disk this long are dropped; 0s: none are (default: %(default)s)",
    )
    parser.add_argument(
        "--discovery-interval",
        metavar="DURATION",
        type=_duration,
        default="200ms",
        help="least time between two syncs of a job while targets keep changing (default: %(default)s)",
    )
    parser.add_argument(
        "--strict-discovery",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="give a Kubernetes job no targets before every resource it may show is there, as Prometheus does",
    )
    parser.add_argument(
        _AUTO_RELOAD,
        metavar="INTERVAL",
        type=_duration,
        nargs="?",
        const=_AUTO_RELOAD_INTERVAL,
        help="reload when CONFIG or a file it includes has changed; =INTERVAL is how often to look "
        f"({_AUTO_RELOAD_INTERVAL} without; default: do not look)",
    )
    _add_choice(parser, "--log-level", LogLevel.INFO, "least severe log lines to show")
    _add_choice(parser, "--log-format", LogFormat.TEXT, "how log lines look")


def _add_check(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "check",
        "Check configuration files, and the files they refer to; print every problem with its place.",
        "0 all can be used, 1 at least one cannot, 2 a file cannot be read",
    )
    parser.add_argument(
        "--syntax-only",
        action="store_true",
        help="look at the configurations alone, not at certificates, tokens, kubeconfigs and target files",
    )
    parser.add_argument("configs", metavar="CONFIG", nargs="+", type=Path, help="a Prometheus configuration file")
    _add_choice(parser, "--format", OutputFormat.TEXT, "how to print what is found")


def _add_config(commands: Commands) -> None:
    parser = _add_command(commands, "config", "Show a configuration, or lay it out anew.", "those of the commands")
    below = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    show = _add_command(
        below,
        "show",
        "Print a configuration without its comments; every secret as <secret>.",
        "0 printed, 1 the configuration cannot be used, 2 it cannot be read",
    )
    show.add_argument("config", metavar="CONFIG", type=Path, help="a Prometheus configuration file")
    show.add_argument(
        "--effective",
        action="store_true",
        help="with all defaults, what jobs inherit, the jobs of scrape_config_files, and absolute file names",
    )
    fmt = _add_command(
        below,
        "fmt",
        "Lay out configuration files: indentation, blanks and empty lines; comments and values stay as they are.",
        "0 done, or nothing to do; 1 --check or --diff found differences, or a file is not YAML; "
        "2 a file cannot be read or written",
    )
    fmt.add_argument("configs", metavar="CONFIG", nargs="+", type=Path, help="a YAML file")
    how = fmt.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="only name the files that are laid out otherwise")
    how.add_argument("--diff", action="store_true", help="show what would change")
    how.add_argument("--write", action="store_true", help="change the files (default: print to standard output)")


def _add_demo(commands: Commands) -> None:
    parser = _add_command(
        commands,
        "demo",
        "A small simulated cluster, discovered and scraped before your eyes; nothing leaves this machine.",
        "0 ended by Ctrl-C, or --once succeeded; 1 --once failed; 2 cannot run",
    )
    parser.add_argument("--once", action="store_true", help="end by itself once every target has been scraped twice")
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=_address,
        help="where web pages listen (default: 127.0.0.1:9090, or a free port)",
    )


def _add_command(commands: Commands, name: str, summary: str, codes: str) -> argparse.ArgumentParser:
    return commands.add_parser(
        name, help=summary, description=summary, epilog=f"Exit codes: {codes}.", allow_abbrev=False
    )


def _add_choice(parser: argparse.ArgumentParser, option: str, default: StrEnum, summary: str) -> None:
    parser.add_argument(
        option,
        choices=[one.value for one in type(default)],
        default=default.value,
        help=f"{summary} (default: %(default)s)",
    )


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]") or "0.0.0.0", int(port)  # noqa: S104 - ":9090" asks for every address


def _size(text: str) -> ByteSize:
    try:
        size = ByteSize.parse(text)
    except InvalidValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not size:
        raise argparse.ArgumentTypeError("it must be more than 0")
    return size


def _positive_duration(text: str) -> Duration:
    duration = _duration(text)
    if duration <= 0:
        raise argparse.ArgumentTypeError("it must be more than 0")
    return duration


def _duration(text: str) -> Duration:
    try:
        return Duration.parse(text)
    except InvalidValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
