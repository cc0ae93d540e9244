"""A loaded configuration as YAML, with everything that it left to defaults and to ``global`` written out."""

from __future__ import annotations

from typing import Any, Final

from promscout.config.inherit import inherit
from promscout.config.values import Config, GlobalConfig, JobConfig
from promscout.config.written import Writer, to_yaml
from promscout.discovery.config import SDConfig, StaticSDConfig
from promscout.discovery.registry import section
from promscout.scrape.config import ScrapeConfig
from promscout.write.config import RemoteWriteConfig

_LAST: Final = ("relabel_configs", "metric_relabel_configs", "write_relabel_configs")
_WRITER: Final = Writer()


def effective(config: Config) -> str:
    """The configuration as YAML that loads as the same one, in whatever directory, if it has no secret in it.

    The jobs of further files stand with the others; variables are replaced. A secret stands as ``<secret>``, and the
    password of a URL as ``xxxxx``. Options without effect are left out where they say what they say anyway.
    """
    document: dict[str, Any] = {"global": _WRITER.global_section(config.global_config)}
    if config.jobs:
        document["scrape_configs"] = [_job(job, config.global_config) for job in config.jobs]
    if config.remote_write:
        document["remote_write"] = [_WRITER.struct(one, RemoteWriteConfig(url=one.url)) for one in config.remote_write]
    return to_yaml(document)


def effective_job(job: JobConfig, defaults: GlobalConfig) -> str:
    """One job as YAML, with everything that it leaves to defaults and to ``global``; secrets as in ``effective``."""
    return to_yaml(_job(job, defaults))


def _job(job: JobConfig, defaults: GlobalConfig) -> dict[str, Any]:
    shown = _WRITER.struct(job.scrape, inherit(ScrapeConfig(job_name=job.name), defaults))
    last = {key: shown.pop(key) for key in _LAST if key in shown}
    for config in job.discovery:
        found = _discovery(config)
        shown.setdefault(section(config.mechanism), []).extend(found)
    return shown | last


def _discovery(config: SDConfig) -> list[Any]:
    if isinstance(config, StaticSDConfig):
        return [_WRITER.value(group) for group in config.groups]
    return [_WRITER.value(config)]
