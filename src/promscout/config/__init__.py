"""The configuration file: ``load_config`` reads prometheus.yml into a ``Config``."""

from promscout.config.loader import check_config, load_config, parse_config
from promscout.config.source import read_source
from promscout.config.values import Config, GlobalConfig, JobConfig

__all__ = ["Config", "GlobalConfig", "JobConfig", "check_config", "load_config", "parse_config", "read_source"]
