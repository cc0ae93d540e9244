"""The configuration of a Prometheus that takes its targets from promscout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from promscout.config import read_source
from promscout.config.decode import Decoder
from promscout.config.inherit import inherit
from promscout.config.tree import parse_tree
from promscout.config.values import Config, GlobalConfig
from promscout.config.written import Writer, to_yaml
from promscout.discovery.config import SDConfig
from promscout.discovery.file.config import FileSDConfig
from promscout.discovery.http.config import HTTPSDConfig
from promscout.discovery.registry import section
from promscout.downstream.defaults import restoring_rules
from promscout.downstream.file_names import file_name
from promscout.downstream.shards import Shard
from promscout.errors import ConfigError, InvalidValueError, PromscoutError
from promscout.httpclient.config import HTTPClientConfig
from promscout.httpclient.secret import URL, Sensitive, split_http_url
from promscout.model.duration import Duration
from promscout.scrape.config import ScrapeConfig

REFRESH_INTERVAL: Final = Duration(15)
"""Between two requests for a list, unless another one is asked for. Prometheus's own default is a minute."""

FILE_REFRESH_INTERVAL: Final = FileSDConfig(files=("any.json",)).refresh_interval
"""Prometheus's own: it notices by itself when a file changes."""


class InlineSecretsError(PromscoutError):
    """Secrets stand in the configuration itself, so that it could be printed with them only. ``places`` tells where."""

    def __init__(self, places: tuple[str, ...]) -> None:
        super().__init__("\n".join(places))
        self.places = places


class HTTPSource(msgspec.Struct, frozen=True):
    """Lists are asked for at ``url``, that of promscout without a slash at its end, with the options of ``client``."""

    url: str
    refresh_interval: Duration = REFRESH_INTERVAL
    client: HTTPClientConfig = HTTPClientConfig()

    def __post_init__(self) -> None:
        parts = split_http_url(self.url)
        if parts.password is not None or parts.username is not None:
            raise InvalidValueError("user and password belong into basic_auth, not into the URL")
        if parts.query or parts.fragment or self.url.endswith("/"):
            raise InvalidValueError("it must end with the host, the port, or the path that everything begins with")

    def of(self, job: str, shard: Shard) -> HTTPSDConfig:
        """What finds the targets of ``job``."""
        query = f"?shard={shard.index}&of={shard.count}" if shard.count > 1 else ""
        url = URL.parse(f"{self.url}/sd/http/{quote(job, safe='')}{query}")
        options = {name: getattr(self.client, name) for name in HTTPClientConfig.__struct_fields__}
        return HTTPSDConfig(url=url, refresh_interval=self.refresh_interval, **options)


class FileSource(msgspec.Struct, frozen=True):
    """Lists are files in ``directory``, which is absolute."""

    directory: Path
    refresh_interval: Duration = FILE_REFRESH_INTERVAL

    def __post_init__(self) -> None:
        FileSDConfig(files=(str(self.directory / file_name("job")),))
        if any(sign in str(self.directory) for sign in "*?[\\"):
            raise InvalidValueError("a pattern cannot be a directory")

    def of(self, job: str, shard: Shard) -> FileSDConfig:
        """What finds the targets of ``job``."""
        name = file_name(job, shard if shard.count > 1 else None)
        return FileSDConfig(files=(str(self.directory / name),), refresh_interval=self.refresh_interval)


def read_client(file: Path) -> HTTPClientConfig:
    """The HTTP client options that a YAML file has.

    Raises:
        ConfigError: it cannot be read, or has something else.
    """
    tree = parse_tree(read_source(str(file)), str(file))
    if tree is None:
        return HTTPClientConfig()
    decoder = Decoder(str(file))
    found = decoder.value(HTTPClientConfig, tree, "")
    if decoder.problems:
        raise ConfigError(tuple(decoder.problems))
    client: HTTPClientConfig = found.with_directory(file.parent.absolute())
    return client


def scrape_configs(config: Config, source: HTTPSource | FileSource, shard: Shard, *, show_secrets: bool = False) -> str:
    """The configuration as YAML: the ``global`` section, and every job with ``source`` in place of its own discovery.

    What a job says about scraping stays; its relabelling is done already. Of the rest there are the options that differ
    from what they would be anyway, so that a Prometheus that does not know the newest of them reads it.

    Raises:
        InlineSecretsError: secrets would have to be printed, and ``show_secrets`` does not say so.
    """
    if not show_secrets:
        places = [place for job in config.jobs for place in _inline_secrets(job.scrape, f'job "{job.name}": ')]
        if isinstance(source, HTTPSource):
            places += _inline_secrets(source.client, "asking promscout: ")
        if places:
            raise InlineSecretsError(tuple(places))
    writer = Writer(show=Sensitive.reveal, terse=True)
    document: dict[str, Any] = {}
    if written := writer.global_section(config.global_config):
        document["global"] = written
    jobs = [_job(writer, job.scrape, config.global_config, source.of(job.name, shard)) for job in config.jobs]
    return to_yaml(document | {"scrape_configs": jobs})


def _job(writer: Writer, config: ScrapeConfig, defaults: GlobalConfig, discovery: SDConfig) -> dict[str, Any]:
    shown = writer.struct(config, inherit(ScrapeConfig(job_name=config.job_name), defaults))
    shown.pop("relabel_configs", None)
    metric_rules = shown.pop("metric_relabel_configs", None)
    job = {"job_name": config.job_name, **shown, section(discovery.mechanism): [writer.value(discovery)]}
    if rules := [writer.value(rule) for rule in restoring_rules(config)]:
        job["relabel_configs"] = rules
    if metric_rules:
        job["metric_relabel_configs"] = metric_rules
    return job


def _inline_secrets(value: object, place: str) -> Iterator[str]:
    """Where a text is that is not shown as it is."""
    if isinstance(value, Sensitive):
        if str(value) != value.reveal():
            yield place.removesuffix(".")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _inline_secrets(getattr(value, name), f"{place}{name}.")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _inline_secrets(item, f"{place}{name}.")
    elif isinstance(value, tuple):
        for item in value:
            yield from _inline_secrets(item, place)
