"""The configuration file: ``load_config`` reads prometheus.yml into a ``Config``."""

from promscout.config.loader import load_config, parse_config
from promscout.config.values import Config, GlobalConfig, JobConfig

__all__ = ["Config", "GlobalConfig", "JobConfig", "load_config", "parse_config"]
