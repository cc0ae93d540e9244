"""The configuration of a Prometheus that takes its targets from promscout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import msgspec

from promscout.config.inherit import inherit
from promscout.config.values import Config, GlobalConfig
from promscout.config.written import Writer, to_yaml
from promscout.discovery.file.config import FileSDConfig
from promscout.downstream.defaults import restoring_rules
from promscout.downstream.file_names import file_name
from promscout.downstream.shards import Shard
from promscout.errors import InvalidValueError, PromscoutError
from promscout.httpclient.secret import Sensitive, split_http_url
from promscout.model.duration import Duration
from promscout.scrape.config import ScrapeConfig

REFRESH_INTERVAL: Final = Duration(15)
"""Between two requests for a list, unless another one is asked for. Prometheus's own default is a minute."""


class InlineSecretsError(PromscoutError):
    """Secrets stand in the configuration itself, so that it could be printed with them only. ``places`` tells where."""

    def __init__(self, places: tuple[str, ...]) -> None:
        super().__init__("\n".join(places))
        self.places = places


class HTTPSource(msgspec.Struct, frozen=True):
    """Lists are asked for at ``url``, that of promscout without a slash at its end."""

    url: str
    refresh_interval: Duration = REFRESH_INTERVAL

    def __post_init__(self) -> None:
        parts = split_http_url(self.url)
        if parts.password is not None or parts.username is not None:
            raise InvalidValueError("user and password belong into basic_auth, not into the URL")
        if parts.query or parts.fragment or self.url.endswith("/"):
            raise InvalidValueError("it must end with the host, the port, or the path that everything begins with")

    def section(self, job: str, shard: Shard) -> tuple[str, dict[str, Any]]:
        """The key of the section with the lists of ``job``, and its item."""
        query = f"?shard={shard.index}&of={shard.count}" if shard.count > 1 else ""
        url = f"{self.url}/sd/http/{quote(job, safe='')}{query}"
        return "http_sd_configs", {"url": url, "refresh_interval": str(self.refresh_interval)}


class FileSource(msgspec.Struct, frozen=True):
    """Lists are files in ``directory``, which is absolute."""

    directory: Path
    refresh_interval: Duration | None = None

    def __post_init__(self) -> None:
        FileSDConfig(files=(str(self.directory / file_name("job")),))
        if any(sign in str(self.directory) for sign in "*?[\\"):
            raise InvalidValueError("a pattern cannot be a directory")

    def section(self, job: str, shard: Shard) -> tuple[str, dict[str, Any]]:
        """The key of the section with the lists of ``job``, and its item."""
        item: dict[str, Any] = {"files": [str(self.directory / file_name(job, shard if shard.count > 1 else None))]}
        if self.refresh_interval is not None:
            item["refresh_interval"] = str(self.refresh_interval)
        return "file_sd_configs", item


def scrape_configs(config: Config, source: HTTPSource | FileSource, shard: Shard, *, show_secrets: bool = False) -> str:
    """The configuration as YAML: the ``global`` section, and every job with ``source`` in place of its own discovery.

    What a job says about scraping stays; its relabelling is done already. Of the rest there are the options that differ
    from what they would be anyway, so that a Prometheus that does not know the newest of them reads it.

    Raises:
        InlineSecretsError: secrets would have to be printed, and ``show_secrets`` does not say so.
    """
    if not show_secrets:
        places = tuple(place for job in config.jobs for place in _inline_secrets(job.scrape, f'job "{job.name}": '))
        if places:
            raise InlineSecretsError(places)
    writer = Writer(show=Sensitive.reveal, terse=True)
    document: dict[str, Any] = {}
    if written := writer.global_section(config.global_config):
        document["global"] = written
    jobs = [_job(writer, job.scrape, config.global_config, source.section(job.name, shard)) for job in config.jobs]
    return to_yaml(document | {"scrape_configs": jobs})


def _job(
    writer: Writer, config: ScrapeConfig, defaults: GlobalConfig, discovery: tuple[str, dict[str, Any]]
) -> dict[str, Any]:
    shown = writer.struct(config, inherit(ScrapeConfig(job_name=config.job_name), defaults))
    shown.pop("relabel_configs", None)
    metric_rules = shown.pop("metric_relabel_configs", None)
    key, item = discovery
    job = {"job_name": config.job_name, **shown, key: [item]}
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
