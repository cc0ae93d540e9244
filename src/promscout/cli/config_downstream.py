"""``promscout config downstream``."""

from __future__ import annotations

import sys
from pathlib import Path

from promscout.cli.outcome import CANNOT_RUN, FAILED, say, say_problem, say_warning
from promscout.config import parse_config, read_source
from promscout.downstream.scrape_configs import (
    FILE_REFRESH_INTERVAL,
    REFRESH_INTERVAL,
    FileSource,
    HTTPSource,
    InlineSecretsError,
    read_client,
    scrape_configs,
)
from promscout.downstream.shards import Shard
from promscout.errors import ConfigError, ConfigUnreadable, InvalidValueError
from promscout.httpclient.config import HTTPClientConfig
from promscout.model.duration import Duration


def execute(
    config: Path,
    *,
    url: str | None,
    file_sd_dir: Path | None,
    shards: int,
    shard: int | None,
    refresh_interval: Duration | None,
    http_config_file: Path | None,
    show_secrets: bool,
) -> int:
    """Print the configuration of a Prometheus that takes its targets from promscout; the exit code."""
    try:
        part = _shard(shard, shards)
        client = read_client(http_config_file) if http_config_file is not None else HTTPClientConfig()
        source = _source(url, client, file_sd_dir, refresh_interval)
        loaded = parse_config(read_source(str(config)), str(config), config.parent.absolute())
        text = scrape_configs(loaded, source, part, show_secrets=show_secrets)
    except InvalidValueError as error:
        say(str(error))
        return CANNOT_RUN
    except ConfigError as error:
        for problem in error.problems:
            say_problem(problem)
        return CANNOT_RUN if isinstance(error, ConfigUnreadable) else FAILED
    except InlineSecretsError as error:
        for place in error.places:
            say(f"{place}: a secret in the configuration itself; put it into a file, or print it with --show-secrets")
        return FAILED
    for warning in loaded.warnings:
        say_warning(str(config), warning)
    sys.stdout.write(text)
    return 0


def _shard(index: int | None, count: int) -> Shard:
    if index is None and count > 1:
        raise InvalidValueError("--shards needs --shard: which of them this Prometheus is, from 0")
    return Shard(index or 0, count)


def _source(
    url: str | None, client: HTTPClientConfig, directory: Path | None, interval: Duration | None
) -> HTTPSource | FileSource:
    try:
        if directory is not None:
            return FileSource(directory.absolute(), interval or FILE_REFRESH_INTERVAL)
        return HTTPSource((url or "").rstrip("/"), interval or REFRESH_INTERVAL, client)
    except InvalidValueError as error:
        raise InvalidValueError(f"{'--url' if directory is None else '--file-sd-dir'}: {error}") from None
