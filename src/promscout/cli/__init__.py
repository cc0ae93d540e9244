"""The command line. Each command is a module of this package, imported when the command is asked for."""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, NoReturn

from promscout import __version__
from promscout.cli.arguments import add_choice, add_command, address, number, positive_duration, shard_count
from promscout.cli.outcome import OutputFormat, TableFormat
from promscout.cli.run_arguments import AUTO_RELOAD, AUTO_RELOAD_INTERVAL, add_run

if TYPE_CHECKING:
    from promscout.cli.arguments import Commands

INTERRUPTED: Final = 130
"""The exit code after Ctrl-C before, or without, an end in good order: as shells have it."""

_BLAS_THREADS: Final = "OPENBLAS_NUM_THREADS"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point of the ``promscout`` command; ends by ``SystemExit`` with the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    # argparse would take what follows the bare option for its interval: the configuration.
    bare = f"{AUTO_RELOAD}={AUTO_RELOAD_INTERVAL}"
    options = vars(_parser().parse_args([bare if one == AUTO_RELOAD else one for one in given]))
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
    add_run(commands)
    _add_check(commands)
    _add_config(commands)
    _add_query(commands)
    _add_demo(commands)
    return parser


def _add_check(commands: Commands) -> None:
    parser = add_command(
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
    parser.add_argument(
        "--web-config",
        metavar="FILE",
        nargs="+",
        type=Path,
        default=[],
        help="files for --web.config.file, with the certificates, keys and tokens that they name",
    )
    parser.add_argument("configs", metavar="CONFIG", nargs="*", type=Path, help="a Prometheus configuration file")
    add_choice(parser, "--format", OutputFormat.TEXT, "how to print what is found")


def _add_config(commands: Commands) -> None:
    parser = add_command(commands, "config", "Show a configuration, or lay it out anew.", "those of the commands")
    below = parser.add_subparsers(dest="subcommand", metavar="COMMAND", required=True)
    show = add_command(
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
    _add_downstream(below)
    fmt = add_command(
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


def _add_downstream(commands: Commands) -> None:
    parser = add_command(
        commands,
        "downstream",
        "Print the configuration of a Prometheus that takes its targets from a promscout that runs CONFIG.",
        "0 printed; 1 the configuration cannot be used, or has secrets in it; 2 it cannot be read, or wrong usage",
        examples=(
            "promscout config downstream prometheus.yml --url http://promscout:9090",
            "promscout config downstream prometheus.yml --url http://promscout:9090 --shards 3 --shard 0",
            "promscout config downstream prometheus.yml --file-sd-dir /var/lib/promscout/sd",
        ),
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a Prometheus configuration file")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--url", metavar="URL", help="where promscout is, for http_sd_configs")
    source.add_argument(
        "--file-sd-dir", metavar="DIR", type=Path, help="that of promscout run --file-sd-dir, for file_sd_configs"
    )
    parser.add_argument(
        "--shards",
        metavar="N",
        type=shard_count,
        default=1,
        help="how many Prometheus servers share the targets (default: %(default)s)",
    )
    parser.add_argument("--shard", metavar="I", type=number, help="which of them this one is, from 0")
    parser.add_argument(
        "--refresh-interval",
        metavar="DURATION",
        type=positive_duration,
        help="time between two looks (default: 15s for --url, Prometheus's own for --file-sd-dir)",
    )
    parser.add_argument(
        "--http.config.file",
        dest="http_config_file",
        metavar="FILE",
        type=Path,
        help="HTTP client options for asking promscout at URL: basic_auth, authorization, tls_config and so on",
    )
    parser.add_argument(
        "--show-secrets",
        action="store_true",
        help="print secrets that stand in CONFIG itself (default: name them, and print nothing)",
    )


def _add_query(commands: Commands) -> None:
    parser = add_command(
        commands,
        "query",
        "Ask the local store in SQL (DuckDB's). It may be in use by a running agent, and is only read.",
        "0 answered, 1 the statement has an error, 2 there is no store, or it cannot be read",
        examples=(
            "promscout query \"SELECT * FROM up WHERE job = 'node' ORDER BY timestamp DESC LIMIT 10\"",
            "promscout query \"SELECT timestamp, instance, value FROM metrics WHERE name = 'node_load1'\" --format csv",
            'promscout query "SELECT name, count(*) FROM series GROUP BY name ORDER BY 2 DESC"',
            "promscout query \"COPY (SELECT * FROM metrics WHERE job = 'node') TO 'node.parquet'\"",
        ),
    )
    parser.add_argument(
        "sql",
        metavar="SQL",
        help="statements over the views samples, series, metrics (both joined), up, exemplars and histograms; "
        "the last one's rows are printed; - reads them from standard input",
    )
    parser.add_argument(
        "--data-dir",
        metavar="DIR",
        type=Path,
        default="data",
        help="that of the agent (default: %(default)s)",
    )
    add_choice(parser, "--format", TableFormat.TABLE, "how to print rows")


def _add_demo(commands: Commands) -> None:
    parser = add_command(
        commands,
        "demo",
        "A small simulated cluster, discovered and scraped before your eyes; nothing leaves this machine.",
        "0 ended by Ctrl-C, or --once succeeded; 1 --once failed; 2 cannot run",
    )
    parser.add_argument("--once", action="store_true", help="end by itself once every target has been scraped twice")
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=address,
        help="where web pages listen (default: 127.0.0.1:9090, or a free port)",
    )
