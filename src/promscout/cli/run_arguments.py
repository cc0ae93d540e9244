"""The options of ``promscout run``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final

from promscout.cli.arguments import (
    add_choice,
    add_command,
    address,
    duration,
    external_url,
    positive_duration,
    positive_number,
    regex,
    route_prefix,
    shard_count,
    size,
)
from promscout.logs import LogFormat, LogLevel

if TYPE_CHECKING:
    from promscout.cli.arguments import Commands

AUTO_RELOAD: Final = "--auto-reload"
AUTO_RELOAD_INTERVAL: Final = "30s"
"""Prometheus's."""


def add_run(commands: Commands) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "run",
        "Discover, scrape and deliver until SIGINT or SIGTERM; SIGHUP reads CONFIG again.",
        "0 stopped by a signal, 2 cannot run (bad configuration, address in use, data directory in use)",
    )
    parser.add_argument("config", metavar="CONFIG", type=Path, help="a Prometheus configuration file")
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=address,
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
        type=positive_duration,
        default="1s",
        help="samples that have waited this long, for a receiver or a file, are on disk: a crash loses no older ones "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--buffer-max-size",
        metavar="SIZE",
        type=size,
        default="4GiB",
        help="most that waits on disk for one receiver, then the oldest samples are dropped (default: %(default)s)",
    )
    parser.add_argument(
        "--buffer-max-age",
        metavar="DURATION",
        type=duration,
        default="1d",
        help="samples that have waited on disk this long are dropped; 0s: none are (default: %(default)s)",
    )
    parser.add_argument(
        "--discovery-interval",
        metavar="DURATION",
        type=duration,
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
        AUTO_RELOAD,
        metavar="INTERVAL",
        type=duration,
        nargs="?",
        const=AUTO_RELOAD_INTERVAL,
        help="reload when CONFIG or a file it includes has changed; =INTERVAL is how often to look "
        f"({AUTO_RELOAD_INTERVAL} without; default: do not look)",
    )
    parser.add_argument(
        "--store-retention",
        metavar="DURATION",
        type=duration,
        default="15d",
        help="how long the local store, which is in use while no remote_write is configured, keeps samples "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--store-max-size",
        metavar="SIZE",
        type=size,
        default="10GiB",
        help="how large the local store may become, then the oldest days are dropped (default: %(default)s)",
    )
    add_choice(parser, "--log-level", LogLevel.INFO, "least severe log lines to show")
    add_choice(parser, "--log-format", LogFormat.TEXT, "how log lines look")
    _add_downstream(parser)
    _add_web(parser)


def _add_downstream(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("discovery for other servers")
    group.add_argument(
        "--file-sd-dir",
        metavar="DIR",
        type=Path,
        help="directory of this agent alone, in which a file for each job has its targets after relabelling, for "
        "file_sd_configs of others; made if missing (default: no files)",
    )
    group.add_argument(
        "--file-sd-shards",
        metavar="N",
        type=shard_count,
        help="divide each job's targets among N servers, a file each (default: do not)",
    )


def _add_web(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("web pages and API")
    group.add_argument(
        "--web.config.file",
        metavar="FILE",
        type=Path,
        help="TLS, client certificates and passwords, in the format of Prometheus's web configuration",
    )
    group.add_argument(
        "--web.external-url",
        metavar="URL",
        type=external_url,
        default="",
        help="the address that users know the server by, behind a proxy for example (default: this machine's name)",
    )
    group.add_argument(
        "--web.route-prefix",
        metavar="PATH",
        type=route_prefix,
        default="",
        help="what the path of every URL begins with (default: the path of --web.external-url)",
    )
    group.add_argument(
        "--web.enable-lifecycle",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="let every client that may come in ask for /-/reload and /-/quit (default: this machine and the pages may "
        "ask for a reload)",
    )
    group.add_argument(
        "--web.enable-admin-api",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="accepted, but an agent has no such endpoints (default: no)",
    )
    group.add_argument(
        "--web.cors.origin",
        metavar="REGEX",
        type=regex,
        default="",
        help="origins whose pages may read the API, as a regular expression (default: none)",
    )
    group.add_argument(
        "--web.page-title",
        metavar="TITLE",
        default="promscout",
        help="name in the pages' titles (default: %(default)s)",
    )
    group.add_argument(
        "--web.max-connections",
        metavar="NUMBER",
        type=positive_number,
        default=512,
        help="most connections at one time (default: %(default)s)",
    )
    group.add_argument(
        "--web.read-timeout",
        metavar="DURATION",
        type=positive_duration,
        default="5m",
        help="most time for a request to arrive, and for a connection to be idle (default: %(default)s)",
    )
